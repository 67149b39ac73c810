import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/clock.ts'
import type { Batch, Span } from '../../src/records.ts'
import { DeltaCommitter } from '../../src/sinks/delta/committer.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { SpoolEncoder } from '../../src/sinks/encoding/encoder.ts'
import { EmbeddedEngine } from '../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import { spoolRow } from '../../src/streams/staging/spool.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'

const line =
  '{"timestamp":"2026-11-24 09:09:31.946 UTC","pid":8397,"session_id":"6b05544b.20cd","line_num":1,"error_severity":"LOG","message":"checkpoint starting: time","backend_type":"checkpointer","query_id":0}'
const lineBytes = line.length + 1
const onlyBlob = 'bench/commits.ndjson'
const declaration = postgresLogs('bench.public.commits')

/**
 * Everything it takes to land batches of one row, one row a version: version n lands the n-th line of a blob.
 *
 * The encoder runs once: each batch is a copy of its file, so that only what follows is to be timed.
 */
export class OneRowCommits {
  readonly engine: EmbeddedEngine
  readonly staging: string
  readonly #directory: string
  readonly #template: EncodedBatch

  private constructor(
    engine: EmbeddedEngine,
    template: EncodedBatch,
    place: { readonly directory: string; readonly staging: string },
  ) {
    this.engine = engine
    this.#template = template
    this.#directory = place.directory
    this.staging = place.staging
  }

  /** @param directory is created, and removed with its tables by `close` */
  static async open(directory: string): Promise<OneRowCommits> {
    const staging = join(directory, 'staging')
    await rm(directory, { recursive: true, force: true })
    await mkdir(staging, { recursive: true })
    const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
    return new OneRowCommits(engine, await encodeOneRow(engine, staging), { directory, staging })
  }

  tableAt(name: string): LocalDeltaStorage {
    return new LocalDeltaStorage(join(this.#directory, name))
  }

  committerOf(storage: LocalDeltaStorage): DeltaCommitter {
    return new DeltaCommitter({
      storage,
      engine: this.engine,
      columns: declaration.columns,
      partitionColumns: declaration.partitionColumns.map(({ column }) => column),
      tableName: declaration.name.table,
      stagingDirectory: this.staging,
      clock: systemClock,
      onCheckpointFailed: (error) => {
        throw error
      },
    })
  }

  /**
   * Lands one row: by default that of the next version, from a blob that no other writer lands.
   *
   * @returns how long it took, in milliseconds
   */
  async land(
    committer: DeltaCommitter,
    { row, blob }: { readonly row: number; readonly blob: string } = {
      row: committer.tableVersion + 1,
      blob: onlyBlob,
    },
  ): Promise<number> {
    const files = await Promise.all(
      this.#template.files.map(async (file) => {
        const path = join(this.staging, `${randomUUID()}.parquet`)
        await copyFile(file.path, path)
        return { ...file, path }
      }),
    )
    const startedAt = performance.now()
    await committer.land([spanOf(row, blob)], { ...this.#template, files })
    return performance.now() - startedAt
  }

  async close(): Promise<void> {
    await this.engine.close()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** @returns the offset at which a version's commit leaves the blob */
export function offsetAfter(version: number): number {
  return version * lineBytes
}

function spanOf(version: number, blob = onlyBlob): Span {
  return {
    blob,
    generation: '20261124T084700Z',
    start: offsetAfter(version - 1),
    end: offsetAfter(version),
  }
}

async function encodeOneRow(engine: EmbeddedEngine, staging: string): Promise<EncodedBatch> {
  const spoolPath = join(staging, 'template.spool')
  const row = spoolRow({ offset: 0, length: lineBytes, index: 0, raw: line }, 0)
  await writeFile(spoolPath, row, 'latin1')
  const batch: Batch = {
    id: randomUUID(),
    spoolPath,
    spans: [spanOf(1)],
    rows: 1,
    rejected: 0,
    spoolBytes: row.length,
    longestRowBytes: row.length,
    largestVectorBytes: row.length,
    openedAtMs: Date.now(),
    sealedAtMs: Date.now(),
  }
  return new SpoolEncoder({ engine, declaration, outputDirectory: staging }).encode(batch)
}
