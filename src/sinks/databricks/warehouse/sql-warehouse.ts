import type { Clock } from '../../../clock.ts'
import { Deadline } from '../../../deadline.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { Logger } from '../../../reporting/logger.ts'
import type { TakeRows } from '../../../reporting/row-batch.ts'
import { type RetryOptions, retry } from '../../../retry.ts'
import type { TokenSource, WorkspaceAddress } from '../workspace/auth.ts'
import {
  type DriverFailure,
  driverFailure,
  executedIn,
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
import { StartWatch } from './start-watch.ts'
import type { Statement, StatementRow, StreamingWarehouse } from './warehouse.ts'

export interface SqlWarehouseOptions {
  readonly address: WorkspaceAddress
  readonly tokens: TokenSource
  /** Names the pipeline in the workspace's query history. */
  readonly pipeline: string
  readonly clock: Clock
  readonly logger: Logger
  /** How transient faults are waited out; the clock and the signal are added. */
  readonly retry?: Pick<RetryOptions, 'policy' | 'random' | 'onRetry' | 'giveUp'>
  /** Ends what is under way and all that waits, with its reason. */
  readonly signal?: AbortSignal | undefined
  /** How long the warehouse may work at one statement, in milliseconds, whole seconds. Default 600,000. */
  readonly statementMs?: number
  /** How long a statement may wait in addition for a warehouse to start, in milliseconds. Default 900,000. */
  readonly startMs?: number
  /** How long one request may take, in milliseconds. Default 120,000. */
  readonly requestMs?: number
  /** How long closing may take, in milliseconds. Default 5,000. */
  readonly closeMs?: number
}

/** Takes the rows of a statement that has ended. */
type FetchRows = (rows: StatementRows, deadline: Deadline) => Promise<void>

/** What an attempt at a statement has come to. */
interface Attempt {
  phase: StatementPhase
  operation: DriverOperation | undefined
}

/**
 * A SQL warehouse, by Databricks' driver: one session with one statement at a time, opened with the first statement.
 *
 * The driver repeats nothing by itself here, and has no limit of time that a silent server would end at.
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
  /** The token that was refused last, and how; undefined since a statement was accepted. */
  #refused: { readonly token: string | undefined; readonly told: string } | undefined
  /** Sessions that are given up and being ended. */
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
    await this.#inTurn(statement, async ({ columns, next }, deadline) => {
      for (let part: readonly StatementRow[] | undefined = []; part !== undefined; ) {
        // Whoever takes the rows may take their time.
        deadline.pause()
        const rows = part.map((row) => columns.map((column) => row[column]))
        if (!(await take({ columns, rows }))) return
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
    try {
      await retry(() => this.#attempt(statement, fetch, watch), {
        ...options,
        giveUp: (event) => !mayRepeat(event.error) || options.giveUp?.(event) === true,
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
    // The driver moves the file before it gives the statement back.
    const isStaging = statement.uploadsFrom !== undefined || statement.removesFile === true
    try {
      watch.begin()
      const opened = await this.#opened(deadline)
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
      if (!isStaging) await fetch(await deadline.race(statementRows(operation, opened.bigintType)), deadline)
      // Only now: closing a statement before its end stops it.
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

  /** @throws WAREHOUSE_DENIED when there is no other token than the one that was refused */
  async #currentToken(): Promise<string> {
    const refused = this.#refused
    const { value } = await this.#options.tokens.token({
      signal: this.#signal,
      ...(refused?.token === undefined ? {} : { rejected: refused.token }),
    })
    if (value === refused?.token) {
      // Whoever tries again later means the token anew.
      this.#refused = undefined
      throw new TailraceError('WAREHOUSE_DENIED', `${this.location} refuses the token: ${refused.told}`)
    }
    this.#token = value
    return value
  }

  #statementOptions(statement: Statement): DriverStatementOptions {
    const { parameters, uploadsFrom, removesFile, batch, label } = statement
    // Nothing may be uploaded where a file is removed.
    const allowed = uploadsFrom ?? (removesFile === true ? [] : undefined)
    return {
      // Results are small; big ones would come from storage, by another way through the network.
      useCloudFetch: false,
      queryTags: queryTags({ pipeline: this.#options.pipeline, batch, statement: label }),
      ...(parameters === undefined ? {} : { namedParameters: { ...parameters } }),
      ...(allowed === undefined ? {} : { stagingAllowedLocalPath: allowed }),
    }
  }

  /** Waits for a statement's end. It goes on when the way to it fails, so the question is asked again. */
  async #finished(
    { runningState }: DriverSession,
    operation: DriverOperation,
    { label }: Statement,
    watch: StartWatch,
    deadline: Deadline,
  ): Promise<void> {
    const callback = ({ operationState }: { readonly operationState?: number }): void => {
      if (operationState === runningState) watch.running()
    }
    await retry(async () => {
      try {
        await deadline.race(operation.finished({ callback }))
      } catch (error) {
        if (deadline.signal.aborted) throw error
        const failure = driverFailure(error, 'wait', this.#options.clock.now())
        if (failure?.onTheWay !== true || !this.#mayPass(failure)) throw error
        throw statementError({ ...failure, kind: 'passing' }, { label, queryId: operation.id })
      }
    }, this.#retryOptions())
  }

  /** A refused token is replaced once; a second refusal is about something else. */
  #mayPass(failure: DriverFailure): boolean {
    if (!failure.tokenRefused) return failure.kind === 'passing'
    const isFirst = this.#refused === undefined
    this.#refused = isFirst ? { token: this.#token, told: failure.told } : undefined
    return isFirst
  }

  /** @returns what a failed attempt came to, with what is left of it given up */
  #failed(
    error: unknown,
    { phase, operation }: Attempt,
    { label }: Statement,
    watch: StartWatch,
    deadline: Deadline,
  ): unknown {
    const known = { label, queryId: operation?.id }
    if (this.#signal.aborted || deadline.expired !== undefined) {
      this.#retire(operation)
      watch.end()
      return this.#signal.aborted
        ? this.#signal.reason
        : statementError(noAnswer(executedIn(phase, 'unknown'), deadline.expired?.message ?? ''), known)
    }
    if (isTailraceError(error)) {
      // It came from asking for a token, or from asking in vain for the statement's end.
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
    // Nothing answers: it is the network that is waited for.
    if (failure.onTheWay && failure.status === undefined) watch.end()
    return statementError(this.#mayPass(failure) ? { ...failure, kind: 'passing' } : failure, known)
  }

  /** Gives the session up, and the statement in it: ends both on the server in the background, then cuts the connections. */
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

  /** The session is gone on the server. */
  #drop(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  /** Waits for what is only good manners, and not for long. */
  async #briefly(work: Promise<unknown>, what: string): Promise<void> {
    const { clock, logger } = this.#options
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(this.#closeMs, resolve)
    })
    const done = work.then(
      () => {},
      (error: unknown) => {
        const told = driverFailure(error, 'rows', clock.now())?.told
        logger.debug({ told }, `${what} failed`)
      },
    )
    await Promise.race([done, late])
    cancel()
  }
}

/** Fates of a statement after which it may be sent again even when it is not repeatable. */
const withoutEffect: ReadonlySet<unknown> = new Set(['no', 'failed'])

/** Databricks takes tags of up to this many characters. */
const longestTag = 128

/** What the workspace's query history shows beside a statement; a tag without a value is left out. */
export function queryTags(tags: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value.slice(0, longestTag)] as const],
    ),
  )
}
