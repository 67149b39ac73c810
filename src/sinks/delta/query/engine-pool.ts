import { TailraceError } from '../../../errors.ts'

export interface EnginePoolOptions<Opened> {
  /** Engines that are in use at once. */
  readonly engines: number
  /** Calls that may wait for one. */
  readonly maxWaiting: number
  /** Whether an engine is used again. */
  readonly isKept: boolean
  readonly close: (opened: Opened) => Promise<void>
}

/** Hands out engines, each to one user at a time, and keeps them open between uses. */
export class EnginePool<Opened> {
  readonly #options: EnginePoolOptions<Opened>
  readonly #idle: Opened[] = []
  readonly #waiting: (() => void)[] = []
  readonly #uses = new Set<Promise<unknown>>()
  #inUse = 0

  constructor(options: EnginePoolOptions<Opened>) {
    this.#options = options
  }

  /**
   * @param signal ends the wait for an engine
   * @param work gets an idle engine, if there is one, and returns the engine that it used in the end, with its result.
   *   When `work` or its result fails because of the engine itself, the engine is closed
   * @throws QUERY_BUSY
   */
  async use<Result>(
    signal: AbortSignal,
    work: (
      idle: Opened | undefined,
    ) => Promise<{ readonly opened: Opened; readonly result: Promise<Result> }>,
  ): Promise<Result> {
    await this.#turn(signal)
    const using = this.#run(work)
    this.#uses.add(using)
    try {
      return await using
    } finally {
      this.#uses.delete(using)
      const next = this.#waiting.shift()
      // The next one takes over the place, so that nobody can come in between.
      if (next === undefined) this.#inUse -= 1
      else next()
    }
  }

  /** Waits for the uses under way, and closes all engines. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#uses)
    await Promise.all(this.#idle.splice(0).map((opened) => this.#options.close(opened)))
  }

  async #run<Result>(
    work: (
      idle: Opened | undefined,
    ) => Promise<{ readonly opened: Opened; readonly result: Promise<Result> }>,
  ): Promise<Result> {
    const idle = this.#idle.pop()
    const { opened, result } = await work(idle).catch(async (error: unknown) => {
      if (idle !== undefined) await this.#options.close(idle)
      throw error
    })
    let { isKept } = this.#options
    try {
      return await result
    } catch (error) {
      // After such an error the engine refuses all statements.
      isKept &&= !/\b(?:INTERNAL|FATAL) Error/.test(String(error))
      throw error
    } finally {
      if (isKept) this.#idle.push(opened)
      else await this.#options.close(opened)
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#inUse < this.#options.engines) {
      this.#inUse += 1
      return
    }
    if (this.#waiting.length >= this.#options.maxWaiting) {
      const { engines, maxWaiting } = this.#options
      throw new TailraceError('QUERY_BUSY', `${engines} statements run and ${maxWaiting} wait.`)
    }
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1)
        reject(signal.reason)
      }
      this.#waiting.push(begin)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }
}
