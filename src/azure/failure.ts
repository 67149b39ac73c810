import type { RestError } from '@azure/storage-blob'
import { redactSecrets } from '../reporting/redact.ts'
import { maxRetryAfterMs, retryAfterMs } from '../retry.ts'

/** A failed request to Azure storage, classified by what can be done about it. */
export interface StorageFailure {
  readonly kind: /** There is no usable credential, or it lacks a permission. */
    | 'denied'
    /** The blob or the container does not exist. */
    | 'missing'
    /** Throttled, failed temporarily, or not answered: a later attempt may succeed. */
    | 'passing'
    /** The service understood the request and would refuse it again. */
    | 'refused'
  /** The error of the service or the connection on one line, without secrets. */
  readonly summary: string
  readonly status: number | undefined
  /** The service's own code, such as `BlobAlreadyExists`. */
  readonly service: string | undefined
  /** The pause that the service requests, in milliseconds; at most `maxRetryAfterMs`. */
  readonly retryAfterMs: number | undefined
  readonly requestIds: RequestIds
}

/** The ids of a request. With them, logs and support of the service find it. */
export interface RequestIds {
  /** Given by the service: `x-ms-request-id`. Undefined when it did not answer. */
  readonly requestId?: string | undefined
  /** Given by the SDK, and repeated in the service's logs: `x-ms-client-request-id`. */
  readonly clientRequestId?: string | undefined
}

/** An answer that does not match its request, or does not come from storage. A later attempt may succeed. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer'
  readonly requestIds: RequestIds

  constructor(message: string, { requestId, clientRequestId }: RequestIds = {}) {
    super(message)
    this.requestIds = { requestId, clientRequestId }
  }
}

/** The body did not match its checksum on arrival; the service stored nothing. */
const damagedCode = 'Md5Mismatch'

/** Names of errors without a complete answer: those of the SDK, of `Deadline`, and `WrongAnswer`. */
const unansweredNames: ReadonlySet<string> = new Set(['AbortError', 'TimeoutError', 'WrongAnswer'])

/**
 * @param nowMs milliseconds since the epoch: the service may ask to wait until an instant
 * @returns the classified failure; undefined for an error that is not one of storage
 */
export function storageFailure(error: unknown, nowMs: number): StorageFailure | undefined {
  if (!(error instanceof Error)) return undefined
  const requestIds = requestIdsOf(error)
  const unanswered = { status: undefined, service: undefined, retryAfterMs: undefined, requestIds }
  // Errors of the identity library have no status. They report that no credential was found, or that it was refused.
  if (credentialErrorNames.has(error.name)) return { kind: 'denied', summary: error.name, ...unanswered }
  if (!isRestError(error)) {
    return isConnectionError(error)
      ? { kind: 'passing', summary: summaryOf(error), ...unanswered }
      : undefined
  }
  const { statusCode: status } = error
  const service = serviceCode(error)
  // A status below 400 becomes an error only when the body broke off or could not be parsed.
  const answered = status !== undefined && status >= 400
  return {
    kind: answered && !(status === 404 && !isOfService(error)) ? kindOf(status, service) : 'passing',
    summary: answered ? `${status} ${service ?? ''}`.trim() : summaryOf(error),
    status,
    service,
    retryAfterMs: requestedPauseMs(error, nowMs),
    requestIds,
  }
}

/** @returns the ids of the request that failed; empty for an error without one, such as that of a credential */
export function requestIdsOf(error: unknown): RequestIds {
  if (error instanceof WrongAnswer) return error.requestIds
  if (isTimeOut(error)) return { clientRequestId: error.clientRequestId }
  if (!isRestError(error)) return {}
  return {
    requestId: error.response?.headers.get('x-ms-request-id') || undefined,
    clientRequestId: error.request?.requestId || undefined,
  }
}

/** Of a deadline, with what `identifyTimedOutRequests` has added. */
function isTimeOut(error: unknown): error is Error & { readonly clientRequestId: string } {
  return error instanceof Error && error.name === 'TimeoutError' && 'clientRequestId' in error
}

function kindOf(status: number, service: string | undefined): StorageFailure['kind'] {
  if (status === 401 || status === 403) return 'denied'
  if (status === 404) return 'missing'
  return passingStatuses.has(status) || service === damagedCode ? 'passing' : 'refused'
}

/** Errors of a socket have system codes. Codes that begin with `ERR_` report bugs, except that of a body that ends early. */
function isConnectionError(error: Error): boolean {
  if (unansweredNames.has(error.name)) return true
  const code = 'code' in error ? String(error.code) : ''
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || /^E(?!RR_)[A-Z_]+$/.test(code)
}

function summaryOf(error: Error): string {
  // The SDK reports a body that broke off as an AbortError.
  return error.name === 'AbortError' ? 'the connection broke or made no progress' : firstLine(error.message)
}

/** HTTP statuses of storage after which a later attempt may succeed. */
export const passingStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** Names of the errors of the identity library; some have no status. */
export const credentialErrorNames: ReadonlySet<string> = new Set([
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
  'CredentialUnavailableError',
])

/** Checks the shape, not the class: a client of the caller may come from the SDK's other build, with its own classes. */
export function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError' && 'statusCode' in error
}

/** @returns the service's code of an error answer, such as `BlobAlreadyExists`; undefined for a connection error */
export function serviceCode(error: RestError | undefined): string | undefined {
  if (error?.statusCode === undefined) return undefined
  // An answer without a body, such as any to HEAD, has its code only in the header.
  return error.response?.headers.get('x-ms-error-code') || error.code
}

/** @returns whether an error answer is from the service: its answers have a code, those of a proxy have none */
export function isOfService(error: RestError): boolean {
  // Codes of the SDK itself, such as PARSE_ERROR, have other characters.
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
 * @returns a copy of an error with its name, first line and stack, and those of its causes. It lacks the request, whose
 *   URL and headers may be secrets, and the detail in which the service repeats the signed text
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

/** @returns the first line, without secrets and without the signature that a service may quote */
export function firstLine(text: string): string {
  return redactSecrets(text.split('\n', 1)[0] ?? '').replace(/'[\w+/=]{40,}'/g, "'***'")
}
