import { type Clock, Deadline } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { longerPause, type RetryOptions, retry } from '../../../retry.ts'
import type { TakeRows } from '../../encoding/row-stream.ts'
import type { TokenSource, WorkspaceAddress } from '../workspace/auth.ts'
import {
  type DriverFailure,
  driverFailure,
  executedIn,
  isFinal,
  noAnswer,
  type StatementPhase,
  statementError,
} from './driver-error.ts'
import {
  type DriverOperation,
  DriverSession,
  type DriverStatementOptions,
  type StatementRows,
  statementRows,
} from './driver-session.ts'
import { isMissingRight, setupError, tokenRefusal } from './setup-error.ts'
import { StartWatch } from './start-watch.ts'
import type { Statement, StatementRow, StreamingWarehouse } from './warehouse.ts'

export interface SqlWarehouseOptions {
  readonly address: WorkspaceAddress
  readonly tokens: TokenSource
  /** Names the pipeline in the workspace's query history. */
  readonly pipeline: string
  readonly clock: Clock
  readonly logger: Logger
  /** How transient failures are retried; the clock and the signal are added. */
  readonly retry?: Pick<RetryOptions, 'policy' | 'random' | 'onRetry' | 'giveUp'> | undefined
  /** Ends the running and all waiting statements with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Longest execution of one statement, in milliseconds, rounded up to seconds. Default 600,000. */
  readonly statementMs?: number | undefined
  /** Longest additional wait for the warehouse to start, in milliseconds. Default 900,000. */
  readonly startMs?: number | undefined
  /** Longest single request, in milliseconds. Default 120,000. */
  readonly requestMs?: number | undefined
  /** Longest wait for closing a statement or session, in milliseconds. Default 5,000. */
  readonly closeMs?: number | undefined
}

/** Fetches the rows of a finished statement. */
type FetchRows = (rows: StatementRows, deadline: Deadline) => Promise<void>

/** Progress of one attempt to execute a statement. */
interface Attempt {
  phase: StatementPhase
  operation: DriverOperation | undefined
}

/**
 * Executes statements with Databricks' driver, one at a time, in a session opened by the first statement.
 *
 * The driver's own retries are off, and it has no timeout for a silent server, so both are done here.
 */
export class SqlWarehouse implements StreamingWarehouse {
  readonly location: string
  readonly #options: SqlWarehouseOptions
  readonly #requestMs: number
  readonly #statementMs: number
  readonly #startMs: number
  readonly #closeMs: number
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  #session: DriverSession | undefined
  /** Settles when the statements before have ended. */
  #turn: Promise<void> = Promise.resolve()
  /** The token of the last request. */
  #token: string | undefined
  /** The last refused token and the refusal; reset when a statement is accepted. */
  #refused: (Pick<DriverFailure, 'status' | 'summary'> & { readonly token: string | undefined }) | undefined
  /** Failures of unknown classes since a statement has succeeded. */
  #unknownFailures = 0
  /** Abandoned sessions that are being closed in the background. */
  readonly #retiring = new Set<Promise<void>>()

  constructor(options: SqlWarehouseOptions) {
    this.#options = options
    this.location = `${options.address.host}${options.address.httpPath}`
    this.#requestMs = options.requestMs ?? 120_000
    this.#statementMs = options.statementMs ?? 600_000
    this.#startMs = options.startMs ?? 900_000
    this.#closeMs = options.closeMs ?? 5_000
    const { signal } = options
    this.#signal =
      signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
  }

