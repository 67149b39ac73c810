import { Readable, Writable } from 'node:stream'

type Done = (error?: Error | null) => void

/**
 * Merges the lanes of many blobs into one stream, in the order in which their objects arrive.
 *
 * Each lane writes to its own inlet and gets its callback when its object has been taken, so every lane holds
 * at most one object here, and no lane can overtake another twice in a row while both have something.
 */
export class LaneMerge extends Readable {
  #waiting: { readonly value: unknown; readonly taken: Done }[] = []
  #wanted = false
  #openInlets = 0
  #closed = false

  constructor() {
    super({ objectMode: true, highWaterMark: 1 })
  }

  /** The last stage of one lane. */
  inlet(): Writable {
    this.#openInlets += 1
    const leave = (): void => {
      this.#openInlets -= 1
      this.#endIfDone()
    }
    return new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (value: unknown, _encoding, taken) => {
        if (this.destroyed) {
          taken(closedError())
          return
        }
        this.#waiting.push({ value, taken })
        this.#deliver()
      },
      destroy: (error, callback) => {
        leave()
        callback(error)
      },
    })
  }

  /** No more lanes will come: the stream ends when the last inlet has. */
  close(): void {
    this.#closed = true
    this.#endIfDone()
  }

  override _read(): void {
    this.#wanted = true
    this.#deliver()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    for (const { taken } of this.#waiting.splice(0)) taken(error ?? closedError())
    callback(error)
  }

  #deliver(): void {
    if (!this.#wanted) return
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#wanted = false
    this.push(next.value)
    next.taken()
  }

  #endIfDone(): void {
    if (this.#closed && this.#openInlets === 0 && !this.destroyed) this.push(null)
  }
}

function closedError(): Error {
  return new Error('The merged stream is closed.')
}
