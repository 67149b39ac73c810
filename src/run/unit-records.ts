import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Chunk, type EntryBlock, latin1AsText } from '../records.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import type { KnownFraming } from '../sources/recognition/framing.ts'
import { RecordsDocuments } from '../streams/documents/records-documents.ts'
import { GzipMembers } from '../streams/gzip/gzip-members.ts'
import { RecordValidator } from '../streams/record-validator.ts'

const readBytes = 1024 * 1024

/** A line of a blob, or a record of a unit. */
export interface BlobRecord {
  /** Of a record of a unit, the offset of the unit. */
  readonly offset: number
  /** Without its newline. */
  readonly text: string
}

/** Records of the complete units of a blob. */
export interface UnitRecords {
  /** The last ones. */
  readonly last: readonly BlobRecord[]
  /** How many there are. */
  readonly count: number
  /** The end of the last unit. */
  readonly end: number
}

/**
 * Reads the records of a blob of gzip members or documents, by the stages of a pipeline. Nothing in it says where the last
 * ones begin, so it is read whole.
 *
 * @param from the first byte to read, which begins a unit
 * @param max only the last so many records are kept
 */
export async function readUnits(
  reader: BlobReader,
  blob: string,
  framing: Exclude<KnownFraming, 'lines'>,
  { from, max }: { readonly from: number; readonly max: number },
): Promise<UnitRecords> {
  let last: BlobRecord[] = []
  let unit: BlobRecord[] = []
  let unitCount = 0
  let count = 0
  let end = from
  const collect = new Writable({
    objectMode: true,
    write: ({ span, entries, restart, open }: EntryBlock, _encoding, done) => {
      // A record of a document may be on several lines; a break is never inside of a JSON text's strings.
      const lines = entries.map(({ raw, offset }) => ({
        offset,
        text: latin1AsText(raw).replaceAll(/[\r\n]+/g, ' '),
      }))
      unit = [...(restart === true ? [] : unit), ...lines].slice(-max)
      unitCount = (restart === true ? 0 : unitCount) + lines.length
      if (open !== true) {
        last = [...last, ...unit].slice(-max)
        unit = []
        count += unitCount
        unitCount = 0
        end = span.end
      }
      done()
    },
  })
  const stages = framing === 'gzip' ? [new GzipMembers(), new RecordValidator()] : [new RecordsDocuments()]
  await pipeline([Readable.from(chunksOf(reader, blob, from)), ...stages, collect])
  return { last, count, end }
}

async function* chunksOf(reader: BlobReader, blob: string, from: number): AsyncGenerator<Chunk> {
  for (let start = from; ; ) {
    const read = await reader.read(blob, { offset: start, maxBytes: readBytes })
    if (read.kind !== 'bytes' || read.bytes.length === 0) return
    const end = start + read.bytes.length
    const span = { blob: `${reader.container}/${blob}`, generation: read.createdAt, start, end }
    // A copy, because the memory of an answer gets other bytes.
    yield { span, bytes: Buffer.from(read.bytes) }
    start = end
  }
}
