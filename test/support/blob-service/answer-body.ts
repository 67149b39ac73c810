import { Readable } from 'node:stream'

/**
 * The body of an answer, with the habits of `http.IncomingMessage` that the SDK relies on: one that breaks off emits
 * `aborted` before anything else, and an error that nobody listens for does not end the process.
 */
export class AnswerBody extends Readable {
  #complete = false

  /** The last byte was pushed. */
  complete(): void {
    this.#complete = true
    this.push(null)
  }

  /** The connection broke off. */
  lose(): void {
    this.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
  }

  override _read(): void {}

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.readableEnded || !this.#complete) this.emit('aborted')
    process.nextTick(() => callback(this.listenerCount('error') > 0 ? error : null))
  }
}
