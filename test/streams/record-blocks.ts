import { bytesAsLatin1, type Entry, type EntryBlock, latin1AsText } from '../../src/records.ts'
import { entriesOf } from '../../src/streams/record-validator.ts'
import { blockOf } from './blob-chunks.ts'

/** A block of records, one on each line. */
export function recordBlock(texts: readonly string[], start = 0): EntryBlock {
  return entriesOf(blockOf(texts, start))
}

/** The text of each entry's record. */
export function textsOf(blocks: readonly EntryBlock[]): string[] {
  return blocks.flatMap(({ entries }) => entries.map(({ raw }) => latin1AsText(raw)))
}

/** An entry that an earlier stage rejected. */
export function rejectedEntry(text: string, offset: number): Entry {
  return { offset, length: text.length + 1, index: 0, raw: bytesAsLatin1(text), reject: 'not_json' }
}

/** Offset and index of each entry. */
export function placesOf(blocks: readonly EntryBlock[]): [offset: number, index: number][] {
  return blocks.flatMap(({ entries }) =>
    entries.map(({ offset, index }): [number, number] => [offset, index]),
  )
}
