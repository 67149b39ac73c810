import { Transform, type TransformCallback } from 'node:stream'
import { TailraceError } from '../errors.ts'
import type { Entry, EntryBlock } from '../records.ts'
import {
  entriesFor,
  type LogRecord,
  type PlacedRecord,
  recordOf,
  rejectedBy,
  renumbered,
  type StreamTransform as StreamTransformConfig,
} from './record-transform.ts'

/**
 * Sends every record of a block through a user's own object-mode Transform.
 *
 * What the Transform pushes before it calls back belongs to the record it was given. A Transform that pushes
 * later would let offsets pass records it still holds, so that is an error. A Transform that fails makes the
 * record a rejected row and is replaced by a new one, because a failed stream takes no more.
 */
export class StreamTransform extends Transform {
  #config: StreamTransformConfig
  #pipeline: string
  #inner: Transform
  #pushed: LogRecord[] = []

  constructor(config: StreamTransformConfig, pipeline: string) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#config = config
    this.#pipeline = pipeline
    this.#inner = this.#create()
  }

  override _transform(block: EntryBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#apply(block).then((changed) => done(null, changed), done)
  }

  override _flush(done: TransformCallback): void {
    this.#inner.once('end', () => done(this.#heldBack()))
    this.#inner.once('error', done)
    this.#inner.end()
    this.#take()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#inner.destroy()
    callback(error)
  }

  async #apply(block: EntryBlock): Promise<EntryBlock> {
    const held = this.#heldBack()
    if (held) throw held
    const entries: Entry[] = []
    for (const entry of block.entries) {
      const record = entry.reject === undefined ? recordOf(entry) : undefined
      if (record === undefined) {
        entries.push(entry)
        continue
      }
      const place = { pipeline: this.#pipeline, blob: block.span.blob, offset: entry.offset }
      try {
        entries.push(...entriesFor(entry, await this.#through({ record, place })))
      } catch (error) {
        entries.push(rejectedBy(entry, error))
        this.#inner.destroy()
        this.#inner = this.#create()
        this.#pushed = []
      }
    }
    return renumbered(block, entries)
  }

  /** One record through the inner stream: the results are what it pushed until it called back. */
  #through(placed: PlacedRecord): Promise<readonly LogRecord[]> {
    return new Promise((resolve, reject) => {
      this.#inner.once('error', reject)
      this.#inner.write(placed, (error) => {
        this.#inner.off('error', reject)
        if (error) {
          reject(error)
          return
        }
        this.#take()
        const results = this.#pushed
        this.#pushed = []
        resolve(results)
      })
    })
  }

  #create(): Transform {
    const inner = this.#config.stream()
    // Reading as soon as something is there keeps a Transform that makes many records of one from waiting.
    inner.on('readable', () => this.#take())
    // Failures outside a write must not end the process; the next record meets the destroyed stream.
    inner.on('error', () => {})
    return inner
  }

  #take(): void {
    for (let placed = this.#inner.read(); placed !== null; placed = this.#inner.read()) {
      this.#pushed.push((placed as PlacedRecord).record)
    }
  }

  #heldBack(): TailraceError | null {
    if (this.#pushed.length === 0) return null
    return new TailraceError(
      'TRANSFORM_HELD_RECORD',
      `A stream transform of pipeline ${this.#pipeline} pushed ${this.#pushed.length} records after it had called back.`,
    )
  }
}
