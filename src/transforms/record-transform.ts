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
export interface RecordTransform {
  (record: LogRecord, place: RecordPlace): TransformResult | Promise<TransformResult>
  /**
   * Rewrites the text of a line that is no record, or on which a transform failed, before it becomes a rejected row.
   * Such rows keep the place of their line, their reason, and of an error's message only its name.
   */
  readonly rejectedText?: ((text: string) => string) | undefined
}

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
export interface StreamTransformConfig {
  readonly stream: () => Transform
}

/** An entry of a pipeline's `transforms`. */
export type CustomTransform = RecordTransform | StreamTransformConfig

/** A record as it was read, before any transform changes it. */
export interface ReadRecord {
  readonly record: LogRecord
  /** The text that holds it. */
  readonly text: string
  /** The same record once more, where that is cheap: a transform may change the object that it is given. */
  readonly copy: LogRecord | undefined
}

/**
 * @returns the entry's record, or `undefined` for text that is no well-formed JSON object
 * @throws RangeError for a record that cannot be read: it must not pass a transform unseen
 */
export function recordOf(entry: Entry): ReadRecord | undefined {
  try {
    const text = latin1AsText(entry.json ?? entry.raw)
    const record = parseJson(text)
    return isJsonObject(record) ? { record, text, copy: entry.flat ? { ...record } : undefined } : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/**
 * The entries that stand for a transform's results.
 *
 * A record that was handed on as it came keeps its entry. Otherwise the result's text also becomes `raw`, because what
 * a transform removes must not survive beside it; values that it left alone are written as they stood.
 */
export function entriesFor(entry: Entry, read: ReadRecord, results: readonly LogRecord[]): Entry[] {
  if (results.length === 0) return []
  const before = read.copy ?? parseJson(read.text)
  return results.map((record, position) => {
    const index = entry.index + position
    // Of a repeated key a transform sees the last only: one that makes an object of its own leaves the others out.
    if (isSameJson(record, before) && (record === read.record || !repeatsKey(before, read.text)))
      return { ...entry, index }
    const raw = bytesAsLatin1(textOf(record, before, read.text))
    const { json: _replaced, flat: _known, ...place } = entry
    return { ...place, raw, index }
  })
}

function textOf(record: LogRecord, before: JsonValue, text: string): string {
  // The ordinary way is twice as fast.
  if (!isLossless(text)) return stringifyLike(record, before, text)
  try {
    return stringifyJson(record)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // Nested more deeply than JSON.stringify can go; perhaps that part is as it was.
    return stringifyLike(record, before, text)
  }
}

/** @returns the entry as a reject that names the error's kind, message and the stack's first frame. */
export function rejectedBy(entry: Entry, error: unknown): Entry {
  return { ...entry, reject: 'transform_error', note: firstLineOf(error) }
}

/**
 * The entry of a line that is no record, behind a transform that rewrites the text of such lines.
 *
 * Its reason is decided here: the encoder, which otherwise finds malformed JSON, no longer sees the line's own text.
 */
export function rejectedEntry(entry: Entry, rewrites: readonly RejectedText[]): Entry {
  if (rewrites.length === 0) return entry
  const { json: _withheld, flat: _known, note, ...place } = entry
  const text = rewrites.reduce((current, rewrite) => rewrite(current), latin1AsText(entry.raw))
  // An error's message may quote the record; its name says the kind.
  const shown = entry.reject === 'transform_error' ? note?.match(/^\w{0,60}Error\b/)?.[0] : note
  return {
    ...place,
    raw: bytesAsLatin1(text),
    reject: entry.reject ?? 'not_json',
    ...(shown === undefined ? {} : { note: shown }),
  }
}

/** Rewrites the text of a line that becomes a rejected row. */
export type RejectedText = NonNullable<RecordTransform['rejectedText']>

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
