import type { RestError } from '@azure/storage-blob'
import { TailraceError } from '../errors.ts'
import { redactSecrets } from '../redact.ts'

/** HTTP answers of storage that a later attempt may not get again. */
const passing = new Set([408, 429, 500, 502, 503, 504])

const credentialErrors = new Set([
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
  'CredentialUnavailableError',
])

/**
 * Translates an error of the storage SDK, once, at the port.
 *
 * @param what names the request for the message, such as `reading logs/a.json`
 */
export function translateAzureError(error: unknown, what: string): TailraceError {
  if (error instanceof TailraceError) return error
  const rest = isRestError(error) ? error : undefined
  const status = rest?.statusCode
  const service = rest?.code
  const context = { status, service, retryAfterMs: retryAfterMs(error) }

  // The identity library's errors have no status: no credential was found, or it was refused.
  if (error instanceof Error && credentialErrors.has(error.name)) {
    return new TailraceError('SOURCE_DENIED', `No usable credential for ${what} (${error.name}).`, {
      cause: error,
    })
  }
  if (status === 401 || status === 403) {
    return new TailraceError('SOURCE_DENIED', `Storage refused ${what} (${status} ${service ?? ''}).`, {
      context,
      cause: error,
    })
  }
  if (status === 404) {
    return new TailraceError('SOURCE_MISSING', `Not found while ${what} (${service ?? status}).`, {
      context,
      cause: error,
    })
  }
  // Without a status the connection itself failed; the SDK also names a lost body "AbortError".
  if (status === undefined || passing.has(status)) {
    const told = error instanceof Error ? redactSecrets(error.message.split('\n', 1)[0] ?? '') : String(error)
    return new TailraceError('SOURCE_UNAVAILABLE', `No answer while ${what}: ${service ?? status ?? told}.`, {
      context,
      cause: error,
    })
  }
  return new TailraceError(
    'SOURCE_UNSUPPORTED',
    `Storage answered ${status} ${service ?? ''} while ${what}.`,
    {
      context,
      cause: error,
    },
  )
}

/** By its shape: a client that the caller made may come from the SDK's other build, whose classes are others. */
export function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError' && 'statusCode' in error
}

function retryAfterMs(error: unknown): number | undefined {
  if (!isRestError(error)) return undefined
  const headers = error.response?.headers
  const asked = headers?.get('retry-after-ms') ?? headers?.get('x-ms-retry-after-ms')
  if (asked !== undefined && asked !== '') return finite(Number(asked))
  const seconds = headers?.get('retry-after')
  return seconds === undefined || seconds === '' ? undefined : finite(Number(seconds) * 1000)
}

function finite(ms: number): number | undefined {
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined
}
