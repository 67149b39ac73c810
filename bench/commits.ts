import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import type { Batch, Span } from '../src/records.ts'
import { DeltaCommitter } from '../src/sinks/delta/delta-committer.ts'
import { LocalDeltaStorage } from '../src/sinks/delta/local-delta-storage.ts'
import { EmbeddedEngine } from '../src/sinks/duckdb.ts'
import { SpoolEncoder } from '../src/sinks/encoder.ts'
import type { EncodedBatch } from '../src/sinks/table-committer.ts'
import { spoolRow } from '../src/spool.ts'
import { postgresLogs } from '../src/tables/postgres-logs.ts'
import { median } from './statistics.ts'

/** Times of commits around one version of a table, and of opening the table there. */
export interface CommitTimes {
  readonly version: number
  readonly medianMs: number
  readonly slowestMs: number
  readonly openMs: number
}

/** Commits on either side of a version that are looked at with it. */
const windowRadius = 5
const opens = 5
const line =
  '{"timestamp":"2026-11-24 09:09:31.946 UTC","pid":8397,"session_id":"6b05544b.20cd","line_num":1,"error_severity":"LOG","message":"checkpoint starting: time","backend_type":"checkpointer","query_id":0}'
const lineBytes = line.length + 1
const generation = { blob: 'bench/commits.ndjson', generation: '20261124T084700Z' }
const declaration = postgresLogs('bench.public.commits')

/**
 * Lands one-row batches until a table has reached the last of `versions`, and tells the times around each.
 *
 * The encoder runs once: each commit gets a copy of its file, so that only the commit is timed.
 */
export async function measureCommits(
  versions: readonly number[],
  scratch: string,
): Promise<readonly CommitTimes[]> {
  const directory = join(scratch, 'commits')
  const staging = join(directory, 'staging')
  await rm(directory, { recursive: true, force: true })
  await mkdir(staging, { recursive: true })
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  const committerOf = (): DeltaCommitter =>
    new DeltaCommitter({
      pipeline: 'bench',
      storage: new LocalDeltaStorage(join(directory, 'table')),
      engine,
      columns: declaration.columns,
      partitionColumns: declaration.partitionColumns,
      tableName: declaration.name.table,
      stagingDirectory: staging,
      clock: systemClock,
    })
  const committer = committerOf()
  try {
    await committer.open()
    const template = await encodeOneRow(engine, staging)
    const tookMs = new Map<number, number>()
    const results: CommitTimes[] = []
    for (const version of versions) {
      while (committer.tableVersion < version + windowRadius) {
        const encoded = await copyOf(template, staging)
        const start = committer.tableVersion * lineBytes
        const startedAt = performance.now()
        await committer.land([spanFrom(start)], encoded)
        tookMs.set(committer.tableVersion, performance.now() - startedAt)
      }
      const window = [...tookMs.entries()]
        .filter(([landed]) => Math.abs(landed - version) <= windowRadius)
        .map(([, ms]) => ms)
      results.push({
        version,
        medianMs: median(window),
        slowestMs: Math.max(...window),
        openMs: await openMs(committerOf),
      })
    }
    return results
  } finally {
    await committer.close()
    engine.close()
    await rm(directory, { recursive: true, force: true })
  }
}

function spanFrom(start: number): Span {
  return { ...generation, start, end: start + lineBytes }
}

async function encodeOneRow(engine: EmbeddedEngine, staging: string): Promise<EncodedBatch> {
  const spoolPath = join(staging, 'template.spool')
  const row = spoolRow({ offset: 0, length: lineBytes, index: 0, raw: line }, 0, 0)
  await writeFile(spoolPath, row, 'latin1')
  const batch: Batch = {
    id: randomUUID(),
    spoolPath,
    spans: [spanFrom(0)],
    rows: 1,
    rejected: 0,
    spoolBytes: row.length,
    longestRowBytes: row.length,
    openedAtMs: Date.now(),
  }
  return new SpoolEncoder({ engine, declaration, outputDirectory: staging }).encode(batch)
}

async function copyOf(template: EncodedBatch, staging: string): Promise<EncodedBatch> {
  const files = await Promise.all(
    template.files.map(async (file) => {
      const path = join(staging, `${randomUUID()}.parquet`)
      await copyFile(file.path, path)
      return { ...file, path }
    }),
  )
  return { ...template, files }
}

/** The median of opening the table anew, as the next start does. */
async function openMs(committerOf: () => DeltaCommitter): Promise<number> {
  const tookMs: number[] = []
  for (let time = 0; time < opens; time += 1) {
    const committer = committerOf()
    const startedAt = performance.now()
    await committer.open()
    tookMs.push(performance.now() - startedAt)
    await committer.close()
  }
  return median(tookMs)
}
