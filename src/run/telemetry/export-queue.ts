import type { Clock } from '../../clock.ts'
import { isAbort } from '../../errors.ts'
import type { Logger } from '../../reporting/logger.ts'
import { isPowerOfTwo } from '../../reporting/retry-log.ts'

export interface ExportQueueOptions<Item> {
  /** Names the items in the log. */
  readonly name: string
  /** Items that wait or are being sent; further ones are dropped. */
  readonly maxItems: number
  /** Items of one request. */
  readonly maxBatchItems: number
  /** How long an item waits for others, in milliseconds. */
  readonly delayMs: number
  /**
   * Sends items, and repeats that where it may help.
   *
   * @returns how many of them the receiver refused
   */
  readonly send: (items: readonly Item[], signal: AbortSignal) => Promise<number>
  readonly clock: Clock
  readonly logger: Logger
}

/** What became of the items of a queue. */
export interface ExportCounts {
  readonly sent: number
  /** Dropped because the queue was full. */
  readonly overflowed: number
  /** Dropped because they could not be sent, or were refused. */
  readonly failed: number
}

/**
 * Sends items in the background, one request at a time. It never blocks and never fails: items that cannot be sent are
 * dropped and counted.
 */
export class ExportQueue<Item> {
  readonly #options: ExportQueueOptions<Item>
  readonly #aborting = new AbortController()
  #waiting: Item[] = []
  #sendingCount = 0
  #sending: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #failuresInRow = 0
  #counts: ExportCounts = { sent: 0, overflowed: 0, failed: 0 }

  constructor(options: ExportQueueOptions<Item>) {
    this.#options = options
  }

  get counts(): ExportCounts {
    return this.#counts
  }

  add(item: Item): void {
    const { maxItems, maxBatchItems, delayMs, clock } = this.#options
    if (this.#aborting.signal.aborted || this.#waiting.length + this.#sendingCount >= maxItems) {
      this.#count({ overflowed: 1 })
      return
    }
    this.#waiting.push(item)
    if (this.#waiting.length >= maxBatchItems) this.#send()
    else this.#cancelTimer ??= clock.after(delayMs, () => this.#send())
  }

  /** Sends what waits, until the signal fires. Nothing is sent after that. */
  async close(signal: AbortSignal): Promise<void> {
    const abort = (): void => this.#aborting.abort()
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    this.#send()
    await this.#sending
    signal.removeEventListener('abort', abort)
    abort()
  }

  #send(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#sending ??= this.#sendWaiting().finally(() => {
      this.#sending = undefined
    })
  }

  async #sendWaiting(): Promise<void> {
    const { maxBatchItems, send, name, logger } = this.#options
    const { signal } = this.#aborting
    while (this.#waiting.length > 0) {
      const items = this.#waiting.splice(0, maxBatchItems)
      this.#sendingCount = items.length
      try {
        signal.throwIfAborted()
        const refused = await send(items, signal)
        this.#count({ sent: items.length - refused, failed: refused })
        this.#failuresInRow = 0
      } catch (error) {
        this.#count({ failed: items.length })
        this.#failuresInRow += 1
        // The line is one of the items to send, too. It cannot multiply: days of failures have a few lines.
        if (!isAbort(error) && isPowerOfTwo(this.#failuresInRow))
          logger.warn(
            { err: error, failures: this.#failuresInRow, dropped: items.length },
            `${name} were not sent: they are dropped`,
          )
      } finally {
        this.#sendingCount = 0
      }
    }
  }

  #count(more: Partial<ExportCounts>): void {
    const { sent, overflowed, failed } = this.#counts
    this.#counts = {
      sent: sent + (more.sent ?? 0),
      overflowed: overflowed + (more.overflowed ?? 0),
      failed: failed + (more.failed ?? 0),
    }
  }
}
