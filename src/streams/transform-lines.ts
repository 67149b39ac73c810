import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isJsonObject, type JsonObject, parseJson, stringifyJson } from '../json.ts'
import { type Chunk, type Entry, type EntryBlock, latin1AsText } from '../records.ts'
import type { CustomTransform, LogRecord } from '../transforms/record-transform.ts'
import { customStages } from './custom/custom-stages.ts'
import { LineSplitter } from './line-splitter.ts'
import { RecordValidator } from './record-validator.ts'

export type { JsonObject, JsonValue } from '../json.ts'
export type { CustomTransform, LogRecord } from '../transforms/record-transform.ts'

/** A row to be, as the transforms left it. */
export interface TransformedRecord {
  /** The record; undefined for a rejected row. */
  readonly record: LogRecord | undefined
  /** The value of the column `raw`. */
  readonly raw: string
  /** Why the line becomes a rejected row, such as `not_json` or `transform_error`; undefined for any other row. */
  readonly reject: string | undefined
  /** The value of the column `parse_error`: the detail of a reject. */
  readonly note: string | undefined
}

/** Where the lines are said to come from. */
export interface TestedPlace {
  /** Default `test`. */
  readonly pipeline?: string | undefined
  /** Default `logs/test.ndjson`. */
  readonly blob?: string | undefined
  /** Offset of the first line, in bytes. Default 0. */
  readonly offset?: number | undefined
}

/**
 * Sends lines through the stages that a pipeline has before its table: split, validated, transformed.
 *
 * @param lines each a line of a blob without its newline, or a record to write as one
 * @returns the rows to be, in order; a dropped record has none
 */
export async function transformLines(
  lines: readonly (string | JsonObject)[],
  transforms: readonly CustomTransform[],
  { pipeline: name = 'test', blob = 'logs/test.ndjson', offset = 0 }: TestedPlace = {},
): Promise<TransformedRecord[]> {
  const text = lines.map((line) => `${typeof line === 'string' ? line : stringifyJson(line)}\n`).join('')
  const bytes = Buffer.from(text)
  const span = { blob, generation: '20260101T000000Z', start: offset, end: offset + bytes.length }
  const chunk: Chunk = { span, bytes }
  const records: TransformedRecord[] = []
  const collect = new Writable({
    objectMode: true,
    write: ({ entries }: EntryBlock, _encoding, done) => {
      for (const entry of entries) records.push(transformed(entry))
      done()
    },
  })
  const stages = [new LineSplitter(), new RecordValidator(), ...customStages(transforms, name)]
  await pipeline([Readable.from([chunk]), ...stages, collect])
  return records
}

function transformed({ raw, json = raw, reject, note }: Entry): TransformedRecord {
  const value = reject === undefined ? parseJson(latin1AsText(json)) : undefined
  return { record: isJsonObject(value) ? value : undefined, raw: latin1AsText(raw), reject, note }
}
