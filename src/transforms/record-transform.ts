import type { Transform } from 'node:stream'
import {
  isJsonObject,
  isLossless,
  type JsonObject,
  type JsonValue,
  parseJson,
  stringifyJson,
} from '../json.ts'
import { bytesAsLatin1, type Entry, type EntryBlock, latin1AsText } from '../records.ts'
import { isSameJson, repeatsKey, stringifyLike } from './stringify-like.ts'

/** One record as a custom transform receives it: a JSON object in which integers beyond 2^53 are `bigint`. */
export type LogRecord = JsonObject

/** The origin of a record. */
export interface RecordPlace {
  readonly pipeline: string
  /** `<container>/<blob name>`. */
  readonly blob: string
  /** Offset of the record's first byte in the blob. */
  readonly offset: number
}

/** The result of a transform: one record, several, or none. */
export type TransformResult = LogRecord | readonly LogRecord[] | null | undefined

/**
 * A custom transform: a function from a record to one record, several (an array), or none (`null` or `undefined`).
 *
 * It may modify its argument. When it throws or rejects, the record becomes a rejected row and the stream continues.
 */
export interface RecordTransform {
  (record: LogRecord, place: RecordPlace): TransformResult | Promise<TransformResult>
  /**
   * Rewrites the text of a rejected row: of a line that is no record, or of a record on which a transform failed. The row
   * keeps its place and its reason; the message of an error is reduced to the error's name.
   */
  readonly rejectedText?: ((text: string) => string) | undefined
}

/** The objects that a Transform of `{ stream: … }` receives and pushes. */
export interface PlacedRecord {
  readonly record: LogRecord
  readonly place: RecordPlace
}

/**
 * A custom transform as a stream: a factory of object-mode Transforms, one per blob.
 *
 * The Transform receives and pushes `PlacedRecord`s. It must push all results of a record before it calls back, because
 * from then on the record's offset may be committed.
 */
export interface StreamTransformConfig {
  readonly stream: () => Transform
}

/** An entry of a pipeline's `transforms`. */
export type CustomTransform = RecordTransform | StreamTransformConfig

/** A parsed record, before any transform. */
export interface ReadRecord {
  readonly record: LogRecord
  /** The text of the record. */
  readonly text: string
  /** A second copy, if it is cheap to make: a transform may modify the first one. */
  readonly copy: LogRecord | undefined
}

/**
 * @returns the entry's record, or `undefined` for text that is no well-formed JSON object
 * @throws RangeError for a record that is nested too deeply to parse: it must not bypass a transform
 */
export function recordOf(entry: Entry): ReadRecord | undefined {
  try {
    const text = latin1AsText(entry.json ?? entry.raw)
    const record = parseJson(text)
    return isJsonObject(record)
      ? { record, text, copy: entry.form === undefined ? undefined : { ...record } }
      : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/**
 * @returns the entries of a transform's results
 *
 * An unchanged record keeps its entry. Otherwise the text of the result also becomes `raw`, so that values removed by the
 * transform do not remain there. Unchanged values keep their spelling.
 */
export function entriesFor(entry: Entry, read: ReadRecord, results: readonly LogRecord[]): Entry[] {
  if (results.length === 0) return []
  const before = read.copy ?? parseJson(read.text)
  return results.map((record, position) => {
    const index = entry.index + position
    // A transform receives only the last value of a repeated key. A new object from it omits the others on purpose.
    if (isSameJson(record, before) && (record === read.record || !repeatsKey(before, read.text)))
      return { ...entry, index }
    const raw = bytesAsLatin1(textOf(record, before, read.text))
    const { json: _replaced, form: _known, ...place } = entry
    return { ...place, raw, index }
  })
}

function textOf(record: LogRecord, before: JsonValue, text: string): string {
  // Without numbers to preserve, stringifying is twice as fast.
  if (!isLossless(text)) return stringifyLike(record, before, text)
  try {
    return stringifyJson(record)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // Nested too deeply for JSON.stringify. If the deep part is unchanged, its text can be copied.
    return stringifyLike(record, before, text)
  }
}

/** @returns the entry as a reject with the error's name, message and first stack frame */
export function rejectedBy(entry: Entry, error: unknown): Entry {
  return { ...entry, reject: 'transform_error', note: firstLineOf(error) }
}

/**
 * Applies the rewrites of transforms to the text of a line that is no record.
 *
 * The reject reason is set here, because the encoder, which otherwise finds malformed JSON, no longer gets the original
 * text.
 */
export function rejectedEntry(entry: Entry, rewrites: readonly RejectedText[]): Entry {
  if (rewrites.length === 0) return entry
  const { json: _withheld, form: _known, note, ...place } = entry
  const text = rewrites.reduce((current, rewrite) => rewrite(current), latin1AsText(entry.raw))
  // The message of an error may quote the record; its name does not.
  const shown = entry.reject === 'transform_error' ? note?.match(/^\w{0,60}Error\b/)?.[0] : note
  const rejected = { ...place, raw: bytesAsLatin1(text), reject: entry.reject ?? ('not_json' as const) }
  return shown === undefined ? rejected : { ...rejected, note: shown }
}

/** Rewrites the text of a line that becomes a rejected row. */
export type RejectedText = NonNullable<RecordTransform['rejectedText']>

/** Renumbers the entries of each original record after a record became several. */
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
