import { finished, Transform, type TransformCallback } from 'node:stream'
import { isTailraceError, TailraceError } from '../../errors.ts'
import type { Entry, EntryBlock } from '../../records.ts'
import {
  entriesFor,
  type LogRecord,
  type PlacedRecord,
  recordOf,
  rejectedBy,
  renumbered,
  type StreamTransform as StreamTransformConfig,
} from '../../transforms/record-transform.ts'

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
  #pushed: PlacedRecord[] = []

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
    // One that failed between two records has nothing to flush, and would never say that it has ended.
    if (this.#inner.destroyed) {
      done(this.#heldBack())
      return
    }
    finished(this.#inner, (error) => done(error ?? this.#heldBack()))
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
      const place = { pipeline: this.#pipeline, blob: block.span.blob, offset: entry.offset }
      try {
        const read = entry.reject === undefined ? recordOf(entry) : undefined
        const changed =
          read === undefined
            ? [entry]
            : entriesFor(entry, read, await this.#through({ record: read.record, place }))
        for (const one of changed) entries.push(one)
      } catch (error) {
        if (isTailraceError(error)) throw error
        entries.push(rejectedBy(entry, error))
        this.#inner.destroy()
        this.#inner = this.#create()
        this.#pushed = []
      }
    }
    return { ...block, entries: renumbered(block, entries).entries }
  }

  /** One record through the inner stream: the results are what it pushed until it called back. */
  #through(placed: PlacedRecord): Promise<readonly LogRecord[]> {
    // One that failed between two records takes no more; the next record is not to blame for it.
    if (this.#inner.destroyed) this.#inner = this.#create()
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
        // What names another record's place was held back while offsets passed it.
        if (results.some(({ place }) => place !== undefined && place.offset !== placed.place.offset)) {
          reject(this.#heldBack())
          return
        }
        this.#pushed = []
        resolve(results.map(({ record }) => record))
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
      this.#pushed.push(placed as PlacedRecord)
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
