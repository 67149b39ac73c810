import { Transform, type TransformCallback } from 'node:stream'
import { isTailraceError, type TailraceError } from '../../errors.ts'

/**
 * An object-mode Transform that emits any number of objects per input, and waits for room before each.
 *
 * A plain Transform buffers all that it pushes for one input. Where a few bytes expand to gigabytes, that buffer would
 * not be bounded.
 */
export abstract class Expander<Input, Output> extends Transform {
  #roomFound: (() => void) | undefined
  #onRefused: ((error: TailraceError) => void) | undefined
  #isRefused = false

  /**
   * @param onRefused called once with SOURCE_UNSUPPORTED for input that cannot be expanded; later input is dropped.
   *   Default: the stream is destroyed with the error
   */
  constructor(onRefused?: (error: TailraceError) => void) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#onRefused = onRefused
  }

  /** The outputs of one input. The next one is requested only when there is room for it. */
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
    this.#resume()
    super._read(bytes)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#resume()
    callback(error)
  }

  async #expand(input: Input): Promise<void> {
    for await (const output of this.outputsOf(input)) {
      if (this.destroyed) return
      if (!this.push(output)) await new Promise<void>((resolve) => (this.#roomFound = resolve))
    }
  }

  #resume(): void {
    const resolve = this.#roomFound
    this.#roomFound = undefined
    resolve?.()
  }
}
