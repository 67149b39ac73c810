import type { RestError } from '@azure/storage-blob'
import { redactSecrets } from '../redact.ts'
import { credentialErrorNames, isRestError, passingStatuses } from './sdk-error.ts'

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
  /** How long the service asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined
}

/** The body changed on its way; the service stored nothing. */
const damagedCode = 'Md5Mismatch'

/** @returns what a failed request came to, or undefined for an error that is not one of storage. */
export function storageFailure(error: unknown): StorageFailure | undefined {
  if (!(error instanceof Error)) return undefined
  const unanswered = { status: undefined, service: undefined, retryAfterMs: undefined }
  // The identity library's errors have no status: no credential was found, or it was refused.
  if (credentialErrorNames.has(error.name)) return { kind: 'denied', told: error.name, ...unanswered }
  if (!isRestError(error)) {
    return isConnectionError(error) ? { kind: 'passing', told: firstLine(error), ...unanswered } : undefined
  }
  const { statusCode: status } = error
  // An answer without a body, such as every one to HEAD, has its code in the header only.
  const service = error.code ?? error.response?.headers.get('x-ms-error-code')
  // An answer below 400 is an error only because its body broke off or could not be read.
  const answered = status !== undefined && status >= 400
  return {
    kind: answered ? kindOf(status, service) : 'passing',
    told: answered ? `${status} ${service ?? ''}`.trim() : firstLine(error),
    status,
    service,
    retryAfterMs: retryAfterMs(error),
  }
}

function kindOf(status: number, service: string | undefined): StorageFailure['kind'] {
  if (status === 401 || status === 403) return 'denied'
  if (status === 404) return 'missing'
  return passingStatuses.has(status) || service === damagedCode ? 'passing' : 'refused'
}

/** The SDK names a body that broke off "AbortError"; a socket's own errors have a code. */
function isConnectionError(error: Error): boolean {
  return error.name === 'AbortError' || ('code' in error && /^E[A-Z_]+$/.test(String(error.code)))
}

function firstLine(error: Error): string {
  if (error.name === 'AbortError') return 'the connection stood still or broke'
  return redactSecrets(error.message.split('\n', 1)[0] ?? '')
}

function retryAfterMs(error: RestError): number | undefined {
  const headers = error.response?.headers
  const asked = headers?.get('retry-after-ms') ?? headers?.get('x-ms-retry-after-ms')
  if (asked !== undefined && asked !== '') return finite(Number(asked))
  const seconds = headers?.get('retry-after')
  return seconds === undefined || seconds === '' ? undefined : finite(Number(seconds) * 1000)
}

function finite(ms: number): number | undefined {
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined
}
