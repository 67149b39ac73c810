/**
 * The format of the spool, the staging file that the batcher writes and the encoder reads.
 *
 * One row per entry, ended by a newline, with fields separated by U+001F. Well-formed JSON on one line contains neither
 * character, so the text of an ordinary record is copied unchanged.
 */

import type { Entry, RecordForm } from '../../records.ts'
import { quotedText, tooLongAsJson } from '../records/quoted-text.ts'
import { cutNote, keptPrefix } from '../records/record-entries.ts'

export const fieldSeparator = '\x1f'

/** The digit of each form in a spool row. A form with a larger number also has the properties of those with smaller ones. */
export const formNumbers: Readonly<Record<RecordForm, number>> = { flat: 1, written: 2 }

/** The fields of a spool row, in order. */
export const spoolColumns = [
  /** Index into `Batch.spans`, maybe with zeros before it. */
  { name: 'span_index', type: 'INTEGER' },
  /** `Entry.offset`. */
  { name: 'source_offset', type: 'BIGINT' },
  { name: 'length', type: 'BIGINT' },
  /** The form of the record, as a value of `formNumbers`; empty when it is not known. */
  { name: 'form', type: 'INTEGER' },
  /** `Entry.index`; empty for 0. */
  { name: 'source_index', type: 'INTEGER' },
  /** The reject reason; empty for other rows. */
  { name: 'reject', type: 'VARCHAR' },
  /** The value of `parse_error`; empty for none. */
  { name: 'note', type: 'VARCHAR' },
  /** `raw` when the field `raw` is a JSON string literal; empty when it is the text itself. */
  { name: 'encoding', type: 'VARCHAR' },
  /** The JSON object to project; empty when `raw` is that object. */
  { name: 'json', type: 'VARCHAR' },
  { name: 'raw', type: 'VARCHAR' },
] as const

/** The separators of the fields between `form` and `raw` when all of them are empty, as in nearly every row. */
const emptyFields = fieldSeparator.repeat(6)

/** Longer texts are not put together to a row, which would be one more copy of them. */
const maxJoinedBytes = 64 * 1024

/**
 * @param spanIndex the index of the entry's span in the batch
 * @returns one spool row as UTF-8 bytes, one character per byte (latin1), newline included
 */
export function spoolRow(entry: Entry, spanIndex: number): string {
  const { raw } = entry
  if (
    !holdsRowSeparator(raw) &&
    entry.index === 0 &&
    entry.reject === undefined &&
    entry.note === undefined &&
    entry.json === undefined
  ) {
    return `${placeFields(entry, spanIndex)}${emptyFields}${raw}\n`
  }
  return rowTexts(entry, spanIndex).join('')
}

/** @returns the texts that follow each other in the row of `spoolRow`; several for a long row */
export function spoolRowTexts(entry: Entry, spanIndex: number): readonly string[] {
  return entry.raw.length > maxJoinedBytes ? rowTexts(entry, spanIndex) : [spoolRow(entry, spanIndex)]
}

function rowTexts(entry: Entry, spanIndex: number): readonly string[] {
  const { raw, json = '' } = entry
  const encode = holdsRowSeparator(raw)
  const quoted = encode ? quotedText(raw) : [raw]
  if (quoted === undefined) return rowTexts(cutEntry(entry), spanIndex)
  const fields = [
    placeFields(entry, spanIndex),
    entry.index === 0 ? '' : entry.index,
    entry.reject ?? '',
    oneLine(entry.note ?? ''),
    encode ? 'raw' : '',
  ]
  return [`${fields.join(fieldSeparator)}${fieldSeparator}`, json, fieldSeparator, ...quoted, '\n']
}

/** The rejected entry of a text with so many control characters that its row would be a multiple of it. */
function cutEntry({ offset, length, index, raw, reject = 'not_encodable', note }: Entry): Entry {
  return { offset, length, index, raw: keptPrefix(raw), reject, note: `${note ?? tooLongAsJson}; ${cutNote}` }
}

function placeFields({ offset, length, form }: Entry, spanIndex: number): string {
  return `${spanIndex}${fieldSeparator}${offset}${fieldSeparator}${length}${fieldSeparator}${form === undefined ? '' : formNumbers[form]}`
}

/** @returns the index of a spool row's span, and the record's offset in its blob */
export function rowPlace(row: string): { readonly spanIndex: number; readonly offset: number } {
  const [spanIndex, offset] = row.split(fieldSeparator, 2)
  return { spanIndex: Number(spanIndex), offset: Number(offset) }
}

/**
 * Rejects a spool row that could not be encoded. A row that was rejected before keeps its reason and note.
 *
 * @param row without its newline
 * @param note the engine's message
 * @param kept keep the whole text, or its first 64 KiB; the note then reports the cut
 * @returns the row with a newline
 */
export function rejectedRow(row: string, note: string, kept: 'whole' | 'beginning'): string {
  const [spanIndex, offset, length, , sourceIndex, reject, givenNote, encoding] = row.split(fieldSeparator, 8)
  const raw = row.slice(row.lastIndexOf(fieldSeparator) + 1)
  const place = [spanIndex, offset, length, '', sourceIndex]
  const reason = reject === '' ? ['not_encodable', oneLine(note)] : [reject, givenNote]
  if (kept === 'whole') return `${[...place, ...reason, encoding, '', raw].join(fieldSeparator)}\n`
  const text = encoding === 'raw' ? (JSON.parse(raw) as string) : raw
  const beginning = JSON.stringify(keptPrefix(text))
  return `${[...place, reason[0], `${reason[1]}; ${cutNote}`, 'raw', '', beginning].join(fieldSeparator)}\n`
}

/** Whether a text has a character that a row cannot contain as it is. Native scans are several times faster than one regular expression. */
export function holdsRowSeparator(raw: string): boolean {
  return raw.includes(fieldSeparator) || raw.includes('\r') || raw.includes('\0') || raw.includes('\n')
}

function oneLine(note: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject.
  return Buffer.from(note.replace(/[\x00-\x1f]+/g, ' '), 'utf8').toString('latin1')
}
