import { Readable, Writable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'

type Done = (error?: Error | null) => void

/** An object that a lane has written and that has not been taken. */
interface Offer {
  readonly inlet: Writable
  readonly value: unknown
  readonly taken: Done
  readonly atMs: number
}

/**
 * Merges the lanes of many blobs into one stream, in the order in which their objects arrive.
 *
 * Each lane writes to its own inlet, whose callback waits until the object is taken. So a lane holds at most one object
 * here, and a fast lane cannot starve a slow one.
 */
export class LaneMerge extends Readable {
  #waiting: Offer[] = []
  #wanted = false
  #openInlets = 0
  #closed = false
  #clock: Clock

  constructor(clock: Clock = systemClock) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#clock = clock
  }

  /** Since when the oldest object waits to be taken, in milliseconds since the epoch; undefined when none does. */
  get waitingSinceMs(): number | undefined {
    return this.#waiting[0]?.atMs
  }

  /**
   * Creates the last stage of one lane. When a lane fails, its waiting object is dropped.
   *
   * @param onTaken called for each object when it is taken; from then on it will land even if its lane fails
   */
  inlet<Value>(onTaken: (value: Value) => void = () => {}): Writable {
    this.#openInlets += 1
    const inlet: Writable = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (value: Value, _encoding: BufferEncoding, done: Done) => {
        if (this.destroyed) {
          done(closedError())
          return
        }
        const taken: Done = (error) => {
          if (error === undefined) onTaken(value)
          done(error)
        }
        this.#waiting.push({ inlet, value, taken, atMs: this.#clock.now() })
        this.#deliver()
      },
      destroy: (error, callback) => {
        this.#waiting = this.#waiting.filter((offer) => offer.inlet !== inlet)
        this.#openInlets -= 1
        this.#endIfDone()
        callback(error)
      },
    })
    return inlet
  }

  /** Ends the stream when the last inlet has ended. No inlet may be created afterwards. */
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
