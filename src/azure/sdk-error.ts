import type { RestError } from '@azure/storage-blob'
import { redactSecrets } from '../redact.ts'

/** HTTP answers of storage that a later attempt may not get again. */
export const passingStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** Names of the identity library's errors, which need not have a status. */
export const credentialErrorNames: ReadonlySet<string> = new Set([
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
  'CredentialUnavailableError',
])

/** By its shape: a client that the caller made may come from the SDK's other build, whose classes are others. */
export function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError' && 'statusCode' in error
}

/**
 * An error's name, code and first line, and those of its causes, without the rest: neither the request with its URL
 * and headers, nor the detail in which the service repeats what was signed.
 */
export function copied(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(firstLine(String(error)))
  const copy = new Error(
    firstLine(error.message),
    error.cause === undefined ? undefined : { cause: copied(error.cause) },
  )
  copy.name = error.name
  copy.stack = redactSecrets(error.stack?.replace(error.message, copy.message) ?? '')
  return copy
}

/** The first line, without secrets and without what a service quotes of a signature. */
export function firstLine(text: string): string {
  return redactSecrets(text.split('\n', 1)[0] ?? '').replace(/'[\w+/=]{40,}'/g, "'***'")
}