  async execute(statement: Statement): Promise<readonly StatementRow[]> {
    let all: StatementRow[] = []
    await this.#inTurn(statement, async ({ next }, deadline) => {
      all = []
      for (let part = await deadline.race(next()); part !== undefined; part = await deadline.race(next()))
        all = all.concat(part)
    })
    return all
  }

  async stream(statement: Statement, take: TakeRows): Promise<void> {
    await this.#inTurn(statement, async ({ columns, types, next }, deadline) => {
      for (let part: readonly StatementRow[] | undefined = []; part !== undefined; ) {
        // The receiver of the rows has no time limit.
        deadline.pause()
        const rows = part.map((row) => columns.map((column) => row[column]))
        if (!(await take({ columns, types, rows }))) return
        deadline.next('rows of the statement', this.#requestMs)
        do part = await deadline.race(next())
        while (part?.length === 0)
      }
    })
  }

  async #inTurn(statement: Statement, fetch: FetchRows): Promise<void> {
    const before = this.#turn
    let done = (): void => {}
    this.#turn = new Promise((resolve) => {
      done = resolve
    })
    try {
      await before
      await this.#repeated(statement, fetch)
    } finally {
      done()
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#briefly(this.#turn, 'ending what waits')
    this.#retire()
    await Promise.all(this.#retiring)
  }

  async #repeated(statement: Statement, fetch: FetchRows): Promise<void> {
    const { clock, logger } = this.#options
    const watch = new StartWatch(clock, logger, statement.label)
    const mayRepeat = (error: unknown): boolean =>
      statement.repeatable || (isTailraceError(error) && withoutEffect.has(error.context.executed))
    const options = this.#retryOptions()
    const attempt = (): Promise<void> => this.#attempt(statement, fetch, watch)
    try {
      await retry(() => statement.inTurn?.(attempt) ?? attempt(), {
        ...options,
        giveUp: (event) =>
          !mayRepeat(event.error) ||
          clock.now() + event.pauseMs > (statement.sendBeforeMs ?? Number.POSITIVE_INFINITY) ||
          options.giveUp?.(event) === true,
      })
    } finally {
      watch.end()
    }
  }

  #retryOptions(): RetryOptions {
    return { ...this.#options.retry, clock: this.#options.clock, signal: this.#signal }
  }

  async #attempt(statement: Statement, fetch: FetchRows, watch: StartWatch): Promise<void> {
    const { clock } = this.#options
    const deadline = new Deadline(clock, 'session', this.#requestMs, this.#signal)
    const attempt: Attempt = { phase: 'session', operation: undefined }
    const wholeMs = this.#startMs + this.#statementMs
    const isStaging = isStagingStatement(statement)
    try {
      watch.begin()
      const opened = await this.#opened(deadline)
      if (clock.now() > (statement.sendBeforeMs ?? Number.POSITIVE_INFINITY)) {
        throw new TailraceError(
          'WAREHOUSE_UNAVAILABLE',
          `The statement "${statement.label}" waited too long.`,
        )
      }
      attempt.phase = 'send'
      if (isStaging) deadline.next('end of the statement', wholeMs)
      else deadline.next('answer to the statement', this.#requestMs)
      const sent = opened.session.executeStatement(statement.sql, this.#statementOptions(statement))
      const operation = await deadline.race(sent, (late) => void late.cancel().catch(() => {}))
      attempt.operation = operation
      this.#refused = undefined
      if (!isStaging) {
        attempt.phase = 'wait'
        deadline.next('end of the statement', wholeMs)
        await this.#finished(opened, operation, statement, watch, deadline)
      }
      attempt.phase = 'rows'
      deadline.next('rows of the statement', this.#requestMs)
      if (!isStaging) await fetch(await deadline.race(statementRows(operation, opened.typeIds)), deadline)
      this.#unknownFailures = 0
      // Closed only after the rows were fetched, because closing a running statement stops it.
      await this.#briefly(operation.close(), 'closing a statement')
    } catch (error) {
      throw this.#failed(error, attempt, statement, watch, deadline)
    } finally {
      deadline.clear()
    }
  }

  async #opened(deadline: Deadline): Promise<DriverSession> {
    const { address, logger, pipeline } = this.#options
    this.#session ??= await DriverSession.open(
      {
        address,
        token: () => this.#currentToken(),
        logger,
        socketMs: this.#requestMs,
        configuration: { TIMEZONE: 'UTC', STATEMENT_TIMEOUT: String(Math.ceil(this.#statementMs / 1000)) },
        queryTags: queryTags({ pipeline }),
      },
      deadline,
    )
    return this.#session
  }

  /** @throws WAREHOUSE_DENIED when the only token is the refused one */
  async #currentToken(): Promise<string> {
    const refused = this.#refused
    const { value } = await this.#options.tokens.token({
      signal: this.#signal,
      rejected: refused?.token,
    })
    if (value === refused?.token) {
      // A later attempt may try the token again.
      this.#refused = undefined
      throw new TailraceError('WAREHOUSE_DENIED', tokenRefusal(this.#options.address, refused))
    }
    this.#token = value
    return value
  }

  #statementOptions(statement: Statement): DriverStatementOptions {
    const { parameters, uploadsFrom, removesFile, batch, label } = statement
    const options: DriverStatementOptions = {
      // Results are small. Large ones would be downloaded from storage, which needs another network route.
      useCloudFetch: false,
      queryTags: queryTags({ pipeline: this.#options.pipeline, batch, statement: label }),
    }
    if (parameters !== undefined) options.namedParameters = { ...parameters }
    // The driver also requires an allowed path for REMOVE; an empty list allows no upload.
    const allowed = uploadsFrom ?? (removesFile === true ? [] : undefined)
    if (allowed !== undefined) options.stagingAllowedLocalPath = allowed
    return options
  }

  /** Waits for a statement's end. The statement continues when a connection fails, so polling is retried. */
  async #finished(
    { runningState, waitingStates }: DriverSession,
    operation: DriverOperation,
    { label }: Statement,
    watch: StartWatch,
    deadline: Deadline,
  ): Promise<void> {
    const { clock } = this.#options
    await retry(async () => {
      try {
        for (let pauseMs = firstPollMs; ; pauseMs = longerPause(pauseMs, maxPollMs)) {
          const { operationState } = await deadline.race(operation.status(false))
          if (operationState === runningState) watch.running()
          if (operationState === undefined || !waitingStates.has(operationState)) break
          await deadline.race(clock.sleep(pauseMs, deadline.signal))
        }
        // The statement has ended: the driver reads how, and makes its errors of it.
        await deadline.race(operation.finished())
      } catch (error) {
        if (deadline.signal.aborted) throw error
        const failure = driverFailure(error, 'wait', this.#options.clock.now())
        if (failure?.onTheWay !== true || !this.#mayPass(failure)) throw error
        throw statementError({ ...failure, kind: 'passing' }, { label, queryId: operation.id })
      }
    }, this.#retryOptions())
  }

  /** Whether a failure is retried. A refused token is replaced once; a second refusal has another cause. */
  #mayPass(failure: DriverFailure): boolean {
    if (!failure.tokenRefused || isMissingRight(failure)) return failure.kind === 'passing'
    const isFirst = this.#refused === undefined
    this.#refused = isFirst ? { ...failure, token: this.#token } : undefined
    return isFirst
  }

  /** Whether a failure of an unknown class is worth some more attempts of a statement that may be repeated. */
  #mayBeChance(failure: DriverFailure): boolean {
    if (isFinal(failure)) return false
    this.#unknownFailures += 1
    return this.#unknownFailures < maxUnknownFailures
  }

  /** Cleans up after a failed attempt. @returns the error to throw */
  #failed(
    error: unknown,
    { phase, operation }: Attempt,
    statement: Statement,
    watch: StartWatch,
    deadline: Deadline,
  ): unknown {
    const { label, repeatable, batch } = statement
    const known = { label, queryId: operation?.id }
    if (this.#signal.aborted || deadline.expired !== undefined) {
      this.#retire(operation)
      watch.end()
      return this.#signal.aborted
        ? this.#signal.reason
        : statementError(noAnswer(executedIn(phase, 'unknown'), deadline.expired?.message ?? ''), known)
    }
    if (isTailraceError(error)) {
      // The error came from getting a token or from polling for the statement's end.
      if (phase === 'wait') this.#retire(operation)
      if (error.context.executed !== undefined) return error
      const executed = executedIn(phase, 'no')
      return new TailraceError(error.code, error.message, {
        context: { ...error.context, queryId: operation?.id, executed },
        cause: error.cause,
      })
    }
    const failure = driverFailure(error, phase, this.#options.clock.now())
    if (failure === undefined) {
      this.#retire(operation)
      return error
    }
    if (failure.sessionLost) this.#drop()
    else if (operation !== undefined) void this.#briefly(operation.close(), 'closing a failed statement')
    // Nothing answers: the wait is for the network and not for the warehouse's start.
    if (failure.onTheWay && failure.status === undefined) watch.end()
    const passes =
      this.#mayPass(failure) ||
      ((repeatable || batch !== undefined) && failure.kind === 'refused' && this.#mayBeChance(failure))
    const judged = passes ? { ...failure, kind: 'passing' as const } : failure
    const place = {
      address: this.#options.address,
      phase,
      isStaging: isStagingStatement(statement),
      storageHost: this.#session?.storageHost,
      queryId: operation?.id,
    }
    return setupError(judged, place) ?? statementError(judged, known)
  }

  /** Abandons the session and its statement: ends both on the server in the background, then closes the connections. */
  #retire(operation?: DriverOperation): void {
    const session = this.#session
    this.#session = undefined
    if (session === undefined) return
    const ending = (async () => {
      if (operation !== undefined) await this.#briefly(operation.cancel(), 'canceling a statement')
      await this.#briefly(session.close(), 'closing a session')
      session.destroy()
    })()
    this.#retiring.add(ending)
    void ending.finally(() => this.#retiring.delete(ending))
  }

  /** Forgets a session that no longer exists on the server. */
  #drop(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  /** Waits up to `closeMs` for cleanup whose failure does no harm. */
  async #briefly(work: Promise<unknown>, what: string): Promise<void> {
    const { clock, logger } = this.#options
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(this.#closeMs, resolve)
    })
    const done = work.then(
      () => {},
      (error: unknown) => {
        const summary = driverFailure(error, 'rows', clock.now())?.summary
        logger.debug({ summary }, `${what} failed`)
      },
    )
    await Promise.race([done, late])
    cancel()
  }
}

/** For PUT and REMOVE, the driver transfers or removes the file before `executeStatement` returns. */
function isStagingStatement({ uploadsFrom, removesFile }: Statement): boolean {
  return uploadsFrom !== undefined || removesFile === true
}

/** Consecutive failures of unknown classes after which a statement is given up. */
const maxUnknownFailures = 8

/** The first and the longest pause between two polls of a statement's state, in milliseconds. The driver polls every 100. */
const firstPollMs = 100
const maxPollMs = 5_000

/** Values of `Executed` after which even a statement that is not repeatable may be sent again. */
const withoutEffect: ReadonlySet<unknown> = new Set(['no', 'failed'])

/** Limit of Databricks for the value of a query tag. */
const maxTagCharacters = 128

/** @returns the tags that the workspace's query history shows for a statement, without undefined ones. */
export function queryTags(tags: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value.slice(0, maxTagCharacters)] as const],
    ),
  )
}
