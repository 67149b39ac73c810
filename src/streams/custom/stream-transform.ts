import { finished, type Transform, type TransformCallback } from 'node:stream'
import { isTailraceError, TailraceError } from '../../errors.ts'
import type { Entry, EntryBlock } from '../../records.ts'
import {
  type LogRecord,
  type PlacedRecord,
  type RecordPlace,
  rejectedBy,
  type StreamTransformConfig,
} from '../../transforms/record-transform.ts'
import { RecordStage } from './record-stage.ts'

/**
 * Sends every record of a block through an object-mode Transform of the config.
 *
 * The results of a record are all that the Transform pushes before it calls back. Pushing later is an error, because
 * offsets could then advance past a record that has not landed. When the Transform fails, the record becomes a rejected
 * row, and a new Transform is created, because a failed stream accepts no more input.
 */
export class StreamTransform extends RecordStage {
  #config: StreamTransformConfig
  #inner: Transform
  #pushed: PlacedRecord[] = []

  constructor(config: StreamTransformConfig, pipeline: string) {
    super(pipeline)
    this.#config = config
    this.#inner = this.#create()
  }

  override _transform(block: EntryBlock, encoding: BufferEncoding, done: TransformCallback): void {
    super._transform(block, encoding, (error, changed) => {
      if (error) done(error)
      // All records of a block can pass in one turn of the event loop. A push in the next turn is detected here, before
      // the block can enter a batch.
      else setImmediate(() => this.#pass(changed as EntryBlock, done))
    })
  }

  #pass(block: EntryBlock, done: TransformCallback): void {
    this.#take()
    const held = this.#heldBack()
    if (held) done(held)
    else done(null, block)
  }

  override _flush(done: TransformCallback): void {
    // A Transform that failed between two records has nothing to flush, and `finished` would never call back.
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

  protected override failedEntry(entry: Entry, error: unknown): Entry {
    if (isTailraceError(error)) throw error
    this.#inner.destroy()
    this.#inner = this.#create()
    this.#pushed = []
    return rejectedBy(entry, error)
  }

  /** @returns the results that the Transform pushes for one record */
  protected override resultsOf(record: LogRecord, place: RecordPlace): Promise<readonly LogRecord[]> {
    const placed: PlacedRecord = { record, place }
    // A failure between two records is no fault of the next record.
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
        // A result with another record's place was held while offsets advanced past that record.
        if (results.some((one) => one.place !== undefined && one.place.offset !== place.offset)) {
          reject(this.#heldBack())
          return
        }
        this.#pushed = []
        resolve(results.map((result) => result.record))
      })
    })
  }

  #create(): Transform {
    const inner = this.#config.stream()
    // Reading at once keeps a Transform that pushes many results from waiting for room.
    inner.on('readable', () => this.#take())
    // A failure outside a write must not end the process: `resultsOf` finds the stream destroyed.
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
      `A stream transform of pipeline ${this.pipeline} pushed ${this.#pushed.length} records after it had called back.`,
    )
  }
}
