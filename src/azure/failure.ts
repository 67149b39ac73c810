import type { RestError } from '@azure/storage-blob'
import { redactSecrets } from '../reporting/redact.ts'
import { maxRetryAfterMs, retryAfterMs } from '../retry.ts'

/** A failed request to Azure storage, in the terms that decide what to do about it. */
export interface StorageFailure {
  readonly kind: /** No usable credential, or one without the right. */
    | 'denied'
    /** The blob or the container is not there. */
    | 'missing'
    /** Throttled, failed for now, or no answer: a later attempt may end otherwise. */
    | 'passing'
    /** The service understood and will answer the same again. */
    | 'refused'
  /** What the service or the connection said, on one line and without secrets. */
  readonly told: string
  readonly status: number | undefined
  /** The service's own code, such as `BlobAlreadyExists`. */
  readonly service: string | undefined
  /** How long the service asks to wait, in milliseconds; five minutes at most. */
  readonly retryAfterMs: number | undefined
}

/** The body changed on its way; the service stored nothing. */
const damagedCode = 'Md5Mismatch'

/** Names of errors that say by themselves that no whole answer came: of the SDK's, `Deadline`'s and `WrongAnswer`. */
const unansweredNames: ReadonlySet<string> = new Set(['AbortError', 'TimeoutError', 'WrongAnswer'])

/**
 * @param nowMs milliseconds since the epoch: the service may ask to wait until an instant
 * @returns what a failed request came to, or undefined for an error that is not one of storage
 */
export function storageFailure(error: unknown, nowMs: number): StorageFailure | undefined {
  if (!(error instanceof Error)) return undefined
  const unanswered = { status: undefined, service: undefined, retryAfterMs: undefined }
  // The identity library's errors have no status: no credential was found, or it was refused.
  if (credentialErrorNames.has(error.name)) return { kind: 'denied', told: error.name, ...unanswered }
  if (!isRestError(error)) {
    return isConnectionError(error) ? { kind: 'passing', told: toldBy(error), ...unanswered } : undefined
  }
  const { statusCode: status } = error
  const service = serviceCode(error)
  // An answer below 400 is an error only because its body broke off or could not be read.
  const answered = status !== undefined && status >= 400
  return {
    kind: answered && !(status === 404 && !isOfService(error)) ? kindOf(status, service) : 'passing',
    told: answered ? `${status} ${service ?? ''}`.trim() : toldBy(error),
    status,
    service,
    retryAfterMs: requestedPauseMs(error, nowMs),
  }
}

function kindOf(status: number, service: string | undefined): StorageFailure['kind'] {
  if (status === 401 || status === 403) return 'denied'
  if (status === 404) return 'missing'
  return passingStatuses.has(status) || service === damagedCode ? 'passing' : 'refused'
}

/** A socket's own errors have the system's codes. What begins with `ERR_` is a mistake in a call, but for a body that ends early. */
function isConnectionError(error: Error): boolean {
  if (unansweredNames.has(error.name)) return true
  const code = 'code' in error ? String(error.code) : ''
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || /^E(?!RR_)[A-Z_]+$/.test(code)
}

function toldBy(error: Error): string {
  // So the SDK names a body that broke off.
  return error.name === 'AbortError' ? 'the connection stood still or broke' : firstLine(error.message)
}

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

/** The service's own code of an error answer, such as `BlobAlreadyExists`; for a connection fault, none. */
export function serviceCode(error: RestError | undefined): string | undefined {
  if (error?.statusCode === undefined) return undefined
  // An answer without a body, such as every one to HEAD, has its code in the header only.
  return error.response?.headers.get('x-ms-error-code') || error.code
}

/** Whether the service itself gave an error answer: every one of its own has a code, and one of a proxy has none. */
export function isOfService(error: RestError): boolean {
  // The SDK's own codes, such as PARSE_ERROR, are written otherwise.
  return /^[A-Za-z]+$/.test(serviceCode(error) ?? '')
}

/**
 * @param nowMs milliseconds since the epoch: the service may name an instant
 * @returns the pause that an answer requests, in milliseconds, at most `maxRetryAfterMs`; undefined when it requests none
 */
export function requestedPauseMs(error: RestError | undefined, nowMs: number): number | undefined {
  const headers = error?.response?.headers
  const asked = headers?.get('retry-after-ms') || headers?.get('x-ms-retry-after-ms')
  if (asked) return Number(asked) >= 0 ? Math.min(Number(asked), maxRetryAfterMs) : undefined
  // An instant in the past, which reads as 0, requests no pause.
  return retryAfterMs(headers?.get('retry-after'), nowMs) || undefined
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
