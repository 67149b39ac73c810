import type { Entry } from '../../records.ts'
import {
  type LogRecord,
  type RecordPlace,
  type RecordTransform,
  type RejectedText,
  rejectedBy,
  rejectedEntry,
  type TransformResult,
} from '../../transforms/record-transform.ts'
import { RecordStage } from './record-stage.ts'

/**
 * Applies the transform functions of the config, in their order, to every record of a block.
 *
 * Consecutive functions share one parse and one serialization of a record. Records keep their order: an asynchronous
 * function is awaited for one record at a time.
 */
export class FunctionTransform extends RecordStage {
  #functions: readonly RecordTransform[]
  #rejectedTexts: readonly RejectedText[]

  constructor(functions: readonly RecordTransform[], pipeline: string) {
    super(pipeline)
    this.#functions = functions
    this.#rejectedTexts = functions.flatMap(({ rejectedText }) => rejectedText ?? [])
  }

  protected override entryWithoutRecord(entry: Entry): Entry {
    return rejectedEntry(entry, this.#rejectedTexts)
  }

  protected override failedEntry(entry: Entry, error: unknown): Entry {
    return rejectedEntry(rejectedBy(entry, error), this.#rejectedTexts)
  }

  protected override async resultsOf(record: LogRecord, place: RecordPlace): Promise<readonly LogRecord[]> {
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
