import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { liveFile } from '../../../src/sinks/delta/files/live-files.ts'
import { readDeletedRows } from '../../../src/sinks/delta/files/live-rows.ts'
import { loadState } from '../../../src/sinks/delta/log/load.ts'
import {
  type AddAction,
  commitPath,
  type DeletionVector,
  type DeltaAction,
  encodeActions,
  removalOf,
} from '../../../src/sinks/delta/protocol/actions.ts'
import type { NumberSet } from '../../../src/sinks/delta/protocol/roaring-bitmap.ts'
import { sqlString } from '../../../src/sinks/encoding/engine.ts'
import type { Workbench } from './support.ts'

/** How the containers of a bitmap are written: as runs where `hasRuns` says so, else as the format asks for. */
export type HasRuns = (container: number) => boolean

/** A 64-bit Roaring bitmap in the portable format, of ascending numbers. */
export function encodeRoaring(numbers: readonly number[], hasRuns: HasRuns = () => false): Buffer {
  const buckets = grouped(numbers, 2 ** 32)
  const parts = [littleEndian(buckets.size, 8)]
  for (const [key, bucket] of buckets) parts.push(littleEndian(key, 4), encodeBucket(bucket, hasRuns))
  return Buffer.concat(parts)
}

function encodeBucket(numbers: readonly number[], hasRuns: HasRuns): Buffer {
  const containers = [...grouped(numbers, 2 ** 16)]
  const flags = containers.map((_, index) => hasRuns(index))
  const bodies = containers.map(([, values], index) =>
    flags[index] ? encodeRuns(values) : values.length > 4096 ? encodeBits(values) : encodeList(values),
  )
  const withRuns = flags.includes(true)
  const runFlags = Buffer.alloc(withRuns ? Math.ceil(containers.length / 8) : 0)
  for (const [index, flag] of flags.entries()) if (flag) runFlags[index >> 3]! |= 1 << (index & 7)
  const header = containers.flatMap(([key, { length }]) => [
    littleEndian(key, 2),
    littleEndian(length - 1, 2),
  ])
  const begin = withRuns
    ? [littleEndian(12347, 2), littleEndian(containers.length - 1, 2), runFlags]
    : [littleEndian(12346, 4), littleEndian(containers.length, 4)]
  const hasOffsets = !withRuns || containers.length >= 4
  let next = Buffer.concat([...begin, ...header]).length + 4 * containers.length
  const offsets: Buffer[] = []
  for (const { length } of hasOffsets ? bodies : []) {
    offsets.push(littleEndian(next, 4))
    next += length
  }
  return Buffer.concat([...begin, ...header, ...offsets, ...bodies])
}

function encodeList(values: readonly number[]): Buffer {
  return Buffer.concat(values.map((value) => littleEndian(value, 2)))
}

function encodeBits(values: readonly number[]): Buffer {
  const bits = Buffer.alloc(8192)
  for (const value of values) bits[value >> 3]! |= 1 << (value & 7)
  return bits
}

function encodeRuns(values: readonly number[]): Buffer {
  const runs: [first: number, more: number][] = []
  for (const value of values) {
    const last = runs.at(-1)
    if (last !== undefined && last[0] + last[1] + 1 === value) last[1] += 1
    else runs.push([value, 0])
  }
  return Buffer.concat([
    littleEndian(runs.length, 2),
    ...runs.flat().map((number) => littleEndian(number, 2)),
  ])
}

function grouped(numbers: readonly number[], size: number): Map<number, number[]> {
  const groups = new Map<number, number[]>()
  for (const number of numbers) {
    const key = Math.floor(number / size)
    const group = groups.get(key) ?? []
    group.push(number % size)
    groups.set(key, group)
  }
  return groups
}

function littleEndian(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(value, 0, Math.min(bytes, 6))
  return buffer
}

/** Z85 text, filled up to a multiple of four bytes. */
export function encodeZ85(bytes: Buffer): string {
  const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
  const filled = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
  let text = ''
  for (let at = 0; at < filled.length; at += 4) {
    const word = filled.readUInt32BE(at)
    for (const power of [85 ** 4, 85 ** 3, 85 ** 2, 85, 1]) text += alphabet[Math.floor(word / power) % 85]
  }
  return text
}

/** The bytes of a deletion vector: its magic number and a bitmap. */
export function vectorBytes(rows: readonly number[], hasRuns?: HasRuns): Buffer {
  return Buffer.concat([littleEndian(1681511377, 4), encodeRoaring(rows, hasRuns)])
}

