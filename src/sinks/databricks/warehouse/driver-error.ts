import { isTailraceError, TailraceError } from '../../../errors.ts'
import { retryAfterMs } from '../../../retry.ts'
import { failureText } from '../workspace/failure-text.ts'

/** The phase of a statement: opening its session, sending it, waiting for its end, fetching its rows. */
export type StatementPhase = 'session' | 'send' | 'wait' | 'rows'

/** Whether a statement was executed. `failed` means without effect, because each statement is one transaction. */
export type Executed = 'no' | 'failed' | 'unknown' | 'yes'

/** An error of the driver, classified. */
export interface DriverFailure {
  readonly kind: /** The token was refused, or a permission is missing. */
    | 'denied'
    /** A transient failure: a later attempt may succeed. */
    | 'passing'
    /** A permanent failure: the warehouse will give the same answer again. */
    | 'refused'
  readonly executed: Executed
  /** The connection to the warehouse failed; a running statement continues. */
  readonly onTheWay: boolean
  /** The session no longer exists. */
  readonly sessionLost: boolean
  /** The request was probably refused for its token: a newer one may be accepted. */
  readonly tokenRefused: boolean
  readonly status: number | undefined
  /** The host that a request without an answer was sent to, where the error names it. */
  readonly peer: string | undefined
  readonly errorClass: string | undefined
  readonly sqlState: string | undefined
  readonly retryAfterMs: number | undefined
  /** One line that is safe to log: without secrets, values and statement texts. */
  readonly summary: string
}

/** A statement that failed. */
export interface FailedStatement {
  readonly label: string
  /** Id in the workspace's query history. */
  readonly queryId?: string | undefined
}

/**
 * Classifies an error of the driver by its shape. Its classes are not loaded, most have no name, and some thrown values
 * are no `Error`.
 *
 * @returns undefined for an error that comes neither from the warehouse nor from the connection, such as a missing local
 * file
 */
export function driverFailure(
  error: unknown,
  phase: StatementPhase,
  nowMs: number,
): DriverFailure | undefined {
  if (typeof error !== 'object' || error === null || error instanceof TailraceError) return undefined
  const thrown = error as Thrown
  if (typeof thrown.statusCode === 'number') return ofStatus(thrown.statusCode, thrown.response, phase, nowMs)
  if (isOperationState(thrown)) return ofOperation(thrown, phase)
  if (thrown.name === 'Status Error') return ofText(thrown.message ?? '', phase)
  const inText = statusIn(thrown)
  if (inText !== undefined) return ofStatus(inText, undefined, phase, nowMs)
  if (/session was closed or has expired|not connected/i.test(thrown.message ?? '')) {
    return ofText('Invalid SessionHandle: the session was closed', phase)
  }
  if (thrown.name === 'AuthenticationError')
    return { ...ofText(thrown.message ?? '', phase), kind: 'denied', executed: executedIn(phase, 'no') }
  return ofConnection(thrown, phase)
}

/** @returns the error for the pipeline; `context.executed` is the statement's `Executed` */
export function statementError(failure: DriverFailure, { label, queryId }: FailedStatement): TailraceError {
  const { errorClass, sqlState, executed, summary, status } = failure
  const code =
    failure.kind === 'denied'
      ? 'WAREHOUSE_DENIED'
      : failure.kind === 'passing'
        ? 'WAREHOUSE_UNAVAILABLE'
        : 'STATEMENT_FAILED'
  const doubt = executed === 'unknown' ? ', and it is unknown whether it was executed' : ''
  return new TailraceError(code, `The statement "${label}" failed${doubt}: ${summary}`, {
    context: { errorClass, sqlState, queryId, executed, status, retryAfterMs: failure.retryAfterMs },
  })
}

/**
 * Derives from the phase of a failure whether the statement was executed.
 *
 * @param atSending the result for a failure of the request that sends the statement
 */
export function executedIn(phase: StatementPhase, atSending: 'no' | 'failed' | 'unknown'): Executed {
  if (phase === 'session') return 'no'
  if (phase === 'send') return atSending
  return phase === 'wait' ? 'unknown' : 'yes'
}

/** @returns whether a statement may have been executed, although it failed with this error */
export function mayBeExecuted(error: unknown): boolean {
  return !isTailraceError(error) || !['no', 'failed'].includes(String(error.context.executed))
}

