import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { resolveConfig } from '../../../../src/config/resolve.ts'
import { type Logger, silentLogger } from '../../../../src/reporting/logger.ts'
import { readCommit } from '../../../../src/sinks/delta/log/load.ts'
import {
  type OptimizeOptions,
  optimizeTable,
} from '../../../../src/sinks/delta/maintenance/optimize-table.ts'
import { type VacuumOptions, vacuumTable } from '../../../../src/sinks/delta/maintenance/vacuum-table.ts'
import type { DeltaSinkConfig } from '../../../../src/sinks/delta/options.ts'
import type { DeltaStorage } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import type { OptimizeReport, VacuumReport } from '../../../../src/sinks/table-reports.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import { deltaTarget } from '../../../support/delta-target.ts'
import { committerOf, encode, impatientClock, rowsOf, span, type Workbench, workbench } from '../support.ts'

export const blob = 'logs/pg'
export const dayMs = 24 * 3_600_000

/**
 * Lands batches of twelve rows behind one another.
 *
 * @param partitions in each of which every batch has a file: three dates and NULL, or one date and NULL
 */
export async function landBatches(
  bench: Workbench,
  from: number,
  to: number,
  partitions: 4 | 2 = 4,
): Promise<void> {
  const committer = committerOf(bench)
  await committer.open()
  for (let batch = from; batch < to; batch += 1) {
    const source = span(blob, batch * 120, batch * 120 + 120)
    // Descending, so that what is sorted afterwards was not before.
    const rows = Array.from({ length: 12 }, (_, index) => ({
      offset: source.start + index * 10,
      seed: 5_000 - (batch * 12 + index) * (partitions === 4 ? 1 : 3),
    }))
    await committer.land([source], await encode(bench, source, rows))
  }
  await committer.close()
}

/** A table in a directory that a pipeline lands in, for what runs beside its landings. */
export async function pipelineBench(
  t: TestContext,
  sink: Pick<DeltaSinkConfig, 'optimize' | 'retainDays' | 'archiveOffsets'>,
): Promise<{
  readonly bench: Workbench
  readonly target: ReturnType<typeof deltaTarget>
  readonly staging: string
  readonly logger: Logger
  /** Receives what the logger warns of. */
  readonly warnings: string[]
}> {
  const bench = await workbench(t, (directory) => {
    const table = join(directory, 'lakehouse', 'test', 'logs', 'pg')
    return { table, storage: new LocalDeltaStorage(table), dataFiles: async () => [] }
  })
  const config = resolveConfig(
    {
      pipelines: {
        primary: {
          source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'pg' },
          table: postgresLogs('test.logs.pg'),
          sink: { kind: 'delta', root: 'lakehouse', ...sink },
        },
      },
    },
    bench.directory,
  )
  const staging = join(bench.directory, 'state')
  await mkdir(staging)
  const warnings: string[] = []
  const logger = Object.assign(Object.create(silentLogger) as typeof silentLogger, {
    warn: (_fields: unknown, message: string) => void warnings.push(message),
  })
  return { bench, target: deltaTarget(config, 'primary'), staging, logger, warnings }
}

/** Merges all that is small, unless told otherwise. */
export async function optimize(
  bench: Workbench,
  changes: Partial<OptimizeOptions> = {},
): Promise<OptimizeReport | undefined> {
  return optimizeTable({
    storage: bench.storage,
    engine: bench.engine,
    stagingDirectory: bench.staging,
    clock: impatientClock,
    random: Math.random,
    targetBytes: 128 * 1024 * 1024,
    minFiles: 2,
    isGrowing: false,
    sortByTime: false,
    mayContinue: () => true,
    ...changes,
  })
}

/** Looks as if it were so many days later. */
export function daysLater(days: number) {
  return { ...impatientClock, now: () => Date.now() + days * dayMs }
}

/** Deletes what expired, eight days from now. */
export async function vacuum(
  bench: Workbench,
  changes: Partial<VacuumOptions> = {},
): Promise<VacuumReport | undefined> {
  return vacuumTable({
    storage: bench.storage,
    engine: bench.engine,
    clock: daysLater(8),
    allowShortRetention: false,
    deletes: true,
    ...changes,
  })
}

/** How many rows are live, and a hash over all columns of all of them. */
export async function contentOf(bench: Workbench): Promise<{ rows: number; hash: string }> {
  const lines = await rowsOf(bench)
  return { rows: lines.length, hash: createHash('sha256').update(lines.join('\n')).digest('hex') }
}

/** The commits since a version, as they are in the log. */
export async function commitsSince(storage: DeltaStorage, version: number) {
  const commits = []
  for (let next = version + 1; ; next += 1) {
    const commit = await readCommit(storage, next)
    if (commit === undefined) return commits
    commits.push(commit)
  }
}