/** A file of deletion vectors, and where each of them begins. */
export function vectorFile(vectors: readonly Buffer[]): {
  readonly bytes: Buffer
  readonly offsets: readonly number[]
} {
  const parts: Buffer[] = [Buffer.of(1)]
  const offsets: number[] = []
  let at = 1
  for (const vector of vectors) {
    const frame = Buffer.alloc(4)
    frame.writeUInt32BE(vector.length)
    const checksum = Buffer.alloc(4)
    checksum.writeUInt32BE(crc32(vector))
    parts.push(frame, vector, checksum)
    offsets.push(at)
    at += vector.length + 8
  }
  return { bytes: Buffer.concat(parts), offsets }
}

/** The numbers of a set, ascending. */
export function numbersOf({ words, masks }: NumberSet): number[] {
  return words.flatMap((word, index) =>
    Array.from({ length: 64 }, (_, bit) => bit)
      .filter((bit) => (masks[index]! >> BigInt(bit)) & 1n)
      .map((bit) => word * 64 + bit),
  )
}

let made = 0

/** A UUID that no other vector of this process has. */
function nextUuid(): string {
  made += 1
  return `d2c639aa-8816-431a-aaf6-${String(made).padStart(12, '0')}`
}

/** Bytes of a UUID as they are named in the log. */
export function uuidText(uuid: string): string {
  return encodeZ85(Buffer.from(uuid.replaceAll('-', ''), 'hex'))
}

/**
 * Deletes rows as an engine does that writes deletion vectors: one file of them for all data files, which are named
 * again with theirs. A file's earlier vector is replaced.
 *
 * @param where SQL of the rows to delete
 * @param changes.inline whether the vectors are in the log itself
 * @param changes.folder where their file is
 * @returns the path of their file
 */
export async function markDeleted(
  { storage, engine, staging }: Workbench,
  where: string,
  { inline = false, folder = '' }: { readonly inline?: boolean; readonly folder?: string } = {},
): Promise<string> {
  const { version, files, protocol } = (await loadState(storage, engine, { keepFiles: true }))!
  const marked: { readonly add: AddAction; readonly rows: readonly number[]; readonly bytes: Buffer }[] = []
  for (const add of files!.values()) {
    const live = liveFile(add)
    const deleted = (await readDeletedRows(storage, [live])).get(live.path)
    const { path, release } = await storage.localFile(live.path)
    const found = await engine.rows(`SELECT file_row_number::BIGINT AS row
      FROM read_parquet(${sqlString(path)}, hive_partitioning = false, file_row_number = true) WHERE ${where}`)
    await release()
    const rows = new Set([...found.map(({ row }) => Number(row)), ...(deleted ? numbersOf(deleted) : [])])
    if (rows.size === (deleted?.count ?? 0)) continue
    const sorted = [...rows].sort((a, b) => a - b)
    marked.push({ add, rows: sorted, bytes: vectorBytes(sorted) })
  }
  const { bytes, offsets } = vectorFile(marked.map((one) => one.bytes))
  const uuid = nextUuid()
  const path = `${folder === '' ? '' : `${folder}/`}deletion_vector_${uuid}.bin`
  if (!inline) {
    const staged = join(staging, uuid)
    await writeFile(staged, bytes)
    await storage.putFile(staged, path)
  }
  const actions = marked.flatMap(({ add, rows, bytes: own }, index): DeltaAction[] => {
    const deletionVector: DeletionVector = inline
      ? {
          storageType: 'i',
          pathOrInlineDv: encodeZ85(own),
          sizeInBytes: own.length,
          cardinality: rows.length,
        }
      : {
          storageType: 'u',
          pathOrInlineDv: `${folder}${uuidText(uuid)}`,
          offset: offsets[index]!,
          sizeInBytes: own.length,
          cardinality: rows.length,
        }
    const stats = add.stats!.replace(/(,"tightBounds":false)?\}$/, ',"tightBounds":false}')
    // In the order in which Spark writes them.
    return [
      { add: { ...add, stats, dataChange: true, deletionVector } },
      { remove: removalOf(add, Date.now(), true) },
    ]
  })
  const features = ['deletionVectors']
  const upgrade: DeltaAction[] =
    protocol.minReaderVersion === 3
      ? []
      : [
          {
            protocol: {
              minReaderVersion: 3,
              minWriterVersion: 7,
              readerFeatures: features,
              writerFeatures: features,
            },
          },
        ]
  await storage.putIfAbsent(commitPath(version + 1), encodeActions([...upgrade, ...actions]))
  return path
}
