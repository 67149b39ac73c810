import { randomUUID } from 'node:crypto'
import { cp, mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/clock.ts'
import type { Span } from '../../src/records.ts'
import { DeltaCommitter } from '../../src/sinks/delta/committer.ts'
import { optimizeTable } from '../../src/sinks/delta/maintenance/optimize-table.ts'
import { readTable } from '../../src/sinks/delta/query/read-table.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { SpoolEncoder } from '../../src/sinks/encoding/encoder.ts'
import { EmbeddedEngine, sqlString } from '../../src/sinks/encoding/engine.ts'
import { RowLengths } from '../../src/streams/staging/row-lengths.ts'
import { spoolRow } from '../../src/streams/staging/spool.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { median, percentile } from '../reports/statistics.ts'
import type { LinesFile } from './lines.ts'

/** The time to merge the small files of a table, and its effect on concurrent commits. */
export interface CompactionResult {
  readonly files: number
  readonly filesAfter: number
  readonly bytes: number
  readonly bytesAfter: number
  /** Time to merge the files and to commit the result. */
  readonly optimizeMs: number
  /** DuckDB alone, which copies the same files to one file with its own settings. */
  readonly duckdbMs: number
  /** Of the small files, in units of 1,000,000 bytes. */
  readonly optimizeMegabytesPerSecond: number
  readonly duckdbMegabytesPerSecond: number
  /** Commits of one small batch after another. */
  readonly commitsAlone: CommitPauses
  /** The same while files are merged as a run does it: on one thread of an engine of its own. */
  readonly commitsBeside: CommitPauses
}

/** Milliseconds that commits took. */
export interface CommitPauses {
  readonly commits: number
  readonly medianMs: number
  readonly p95Ms: number
  readonly slowestMs: number
}

export interface CompactionOptions {
  /** Source bytes of a small file. */
  readonly batchBytes: number
  readonly rounds: number
  readonly scratch: string
}

const declaration = postgresLogs('bench.public.compaction')
const targetBytes = 128 * 1024 * 1024
const newline = 0x0a

/**
 * Lands a file of lines as many small files and merges them, in rounds that alternate with DuckDB's copy.
 *
 * @param lines lands as it is, one batch after the other
 */
export async function measureCompaction(
  lines: LinesFile,
  { batchBytes, rounds, scratch }: CompactionOptions,
): Promise<CompactionResult> {
  const directory = join(scratch, 'compaction')
  await rm(directory, { recursive: true, force: true })
  await mkdir(join(directory, 'staging'), { recursive: true })
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  try {
    const table = join(directory, 'table')
    await landSmallFiles(lines, table, batchBytes, directory, engine)
    const storage = new LocalDeltaStorage(table)
    const small = (await readTable(storage, engine))?.files ?? []
    const bytes = small.reduce((sum, file) => sum + file.bytes, 0)
    const paths = await Promise.all(small.map(async (file) => (await storage.localFile(file.path)).path))

    const optimizeMs: number[] = []
    const duckdbMs: number[] = []
    let after = small
    for (let round = 0; round < rounds; round += 1) {
      duckdbMs.push(await copyByDuckDB(paths, directory))
      const copy = join(directory, 'merged')
      await cp(table, copy, { recursive: true })
      optimizeMs.push(await timed(() => merge(copy, directory, 2, Number.POSITIVE_INFINITY)))
      after = (await readTable(new LocalDeltaStorage(copy), engine))?.files ?? []
      await rm(copy, { recursive: true })
    }
    const commitsAlone = await commitWhile(join(directory, 'alone'), directory, engine, async () => {
      await systemClock.sleep(median(optimizeMs))
    })
    const commitsBeside = await commitWhile(table, directory, engine, () =>
      // Concurrent commits keep adding small files.
      merge(table, directory, 1, after.length),
    )
    return {
      files: small.length,
      filesAfter: after.length,
      bytes,
      bytesAfter: after.reduce((sum, file) => sum + file.bytes, 0),
      optimizeMs: median(optimizeMs),
      duckdbMs: median(duckdbMs),
      optimizeMegabytesPerSecond: bytes / 1_000 / median(optimizeMs),
      duckdbMegabytesPerSecond: bytes / 1_000 / median(duckdbMs),
      commitsAlone,
      commitsBeside,
    }
  } finally {
    await engine.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

function committerOf(table: string, directory: string, engine: EmbeddedEngine): DeltaCommitter {
  return new DeltaCommitter({
    storage: new LocalDeltaStorage(table),
    engine,
    columns: declaration.columns,
    partitionColumns: declaration.partitionColumns.map(({ column }) => column),
    tableName: declaration.name.table,
    stagingDirectory: join(directory, 'staging'),
    clock: systemClock,
  })
}

async function landSmallFiles(
  { path, bytes }: LinesFile,
  table: string,
  batchBytes: number,
  directory: string,
  engine: EmbeddedEngine,
): Promise<void> {
  const committer = committerOf(table, directory, engine)
  await committer.open()
  const file = await open(path)
  try {
    for (let start = 0; start < bytes; ) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(batchBytes), 0, batchBytes, start)
      const text = buffer.toString('latin1', 0, buffer.lastIndexOf(newline, bytesRead - 1))
      const source = spanOf('lines', start, start + text.length + 1)
      await committer.land([source], await encode(text.split('\n'), source, directory, engine))
      start = source.end
    }
  } finally {
    await file.close()
    await committer.close()
  }
}

function spanOf(blob: string, start: number, end: number): Span {
  return { blob: `bench/${blob}.ndjson`, generation: '20261124T084700Z', start, end }
}

async function encode(lines: readonly string[], span: Span, directory: string, engine: EmbeddedEngine) {
  const spoolPath = join(directory, 'batch.spool')
  let offset = span.start
  const rows = lines.map((raw) => {
    const row = spoolRow({ offset, length: raw.length + 1, index: 0, raw }, 0)
    offset += raw.length + 1
    return row
  })
  const spool = rows.join('')
  const lengths = new RowLengths()
  for (const { length } of rows) lengths.add(length)
  await writeFile(spoolPath, spool, 'latin1')
  return new SpoolEncoder({ engine, declaration, outputDirectory: join(directory, 'staging') }).encode({
    id: randomUUID(),
    spoolPath,
    spans: [span],
    rows: rows.length,
    rejected: 0,
    spoolBytes: spool.length,
    longestRowBytes: lengths.longest,
    largestVectorBytes: lengths.largestVector,
    openedAtMs: Date.now(),
    sealedAtMs: Date.now(),
  })
}

async function copyByDuckDB(paths: readonly string[], directory: string): Promise<number> {
  const engine = await EmbeddedEngine.open({
    temporaryDirectory: join(directory, 'spill-copy'),
    memoryMiB: 1024,
  })
  const target = join(directory, 'copy.parquet')
  try {
    const list = paths.map(sqlString).join(', ')
    return await timed(() =>
      engine.run(
        `COPY (FROM read_parquet([${list}], hive_partitioning = false)) TO ${sqlString(target)} (FORMAT parquet, COMPRESSION zstd)`,
      ),
    )
  } finally {
    await engine.close()
    await rm(target, { force: true })
  }
}

async function merge(table: string, directory: string, threads: 1 | 2, maxMerges: number): Promise<void> {
  let merges = 0
  const engine = await EmbeddedEngine.open({
    threads,
    memoryMiB: threads === 1 ? 160 : 1024,
    temporaryDirectory: join(directory, 'spill-merge'),
  })
  try {
    await optimizeTable({
      storage: new LocalDeltaStorage(table),
      engine,
      stagingDirectory: join(directory, 'staging'),
      clock: systemClock,
      random: Math.random,
      targetBytes,
      minFiles: 2,
      isGrowing: false,
      sortByTime: false,
      mayContinue: () => {
        merges += 1
        return merges <= maxMerges
      },
    })
  } finally {
    await engine.close()
  }
}

/** Lands small batches in turn until `work` is done. @returns the duration of each commit */
async function commitWhile(
  table: string,
  directory: string,
  engine: EmbeddedEngine,
  work: () => Promise<void>,
): Promise<CommitPauses> {
  const committer = committerOf(table, directory, engine)
  await committer.open()
  const tookMs: number[] = []
  const state = { isWorking: true }
  const working = work().finally(() => {
    state.isWorking = false
  })
  const line = '{"timestamp":"2026-11-24 09:09:31.946 UTC","pid":8397,"error_severity":"LOG","message":"m"}'
  for (let start = 0; state.isWorking; start += line.length + 1) {
    const source = spanOf('beside', start, start + line.length + 1)
    const encoded = await encode([line], source, directory, engine)
    tookMs.push(await timed(() => committer.land([source], encoded)))
  }
  await working
  await committer.close()
  return {
    commits: tookMs.length,
    medianMs: median(tookMs),
    p95Ms: percentile(tookMs, 0.95),
    slowestMs: percentile(tookMs, 1),
  }
}
