import {
  bytesAsLatin1,
  type Entry,
  type EntryBlock,
  latin1AsText,
  type SpoolRows,
} from '../../src/records.ts'
import { entriesOf } from '../../src/streams/record-validator.ts'
import { fieldSeparator } from '../../src/streams/staging/spool.ts'
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

/** All entries of a block in the order of the blob, those among its usual rows included. */
export function allEntries({ entries, usual }: EntryBlock): Entry[] {
  return [...entries, ...usualEntries(usual)].sort((a, b) => a.offset - b.offset || a.index - b.index)
}

function usualEntries(usual: SpoolRows | undefined): Entry[] {
  if (usual === undefined) return []
  return [...usual.starts].map((start, at) => {
    const end = usual.starts[at + 1] ?? usual.bytes.length
    const fields = usual.bytes.toString('latin1', start, end - 1).split(fieldSeparator)
    const [, offset, length, form] = fields
    const raw = fields.slice(9).join(fieldSeparator)
    return {
      offset: Number(offset),
      length: Number(length),
      index: 0,
      raw,
      form: form === '1' ? 'flat' : undefined,
    }
  })
}
