import { Transform, type TransformCallback } from 'node:stream'
import { isTailraceError, type TailraceError } from '../../errors.ts'

/**
 * An object-mode Transform that makes any number of objects of one, and waits until each has been taken.
 *
 * A plain Transform buffers whatever it pushes for one input; where a few bytes can become gigabytes, that would
 * be the end of bounded memory.
 */
export abstract class Expander<Input, Output> extends Transform {
  #roomFound: (() => void) | undefined
  #onRefused: ((error: TailraceError) => void) | undefined
  #isRefused = false

  /**
   * @param onRefused hears of input that cannot be taken apart; what came before it still goes its way, and what comes
   *   after it is dropped. Default: the stream is destroyed with the error
   */
  constructor(onRefused?: (error: TailraceError) => void) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#onRefused = onRefused
  }

  /** What one input becomes; asked for the next only when there is room for it. */
  protected abstract outputsOf(input: Input): Iterable<Output> | AsyncIterable<Output>

  override _transform(input: Input, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#isRefused) {
      done()
      return
    }
    this.#expand(input).then(
      () => done(),
      (error: Error) => {
        if (this.#onRefused === undefined || !isTailraceError(error, 'SOURCE_UNSUPPORTED')) {
          done(error)
          return
        }
        this.#isRefused = true
        this.#onRefused(error)
        done()
      },
    )
  }

  override _read(bytes: number): void {
    this.#goOn()
    super._read(bytes)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#goOn()
    callback(error)
  }

  async #expand(input: Input): Promise<void> {
    for await (const output of this.outputsOf(input)) {
      if (this.destroyed) return
      if (!this.push(output)) await new Promise<void>((resolve) => (this.#roomFound = resolve))
    }
  }

  #goOn(): void {
    const resolve = this.#roomFound
    this.#roomFound = undefined
    resolve?.()
  }
}
