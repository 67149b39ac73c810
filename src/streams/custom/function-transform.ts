import { Transform, type TransformCallback } from 'node:stream'
import type { Entry, EntryBlock } from '../../records.ts'
import {
  entriesFor,
  type LogRecord,
  type RecordPlace,
  type RecordTransform,
  type RejectedText,
  recordOf,
  rejectedBy,
  rejectedEntry,
  renumbered,
  type TransformResult,
} from '../../transforms/record-transform.ts'

/**
 * Applies the transform functions of the config, in their order, to every record of a block.
 *
 * Consecutive functions share one parse and one serialization of a record. Records keep their order: an asynchronous
 * function is awaited for one record at a time.
 */
export class FunctionTransform extends Transform {
  #functions: readonly RecordTransform[]
  #rejectedTexts: readonly RejectedText[]
  #pipeline: string

  constructor(functions: readonly RecordTransform[], pipeline: string) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#functions = functions
    this.#rejectedTexts = functions.flatMap(({ rejectedText }) => rejectedText ?? [])
    this.#pipeline = pipeline
  }

  override _transform(block: EntryBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#apply(block).then((changed) => done(null, changed), done)
  }

  async #apply(block: EntryBlock): Promise<EntryBlock> {
    const entries: Entry[] = []
    for (const entry of block.entries) {
      const place = { pipeline: this.#pipeline, blob: block.span.blob, offset: entry.offset }
      try {
        const read = entry.reject === undefined ? recordOf(entry) : undefined
        // A text that is no JSON object passes unchanged: the encoder rejects it and names the fault.
        const changed =
          read === undefined
            ? [rejectedEntry(entry, this.#rejectedTexts)]
            : entriesFor(entry, read, await this.#results(read.record, place))
        for (const one of changed) entries.push(one)
      } catch (error) {
        entries.push(rejectedEntry(rejectedBy(entry, error), this.#rejectedTexts))
      }
    }
    return { ...block, entries: renumbered(block, entries).entries }
  }

  async #results(record: LogRecord, place: RecordPlace): Promise<readonly LogRecord[]> {
    let records: readonly LogRecord[] = [record]
    for (const transform of this.#functions) {
      const next: LogRecord[] = []
      for (const current of records) {
        const result = transform(current, place)
        for (const one of listed(result instanceof Promise ? await result : result)) next.push(one)
      }
      records = next
    }
    return records
  }
}

function listed(result: TransformResult): readonly LogRecord[] {
  if (result === null || result === undefined) return []
  return (Array.isArray(result) ? result : [result]) as readonly LogRecord[]
}
