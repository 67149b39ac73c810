/**
 * The spool: the staging file that the batcher writes and the encoder reads.
 *
 * One row per entry, ended by a newline, its fields divided by U+001F. No well-formed JSON text holds that
 * character or a raw newline, so the text of an ordinary record passes through untouched, byte for byte.
 */

import { bytesAsLatin1, type Entry, latin1AsText } from '../../records.ts'

export const fieldSeparator = '\x1f'

/** The fields of a spool row, in order. */
export const spoolColumns = [
  /** Index into the batch's spans. */
  { name: 'span_index', type: 'INTEGER' },
  /** Offset of the record, counted from the start of its span: small numbers are cheaper to write. */
  { name: 'relative_offset', type: 'BIGINT' },
  { name: 'length', type: 'BIGINT' },
  /** 1 when the record is known to hold no object or array inside, or empty. */
  { name: 'flat', type: 'INTEGER' },
  /** Empty for 0. */
  { name: 'source_index', type: 'INTEGER' },
  /** A reject reason, or empty. */
  { name: 'reject', type: 'VARCHAR' },
  /** A note for `parse_error`, or empty. */
  { name: 'note', type: 'VARCHAR' },
  /** `raw` when the field `raw` is a JSON string literal to be decoded, or empty when it is the text itself. */
  { name: 'encoding', type: 'VARCHAR' },
  /** The JSON object to project, when it differs from `raw`. */
  { name: 'json', type: 'VARCHAR' },
  { name: 'raw', type: 'VARCHAR' },
] as const

/** The fields between flat and raw, all empty: what nearly every row has. */
const nothingSpecial = fieldSeparator.repeat(6)

/**
 * One spool row as UTF-8 bytes, one character per byte (latin1), its newline included.
 *
 * @param entry its `raw` and `json` are UTF-8 bytes as latin1
 * @param spanIndex the entry's span in the batch
 * @param spanStart where that span starts
 */
export function spoolRow(entry: Entry, spanIndex: number, spanStart: number): string {
  const place = `${spanIndex}${fieldSeparator}${entry.offset - spanStart}${fieldSeparator}${entry.length}${fieldSeparator}${entry.flat ? 1 : ''}`
  const encode = needsEncoding(entry.raw)
  if (
    !encode &&
    entry.index === 0 &&
    entry.reject === undefined &&
    entry.note === undefined &&
    entry.json === undefined
  ) {
    return `${place}${nothingSpecial}${entry.raw}\n`
  }
  return `${[
    place,
    entry.index === 0 ? '' : entry.index,
    entry.reject ?? '',
    oneLine(entry.note ?? ''),
    encode ? 'raw' : '',
    entry.json ?? '',
    encode ? JSON.stringify(entry.raw) : entry.raw,
  ].join(fieldSeparator)}\n`
}

/** Where a spool row's record is: the index of its span, and its offset in it. */
export function rowPlace(row: string): { readonly spanIndex: number; readonly relativeOffset: number } {
  const [spanIndex, relativeOffset] = row.split(fieldSeparator, 2)
  return { spanIndex: Number(spanIndex), relativeOffset: Number(relativeOffset) }
}

/**
 * A row as one that is rejected because it could not be encoded, with the place and text that it has. A row that was
 * rejected before keeps its own reason and note.
 *
 * @param row without its newline
 * @param note the engine's message
 * @param kept how much of the text; of a long one the beginning is its first 64 KiB, and the note says so
 */
export function rejectedRow(row: string, note: string, kept: 'whole' | 'beginning'): string {
  const [spanIndex, offset, length, , sourceIndex, reject, givenNote, encoding] = row.split(fieldSeparator, 8)
  const raw = row.slice(row.lastIndexOf(fieldSeparator) + 1)
  const place = [spanIndex, offset, length, '', sourceIndex]
  const reason = reject === '' ? ['not_encodable', oneLine(note)] : [reject, givenNote]
  if (kept === 'whole') return `${[...place, ...reason, encoding, '', raw].join(fieldSeparator)}\n`
  const text = encoding === 'raw' ? (JSON.parse(raw) as string) : raw
  const beginning = JSON.stringify(keptPrefix(text))
  const cutNote = `${reason[1]}; the text is cut to ${keptBytes / 1024} KiB`
  return `${[...place, reason[0], cutNote, 'raw', '', beginning].join(fieldSeparator)}\n`
}

/** Of a text that cannot be kept whole this much is kept, in bytes. */
export const keptBytes = 64 * 1024

/** @returns the first 64 KiB; decoding and encoding again repairs a character that the cut went through. */
export function keptPrefix(latin1: string): string {
  return bytesAsLatin1(latin1AsText(latin1.slice(0, keptBytes)))
}

/** What a row cannot carry as it is. Three native scans are several times faster than one character class. */
function needsEncoding(raw: string): boolean {
  return raw.includes(fieldSeparator) || raw.includes('\r') || raw.includes('\0') || raw.includes('\n')
}

function oneLine(note: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject.
  return Buffer.from(note.replace(/[\x00-\x1f]+/g, ' '), 'utf8').toString('latin1')
}