interface Thrown {
  readonly name?: string | undefined
  readonly message?: string | undefined
  readonly code?: unknown
  readonly type?: unknown
  readonly errorCode?: unknown
  readonly statusCode?: unknown
  readonly response?: unknown
}

const transientClasses =
  /CONCURRENT|TEMPORARILY_UNAVAILABLE|RESOURCE_EXHAUSTED|REQUEST_LIMIT_EXCEEDED|DEADLINE_EXCEEDED|TIMEOUT_EXCEEDED|^DELTA_(?:METADATA|PROTOCOL)_CHANGED|^(?:OPERATION|QUERY)_CANCELED|WAREHOUSE_(?:STARTING|STOPPED)/

// Serialization failures (40…), Delta's conflicts (2D521), lost connections (08…), canceled or timed-out statements
// (HY008, 57014, 57KD0).
const transientStates = /^(?:40|08)...$|^(?:2D521|HY008|57014|57KD0)$/

const transientTexts =
  /temporarily unavailable|too many requests|(?:warehouse|cluster|endpoint)\b.*\b(?:starting|pending|restarting|terminating|stopp(?:ed|ing)|not running)|unexpected state (?:pending|restarting|terminat)/i

const deniedClasses =
  /PERMISSION|PRIVILEGE|ACCESS_DENIED|UNAUTHORIZED|UNAUTHENTICATED|INVALID_(?:ACCESS_)?TOKEN|FORBIDDEN/

/** Wordings of three servers, seen in databricks-sql-python#400, sqlframe#429 and lightdash#27953. */
const lostSessions =
  /invalid sessionhandle|session ?handle\b.*\b(?:closed|initialized|expired|not found)|\bsession\b.*\b(?:is closed|was closed|has expired|not found)/i

/** Statuses with which a request is refused before its statement is read. */
const refusedUnread: ReadonlySet<number> = new Set([400, 401, 403, 404, 407, 413, 429, 503])

const operationStates: ReadonlySet<unknown> = new Set(['CANCELED', 'CLOSED', 'ERROR', 'TIMEOUT', 'UNKNOWN'])

/** Error codes of connections that were never made, so that nothing of the request was sent. */
const neverConnected =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS_)/

function isOperationState(thrown: Thrown): boolean {
  return operationStates.has(thrown.errorCode) && 'response' in thrown
}

function ofOperation({ message, errorCode, response }: Thrown, phase: StatementPhase): DriverFailure {
  const reply = response as { readonly sqlState?: string; readonly errorMessage?: string } | undefined
  const read = ofText(message || reply?.errorMessage || '', phase, reply?.sqlState)
  if (phase === 'rows') return read
  // An operation closed by the server, or in an unknown state, may have ended successfully before.
  if (errorCode === 'CLOSED' || errorCode === 'UNKNOWN')
    return { ...read, kind: 'passing', executed: 'unknown' }
  const kind = errorCode === 'ERROR' ? read.kind : 'passing'
  return { ...read, kind, executed: 'failed' }
}

function ofText(text: string, phase: StatementPhase, responseState?: string): DriverFailure {
  const { errorClass, sqlState = responseState, summary } = failureText(text)
  const sessionLost = lostSessions.test(text)
  // An operation's handle is lost with its session, and the statement's outcome with it.
  const handleLost = sessionLost || /invalid operationhandle/i.test(text)
  return {
    kind: handleLost ? 'passing' : kindOf(errorClass, sqlState || undefined, text),
    executed: executedIn(phase, handleLost ? 'no' : 'failed'),
    onTheWay: false,
    sessionLost: handleLost,
    tokenRefused: false,
    status: undefined,
    peer: undefined,
    errorClass,
    sqlState: sqlState || undefined,
    retryAfterMs: undefined,
    summary: summary || 'no reason was given',
  }
}

function kindOf(
  errorClass: string | undefined,
  sqlState: string | undefined,
  text: string,
): DriverFailure['kind'] {
  if (sqlState === '42501' || (errorClass !== undefined && deniedClasses.test(errorClass))) return 'denied'
  if (errorClass !== undefined && transientClasses.test(errorClass)) return 'passing'
  if (sqlState !== undefined && transientStates.test(sqlState)) return 'passing'
  // With an error class, the text adds nothing, and it may quote values that match by chance.
  return errorClass === undefined && transientTexts.test(text) ? 'passing' : 'refused'
}

