import { TailraceError } from '../../../errors.ts'
import { retryAfterMs } from '../../../retry.ts'
import { failureText } from '../failure-text.ts'

/** How far a statement had come: its session was being opened, it was sent, waited for, or its rows were fetched. */
export type StatementPhase = 'session' | 'send' | 'wait' | 'rows'

/** Whether a statement had an effect. A statement that failed had none: each is one transaction. */
export type Executed = 'no' | 'failed' | 'unknown' | 'yes'

/** What the driver threw, in the terms that decide what to do about it. */
export interface DriverFailure {
  readonly kind: /** The token is refused, or a right is missing. */
    | 'denied'
    /** A later attempt may end otherwise. */
    | 'passing'
    /** The warehouse will answer the same again. */
    | 'refused'
  readonly executed: Executed
  /** It is the way to the warehouse that failed: a statement that is under way goes on. */
  readonly onTheWay: boolean
  /** There is no such session any more. */
  readonly sessionLost: boolean
  /** The request was refused for its token, as far as can be told: a newer one may do. */
  readonly tokenRefused: boolean
  readonly status: number | undefined
  readonly errorClass: string | undefined
  readonly sqlState: string | undefined
  readonly retryAfterMs: number | undefined
  /** One line without secrets, values and statement texts. */
  readonly told: string
}

/** What is known of the statement that failed. */
export interface FailedStatement {
  readonly label: string
  /** As the workspace's query history has it. */
  readonly queryId?: string | undefined
}

/**
 * Reads what the driver threw, by its shape: its classes are not loaded for it, most have no name, and one is no error.
 *
 * @returns undefined for what is no failure of the warehouse or of the way to it, such as a missing local file
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

/** @returns the error that the pipeline sees; `context.executed` tells whether the statement had an effect */
export function statementError(failure: DriverFailure, { label, queryId }: FailedStatement): TailraceError {
  const { errorClass, sqlState, executed, told, status } = failure
  const code =
    failure.kind === 'denied'
      ? 'WAREHOUSE_DENIED'
      : failure.kind === 'passing'
        ? 'WAREHOUSE_UNAVAILABLE'
        : 'STATEMENT_FAILED'
  const fate = executed === 'unknown' ? ', and whether it was executed is unknown' : ''
  return new TailraceError(code, `The statement "${label}" failed${fate}: ${told}`, {
    context: { errorClass, sqlState, queryId, executed, status, retryAfterMs: failure.retryAfterMs },
  })
}

/**
 * Whether a statement had an effect, by how far it had come.
 *
 * @param atSending what it means when it happens to the statement's own request
 */
export function executedIn(phase: StatementPhase, atSending: 'no' | 'failed' | 'unknown'): Executed {
  if (phase === 'session') return 'no'
  if (phase === 'send') return atSending
  return phase === 'wait' ? 'unknown' : 'yes'
}

interface Thrown {
  readonly name?: string
  readonly message?: string
  readonly code?: unknown
  readonly type?: unknown
  readonly errorCode?: unknown
  readonly statusCode?: unknown
  readonly response?: unknown
}

const transientClasses =
  /CONCURRENT|TEMPORARILY_UNAVAILABLE|RESOURCE_EXHAUSTED|REQUEST_LIMIT_EXCEEDED|DEADLINE_EXCEEDED|TIMEOUT_EXCEEDED|^DELTA_(?:METADATA|PROTOCOL)_CHANGED|^(?:OPERATION|QUERY)_CANCELED|WAREHOUSE_(?:STARTING|STOPPED)/

// Serialization failures (40…), Delta's conflicts (2D521), lost connections (08…), a statement that was ended from
// outside or for its time (HY008, 57014, 57KD0).
const transientStates = /^(?:40|08)...$|^(?:2D521|HY008|57014|57KD0)$/

const transientTexts =
  /temporarily unavailable|too many requests|(?:warehouse|cluster|endpoint)\b.*\b(?:starting|pending|restarting|terminating|stopp(?:ed|ing)|not running)|unexpected state (?:pending|restarting|terminat)/i

const deniedClasses =
  /PERMISSION|PRIVILEGE|ACCESS_DENIED|UNAUTHORIZED|UNAUTHENTICATED|INVALID_(?:ACCESS_)?TOKEN|FORBIDDEN/

/** Three servers say it in three ways, seen in databricks-sql-python#400, sqlframe#429 and lightdash#27953. */
const lostSessions =
  /invalid sessionhandle|session ?handle\b.*\b(?:closed|initialized|expired|not found)|\bsession\b.*\b(?:is closed|was closed|has expired|not found)/i

