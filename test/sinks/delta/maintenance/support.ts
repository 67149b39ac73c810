import { createHash } from 'node:crypto'
import { readCommit } from '../../../../src/sinks/delta/log/load.ts'
import {
  type OptimizeOptions,
  optimizeTable,
} from '../../../../src/sinks/delta/maintenance/optimize-table.ts'
import { type VacuumOptions, vacuumTable } from '../../../../src/sinks/delta/maintenance/vacuum-table.ts'
import type { DeltaStorage } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import type { OptimizeReport, VacuumReport } from '../../../../src/sinks/table-reports.ts'
import { committerOf, encode, impatientClock, rowsOf, span, type Workbench } from '../support.ts'

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
