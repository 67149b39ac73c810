import type { Clock } from '../../../clock.ts'
import type { Logger } from '../../../reporting/logger.ts'

/** A warehouse that is up answers most statements sooner than this, in milliseconds. */
const firstMs = 15_000
const nextMs = 30_000

/** Tells while a statement waits for a warehouse that is not up, which takes seconds or some minutes, or runs long. */
export class StartWatch {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #label: string
  #told = 'waiting for the warehouse to start'
  #sinceMs = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, logger: Logger, label: string) {
    this.#clock = clock
    this.#logger = logger
    this.#label = label
  }

  /** Begins to wait, unless it waits already. */
  begin(): void {
    if (this.#cancel !== undefined) return
    this.#sinceMs = this.#clock.now()
    this.#in(firstMs)
  }

  /** The warehouse is up and works at the statement. */
  running(): void {
    this.#told = 'the warehouse works at the statement'
  }

  /** The statement has ended, or it is something else that it waits for. */
  end(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #in(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      const waitedMs = this.#clock.now() - this.#sinceMs
      this.#logger.info({ statement: this.#label, waitedMs }, this.#told)
      this.#in(nextMs)
    })
  }
}
