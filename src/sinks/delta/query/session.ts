import { SerialQueue } from '../../../offsets/serial-queue.ts'
import type { QuerySession, SessionRequest, SessionStatement } from '../../sink.ts'
import type { DeltaTarget } from '../options.ts'
import { type OpenedViews, openViews } from './opened-views.ts'
import { logReadings, queryViews } from './query.ts'

/** Statements over Delta tables by one engine, whose views are created again only when a table has a new version. */
export class DeltaQuerySession implements QuerySession {
  readonly #targets: readonly DeltaTarget[]
  readonly #request: SessionRequest
  readonly #queue = new SerialQueue()
  #opened: OpenedViews | undefined

  constructor(targets: readonly DeltaTarget[], request: SessionRequest) {
    this.#targets = targets
    this.#request = request
  }

  run(statement: SessionStatement): Promise<void> {
    return this.#queue.run(async () => {
      const { unsafe, logger } = this.#request
      const { engine, views } = await this.#currentViews()
      try {
        const { sql, take, signal } = statement
        logReadings(await queryViews(engine, views, sql, { unsafe, take, signal }), logger)
      } finally {
        // A statement that may change anything leaves its views filled.
        if (unsafe) await this.#closeViews()
      }
    })
  }

  close(): Promise<void> {
    return this.#queue.run(() => this.#closeViews())
  }

  async #currentViews(): Promise<OpenedViews> {
    if (this.#opened !== undefined && !(await this.#opened.areCurrent())) await this.#closeViews()
    this.#opened ??= await openViews(this.#targets, this.#request)
    return this.#opened
  }

  async #closeViews(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.close()
  }
}
