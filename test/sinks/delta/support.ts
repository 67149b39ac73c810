import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { Clock } from '../../../src/clock.ts'
import type { BlobGeneration, GenerationMark, Span } from '../../../src/records.ts'
import { DeltaCommitter } from '../../../src/sinks/delta/committer.ts'
import { readDeletedRows, withLiveRows } from '../../../src/sinks/delta/files/live-rows.ts'
import type { DoubledRange } from '../../../src/sinks/delta/log/offsets.ts'
import { readTable } from '../../../src/sinks/delta/query/read-table.ts'
import type { DeltaStorage } from '../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine, sqlString } from '../../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../../src/sinks/table-committer.ts'
import type { Column } from '../../../src/tables/table.ts'

/** A small table with every type and the columns of provenance. */
export const columns: readonly Column[] = [
  { name: 'event_time', type: 'timestamp', comment: 'When it happened.' },
  { name: 'source_blob', type: 'string', comment: 'The blob.' },
  { name: 'source_generation', type: 'string', comment: 'Its generation.' },
  { name: 'source_offset', type: 'long', comment: "The record's first byte." },
  { name: 'query_id', type: 'long', comment: 'Beyond 2^53.' },
  { name: 'pid', type: 'integer', comment: 'A process.' },
  { name: 'duration_ms', type: 'double', comment: 'A duration.' },
  { name: 'is_slow', type: 'boolean', comment: 'A flag.' },
  { name: 'day', type: 'date', comment: 'A date.' },
  { name: 'message', type: 'string', comment: 'A text.' },
  { name: 'event_date', type: 'date', comment: 'UTC date of event_time.' },
]

/** A clock whose pauses end at once. */
export const impatientClock: Clock = {
  now: () => Date.now(),
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
  after: () => () => {},
}

/** One row by its place; everything else in it follows from `seed`. */
export interface TestRow {
  readonly offset: number
  readonly seed: number
}

export interface Workbench {
  readonly directory: string
  /** The table's directory, where it has one. */
  readonly table: string
  readonly staging: string
  readonly engine: EmbeddedEngine
  /** The table's storage; committers share it unless they are told otherwise. */
  readonly storage: DeltaStorage
  /** Every object of the table outside of the log, relative, sorted. */
  dataFiles(): Promise<string[]>
  /** Everything made by `committerOf`: closed before the engine is. */
  readonly committers: DeltaCommitter[]
}

/** Puts a table somewhere. */
export type PlaceTable = (directory: string) => Pick<Workbench, 'table' | 'storage' | 'dataFiles'>

