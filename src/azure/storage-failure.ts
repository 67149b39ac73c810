import {
  credentialErrorNames,
  firstLine,
  isOfService,
  isRestError,
  passingStatuses,
  retryAfterMs,
  serviceCode,
} from './sdk-error.ts'

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
    retryAfterMs: retryAfterMs(error, nowMs),
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
