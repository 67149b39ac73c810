import { randomUUID } from 'node:crypto'
import type { ScheduledFault } from './faults.ts'
import { SqlFailure, type StatementResult } from './warehouse-engine.ts'
import type { LoggedStatement, StatementState, WorkspaceLog } from './workspace-log.ts'

/** A statement on its way: running until it has ended in one way, and then for good. */
export class StatementOperation {
  readonly id = randomUUID()
  /** Settles with the statement's end, however it ends. */
  readonly ended: Promise<void>
  readonly #logged: LoggedStatement
  readonly #abort = new AbortController()
  #failure: SqlFailure | undefined
  #result: StatementResult | undefined
  #nextRow = 0
  #pollsLeft = Number.POSITIVE_INFINITY
  #tellEnded = (): void => {}
  #letGo = (): void => {}

  constructor(logged: LoggedStatement) {
    this.#logged = logged
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
  }

  get state(): StatementState {
    return this.#logged.state
  }

  get failure(): SqlFailure | undefined {
    return this.#failure
  }

  get result(): StatementResult | undefined {
    return this.#result
  }

  /**
   * Executes the statement, after the hold of a fault if there is one.
   *
   * @returns at the statement's end; never rejects
   */
  async run(
    execute: (signal: AbortSignal) => Promise<StatementResult>,
    scheduled: ScheduledFault | undefined,
    log: WorkspaceLog,
  ): Promise<void> {
    const { signal } = this.#abort
    const fault = scheduled?.rule.fault
    const held = fault?.kind === 'slow' ? scheduled : undefined
    const holdsEnd = fault?.kind === 'slow' && fault.holds === 'end'
    try {
      if (held !== undefined && !holdsEnd) await this.#hold(held)
      if (signal.aborted) return
      const result = await execute(signal)
      this.#logged.wasExecuted = true
      if (held !== undefined && holdsEnd) await this.#hold(held)
      this.#result = result
      this.#end('FINISHED')
    } catch (error) {
      if (!(error instanceof SqlFailure) && !signal.aborted) log.failures.push(error)
      this.#end('ERROR', error instanceof SqlFailure ? error : internalError(error))
    }
  }

  /** Cancels the statement in the engine, unless it has ended. */
  stop(as: 'CANCELED' | 'CLOSED' | 'TIMEDOUT', failure?: SqlFailure): void {
    this.#end(as, failure)
    this.#abort.abort()
    this.#letGo()
  }

  /** Counts a status poll. */
  poll(): StatementState {
    const { state } = this
    this.#pollsLeft -= 1
    if (this.#pollsLeft <= 0) this.#letGo()
    return state
  }

  /** Where the next rows begin, after which the place moves on by as many. */
  take(rows: number): number {
    const start = this.#nextRow
    this.#nextRow += rows
    return start
  }

  #hold({ rule, released }: ScheduledFault): Promise<void> {
    if (rule.fault.kind === 'slow') this.#pollsLeft = rule.fault.polls ?? Number.POSITIVE_INFINITY
    const letGo = new Promise<void>((resolve) => {
      this.#letGo = resolve
    })
    return Promise.race([released, letGo])
  }

  #end(state: StatementState, failure?: SqlFailure): void {
    if (this.#logged.state !== 'RUNNING') return
    this.#logged.state = state
    this.#failure = failure
    this.#tellEnded()
  }
}

function internalError(error: unknown): SqlFailure {
  return new SqlFailure('INTERNAL_ERROR', 'XX000', error instanceof Error ? error.message : String(error))
}