/** A directory and an engine that go away with the test. */
export async function workbench(
  t: { after(end: () => Promise<void>): void },
  place: PlaceTable = placeLocally,
): Promise<Workbench> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-delta-'))
  const staging = join(directory, 'staging')
  await mkdir(staging)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  const committers: DeltaCommitter[] = []
  t.after(async () => {
    try {
      await Promise.all(committers.map((committer) => committer.close()))
    } finally {
      await engine.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
  return { directory, staging, engine, committers, ...place(directory) }
}

/** A table in a directory. */
export function placeLocally(directory: string): ReturnType<PlaceTable> {
  const table = join(directory, 'table')
  return { table, storage: new LocalDeltaStorage(table), dataFiles: () => dataFilesOf(table) }
}

export interface CommitterOverrides {
  readonly storage?: DeltaStorage
  readonly engine?: EmbeddedEngine
  readonly columns?: readonly Column[]
  readonly evolve?: boolean
  readonly partitionColumns?: readonly string[]
  readonly stagingDirectory?: string
  readonly clock?: Clock
  readonly onCheckpointFailed?: (error: unknown) => void
  readonly landsBlob?: (blob: string) => boolean
  readonly onOffsetsRecovered?: (count: number) => void
  readonly onDoubled?: (ranges: readonly DoubledRange[]) => void
  readonly markOf?: (source: BlobGeneration) => GenerationMark | undefined
  readonly onForgotten?: (source: BlobGeneration) => void
}

/** A committer of the test table, not yet opened. */
export function committerOf(bench: Workbench, overrides: CommitterOverrides = {}): DeltaCommitter {
  const committer = new DeltaCommitter({
    storage: bench.storage,
    engine: bench.engine,
    columns,
    partitionColumns: ['event_date'],
    tableName: 'test',
    stagingDirectory: bench.staging,
    clock: impatientClock,
    onCheckpointFailed: (error) => assert.fail(`A checkpoint failed: ${error}`),
    ...overrides,
  })
  bench.committers.push(committer)
  return committer
}

export function span(blob: string, start: number, end: number, generation = '20261124T084700Z'): Span {
  return { blob, generation, start, end }
}

/** The rows as Parquet files by partition, as the encoder makes them. */
export async function encode(
  bench: Pick<Workbench, 'staging' | 'engine'>,
  source: Span,
  rows: readonly TestRow[],
): Promise<EncodedBatch> {
  const batch = { rows: rows.length, rejected: 0, partial: 0 }
  if (rows.length === 0) return { ...batch, files: [] }
  const values = rows.map(({ offset, seed }) => `(${offset}, ${seed})`).join(', ')
  const directory = join(bench.staging, randomUUID())
  const files = await bench.engine.copy(
    `COPY (SELECT
        make_timestamptz(1767225600000000 + seed * 3600000123) AS event_time,
        ${sqlString(source.blob)} AS source_blob,
        ${sqlString(source.generation)} AS source_generation,
        source_offset::BIGINT AS source_offset,
        -6883023751393440299 + seed AS query_id,
        (seed % 7)::INTEGER AS pid,
        CASE WHEN seed % 5 = 0 THEN NULL ELSE seed / 7.0 END::DOUBLE AS duration_ms,
        seed % 2 = 0 AS is_slow,
        DATE '2026-01-01' + (seed % 400)::INTEGER AS day,
        CASE WHEN seed % 3 = 0 THEN NULL ELSE repeat('é𝄞', (seed % 40)::INTEGER) || seed END AS message,
        CASE WHEN seed % 11 = 0 THEN NULL ELSE DATE '2026-01-01' + (seed % 3)::INTEGER END AS event_date
      FROM (VALUES ${values}) AS rows(source_offset, seed)
    ) TO ${sqlString(directory)} (FORMAT parquet, COMPRESSION zstd, RETURN_STATS, PARTITION_BY (event_date))`,
  )
  return { ...batch, files }
}

/** Every live row as one line of text, sorted: two tables are equal when these are. */
export async function rowsOf(bench: Workbench, where = 'true'): Promise<string[]> {
  const contents = await readTable(bench.storage, bench.engine)
  const lines: string[] = []
  const deleted = await readDeletedRows(bench.storage, contents?.files ?? [])
  for (const file of contents?.files ?? []) {
    const copy = await bench.storage.localFile(file.path)
    const date = file.partitionValues.event_date
    const source = { path: copy.path, deleted: deleted.get(file.path) }
    const found = await withLiveRows(bench.engine, [source], (relation) =>
      bench.engine.rows(
        `SELECT to_json(r)::VARCHAR AS line FROM (
          SELECT *, ${date == null ? 'NULL' : sqlString(date)}::DATE AS event_date
          FROM ${relation}) r WHERE ${where}`,
      ),
    )
    await copy.release()
    lines.push(...found.map(({ line }) => String(line)))
  }
  return lines.sort()
}

/** The offsets of a blob's live rows, sorted. */
export async function offsetsOf(bench: Workbench, blob: string): Promise<number[]> {
  const lines = await rowsOf(bench, `source_blob = ${sqlString(blob)}`)
  return lines
    .map((line) => Number((JSON.parse(line) as { source_offset: number }).source_offset))
    .sort((a, b) => a - b)
}

/** A live row by its blob, its place and the seed it was made from. */
export type PlacedRow = readonly [blob: string, offset: number, seed: number]

/** Which rows are live, sorted. */
export async function placesOf(bench: Workbench): Promise<PlacedRow[]> {
  const lines = await rowsOf(bench)
  const rows = lines.map((line): PlacedRow => {
    const seed = /"query_id":(-\d+)/.exec(line)![1]!
    const { source_blob, source_offset } = JSON.parse(line) as { source_blob: string; source_offset: number }
    return [source_blob, source_offset, Number(BigInt(seed) + 6883023751393440299n)]
  })
  return rows.sort(([a, x], [b, y]) => (a === b ? x - y : a < b ? -1 : 1))
}

async function dataFilesOf(table: string): Promise<string[]> {
  const entries = await readdir(table, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('_delta_log'))
    .map((entry) => join(relative(table, entry.parentPath), entry.name))
    .sort()
}
