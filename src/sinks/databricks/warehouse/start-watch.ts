import type { Clock } from '../../../clock.ts'
import type { Logger } from '../../../reporting/logger.ts'

/** A running warehouse answers most statements sooner, so the first log line comes after this time. */
const firstMs = 15_000
/** Interval of the following log lines. */
const nextMs = 30_000

/** Logs that a statement is waiting for its warehouse to start, which takes seconds to minutes, or is running long. */
export class StartWatch {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #label: string
  #message = 'waiting for the warehouse to start'
  #sinceMs = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, logger: Logger, label: string) {
    this.#clock = clock
    this.#logger = logger
    this.#label = label
  }

  /** Starts the watch, unless it is running. */
  begin(): void {
    if (this.#cancel !== undefined) return
    this.#sinceMs = this.#clock.now()
    this.#in(firstMs)
  }

  /** Call when the warehouse executes the statement. */
  running(): void {
    this.#message = 'the warehouse is executing the statement'
  }

  /** Stops the watch: the statement has ended, or it waits for something else. */
  end(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #in(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      const waitedMs = this.#clock.now() - this.#sinceMs
      this.#logger.info({ statement: this.#label, waitedMs }, this.#message)
      this.#in(nextMs)
    })
  }
}
