import { Transform, type TransformCallback } from 'node:stream'
import type { Entry, EntryBlock } from '../../records.ts'
import {
  entriesFor,
  type LogRecord,
  type RecordPlace,
  recordOf,
  renumbered,
} from '../../transforms/record-transform.ts'

/** A stage that replaces each record of a block by the results of custom code, one record at a time and in order. */
export abstract class RecordStage extends Transform {
  protected readonly pipeline: string

  constructor(pipeline: string) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.pipeline = pipeline
  }

  /** The results of the custom code for one record. */
  protected abstract resultsOf(record: LogRecord, place: RecordPlace): Promise<readonly LogRecord[]>

  /** The entry of a text that is no record; the encoder rejects it and names the fault. */
  protected entryWithoutRecord(entry: Entry): Entry {
    return entry
  }

  /** The rejected entry of a record whose custom code failed. @throws an error that ends the stream */
  protected abstract failedEntry(entry: Entry, error: unknown): Entry

  override _transform(block: EntryBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#apply(block).then((changed) => done(null, changed), done)
  }

  async #apply(block: EntryBlock): Promise<EntryBlock> {
    const entries: Entry[] = []
    for (const entry of block.entries) {
      const place = { pipeline: this.pipeline, blob: block.span.blob, offset: entry.offset }
      try {
        const read = entry.reject === undefined ? recordOf(entry) : undefined
        const changed =
          read === undefined
            ? [this.entryWithoutRecord(entry)]
            : entriesFor(entry, read, await this.resultsOf(read.record, place))
        for (const one of changed) entries.push(one)
      } catch (error) {
        entries.push(this.failedEntry(entry, error))
      }
    }
    return { ...block, entries: renumbered(block, entries).entries }
  }
}
