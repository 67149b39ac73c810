import type { Transform } from 'node:stream'
import { isJsonObject, type JsonObject, parseJson, stringifyJson } from '../json.ts'
import { bytesAsLatin1, type Entry, type EntryBlock, latin1AsText } from '../records.ts'

/** One record as a custom transform sees it: a JSON object whose integers beyond 2^53 are `bigint`. */
export type LogRecord = JsonObject

/** Where a record comes from. */
export interface RecordPlace {
  readonly pipeline: string
  /** `<container>/<blob name>`. */
  readonly blob: string
  /** Offset of the record's first byte in the blob. */
  readonly offset: number
}

/** What a transform makes of a record: another one, several, or none. */
export type TransformResult = LogRecord | readonly LogRecord[] | null | undefined

/**
 * A custom transform: from a record to a record, several (an array), or none (`null` or `undefined`).
 *
 * It may change the record it is given. When it throws or rejects, that record becomes a rejected row and the
 * stream goes on.
 */
export type RecordTransform = (
  record: LogRecord,
  place: RecordPlace,
) => TransformResult | Promise<TransformResult>

/** What an object-mode Transform of `{ stream: … }` receives and pushes. */
export interface PlacedRecord {
  readonly record: LogRecord
  readonly place: RecordPlace
}

/**
 * A custom transform as a stream: a factory of object-mode Transforms, one per blob.
 *
 * The Transform receives and pushes `PlacedRecord`s. It must push what it makes of a record before it calls
 * back: offsets are committed for records that have passed it.
 */
export interface StreamTransform {
  readonly stream: () => Transform
}

/** An entry of a pipeline's `transforms`. */
export type CustomTransform = RecordTransform | StreamTransform

/**
 * @returns the entry's record, or `undefined` for text that is no well-formed JSON object
 * @throws RangeError for a record that is nested too deeply: it must not pass a transform unseen
 */
export function recordOf(entry: Entry): LogRecord | undefined {
  try {
    const value = parseJson(latin1AsText(entry.json ?? entry.raw))
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/**
 * The entries that stand for a transform's results.
 *
 * Their text also becomes `raw`: what a transform removes must not survive beside it.
 */
export function entriesFor(entry: Entry, results: readonly LogRecord[]): Entry[] {
  return results.map((record, position) => {
    const raw = bytesAsLatin1(stringifyJson(record))
    const { json: _replaced, flat: _known, ...place } = entry
    return { ...place, raw, index: entry.index + position }
  })
}

/** @returns the entry as a reject that names the error's kind, message and the stack's first frame. */
export function rejectedBy(entry: Entry, error: unknown): Entry {
  return { ...entry, reject: 'transform_error', note: firstLineOf(error) }
}

/** Gives the entries of each original record consecutive indexes again after some became several. */
export function renumbered(block: EntryBlock, entries: Entry[]): EntryBlock {
  let offset = -1
  let next = 0
  for (let at = 0; at < entries.length; at += 1) {
    const entry = entries[at] as Entry
    next = entry.offset === offset ? next : entry.index
    offset = entry.offset
    if (entry.index !== next) entries[at] = { ...entry, index: next }
    next += 1
  }
  return { span: block.span, entries }
}

function firstLineOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).split('\n', 1)[0] ?? ''
  const [head = error.message] = (error.stack ?? `${error.name}: ${error.message}`).split('\n', 1)
  return head.slice(0, 200)
}