/**
 * Whether a refused statement would be refused again for certain: for its text, its types and values, missing objects,
 * unsupported features, or by a condition of ours. By classes of SQLSTATE (read 2026-11-29):
 * https://docs.databricks.com/error-messages/sqlstates.html
 */
export function isFinal({ errorClass, sqlState }: Pick<DriverFailure, 'errorClass' | 'sqlState'>): boolean {
  if (errorClass === undefined && sqlState === undefined) return true
  if (errorClass !== undefined && finalClasses.test(errorClass)) return true
  return sqlState !== undefined && /^(?:0A|21|22|23|25|28|39|42|44|45|56)/.test(sqlState)
}

/** Classes whose callers handle them, with SQLSTATEs that say less. */
const finalClasses =
  /FILE_NOT_EXIST|NOT_FOUND|COPY_INTO|NOT_SUPPORTED|UNSUPPORTED|APPEND_ONLY|USER_RAISED|^PARSE_/

function ofStatus(status: number, response: unknown, phase: StatementPhase, nowMs: number): DriverFailure {
  const header = headersOf(response)
  const message =
    header('x-thriftserver-error-message') ??
    header('x-databricks-error-or-redirect-message') ??
    header('x-databricks-reason-phrase') ??
    ''
  const read = ofText(message, phase)
  const denied = status === 401 || status === 403 || status === 407
  const passing = status === 408 || status === 429 || (status >= 500 && status !== 501)
  return {
    ...read,
    kind: denied ? 'denied' : passing ? 'passing' : read.kind,
    executed: executedIn(phase, refusedUnread.has(status) ? 'no' : 'unknown'),
    onTheWay: (denied || passing) && !read.sessionLost,
    // A refused upload comes without a response; it was refused by storage and not for the workspace's token.
    tokenRefused: response !== undefined && (status === 401 || status === 403),
    status,
    retryAfterMs: retryAfterMs(header('retry-after'), nowMs),
    summary: message === '' ? `HTTP status ${status}` : `HTTP status ${status}, ${read.summary}`,
  }
}

/** Finds the status in the text, its only place after failed retries of the driver and failed uploads. */
function statusIn({ message = '' }: Thrown): number | undefined {
  const status = /^(?:HTTP error|Hive driver:) (\d{3})\b/.exec(message)?.[1]
  return status === undefined ? undefined : Number(status)
}

function ofConnection(thrown: Thrown, phase: StatementPhase): DriverFailure | undefined {
  const { name = '', message = '', code, type } = thrown
  const isFetch = name === 'FetchError' || type === 'system'
  const isProtocol = /^T(?:Application|Protocol|Transport)Exception$/.test(name)
  const gaveUp = message.startsWith('Hive driver: Error')
  const known =
    typeof code === 'string' && (neverConnected.test(code) || /^E(?:CONN|PIPE|TIMEDOUT)/.test(code))
  if (!isFetch && !isProtocol && !gaveUp && !known) return undefined
  const early = typeof code === 'string' && neverConnected.test(code)
  // The message of a fetch error holds the URL, which for an upload is signed.
  const why = typeof code === 'string' ? code : bare(message)
  const peer = /https?:\/\/([^/\s:?]+)/.exec(message)?.[1]
  return { ...noAnswer(executedIn(phase, early ? 'no' : 'unknown'), `the connection failed (${why})`), peer }
}

/** @returns the failure of a request that got no answer */
export function noAnswer(executed: DriverFailure['executed'], summary: string): DriverFailure {
  return {
    kind: 'passing',
    executed,
    onTheWay: true,
    sessionLost: false,
    tokenRefused: false,
    status: undefined,
    peer: undefined,
    errorClass: undefined,
    sqlState: undefined,
    retryAfterMs: undefined,
    summary,
  }
}

function bare(message: string): string {
  return failureText(message.replace(/https?:\/\/\S+/g, '…')).summary
}

function headersOf(response: unknown): (name: string) => string | undefined {
  const headers = (response as { readonly headers?: { readonly get?: unknown } } | undefined)?.headers
  return (name) => {
    if (typeof headers?.get !== 'function') return undefined
    const value: unknown = headers.get(name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
}