/** These are answered before anything of a statement is looked at. */
const refusedAtTheDoor: ReadonlySet<number> = new Set([400, 401, 403, 404, 407, 413, 429, 503])

const operationStates: ReadonlySet<unknown> = new Set(['CANCELED', 'CLOSED', 'ERROR', 'TIMEOUT', 'UNKNOWN'])

/** Without one of these on the wire, nothing of the request was. */
const neverConnected =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS_)/

function isOperationState(thrown: Thrown): boolean {
  return operationStates.has(thrown.errorCode) && 'response' in thrown
}

function ofOperation({ message, errorCode, response }: Thrown, phase: StatementPhase): DriverFailure {
  const reply = response as { readonly sqlState?: string; readonly errorMessage?: string } | undefined
  const read = ofText(message || reply?.errorMessage || '', phase, reply?.sqlState)
  if (phase === 'rows') return read
  // An operation that was closed under us, or whose state nobody knows, may have come to its end before.
  if (errorCode === 'CLOSED' || errorCode === 'UNKNOWN')
    return { ...read, kind: 'passing', executed: 'unknown' }
  const kind = errorCode === 'ERROR' ? read.kind : 'passing'
  return { ...read, kind, executed: 'failed' }
}

function ofText(text: string, phase: StatementPhase, toldState?: string): DriverFailure {
  const { errorClass, sqlState = toldState, told } = failureText(text)
  const sessionLost = lostSessions.test(text)
  // The handle of an operation goes with its session, and the statement's end with it.
  const handleLost = sessionLost || /invalid operationhandle/i.test(text)
  return {
    kind: handleLost ? 'passing' : kindOf(errorClass, sqlState || undefined, text),
    executed: executedIn(phase, handleLost ? 'no' : 'failed'),
    onTheWay: false,
    sessionLost: handleLost,
    tokenRefused: false,
    status: undefined,
    errorClass,
    sqlState: sqlState || undefined,
    retryAfterMs: undefined,
    told: told || 'no reason was given',
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
  // With a class the text has nothing to add, and may quote anything.
  return errorClass === undefined && transientTexts.test(text) ? 'passing' : 'refused'
}

function ofStatus(status: number, response: unknown, phase: StatementPhase, nowMs: number): DriverFailure {
  const header = headersOf(response)
  const said =
    header('x-thriftserver-error-message') ??
    header('x-databricks-error-or-redirect-message') ??
    header('x-databricks-reason-phrase') ??
    ''
  const read = ofText(said, phase)
  const denied = status === 401 || status === 403 || status === 407
  const passing = status === 408 || status === 429 || (status >= 500 && status !== 501)
  return {
    ...read,
    kind: denied ? 'denied' : passing ? 'passing' : read.kind,
    executed: executedIn(phase, refusedAtTheDoor.has(status) ? 'no' : 'unknown'),
    onTheWay: (denied || passing) && !read.sessionLost,
    // Where an upload was refused there is no answer to look at, and it was not our token.
    tokenRefused: response !== undefined && (status === 401 || status === 403),
    status,
    retryAfterMs: retryAfterMs(header('retry-after'), nowMs),
    told: said === '' ? `HTTP status ${status}` : `HTTP status ${status}, ${read.told}`,
  }
}

/** Where the driver gave up repeating, and where an upload failed, the status is only in the text. */
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
  // The message of a fetch has the URL, which for an upload is signed.
  const why = typeof code === 'string' ? code : bare(message)
  return noAnswer(executedIn(phase, early ? 'no' : 'unknown'), `the connection failed (${why})`)
}

/** Nothing answered: nobody said a word about the statement. */
export function noAnswer(executed: DriverFailure['executed'], told: string): DriverFailure {
  return {
    kind: 'passing',
    executed,
    onTheWay: true,
    sessionLost: false,
    tokenRefused: false,
    status: undefined,
    errorClass: undefined,
    sqlState: undefined,
    retryAfterMs: undefined,
    told,
  }
}

function bare(message: string): string {
  return failureText(message.replace(/https?:\/\/\S+/g, '…')).told
}

function headersOf(response: unknown): (name: string) => string | undefined {
  const headers = (response as { readonly headers?: { readonly get?: unknown } } | undefined)?.headers
  return (name) => {
    if (typeof headers?.get !== 'function') return undefined
    const value: unknown = headers.get(name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
}
