import { TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import type { RetainedDay, RetainReport } from '../../table-reports.ts'
import { type CommitContext, commit } from '../log/commit.ts'
import { loadState } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { type AddAction, removalOf } from '../protocol/actions.ts'
import { checkAppendable, checkRemovable, clusteringDomain } from '../protocol/features.ts'
import { dayColumn, laterFirstDay, withRetainedFrom } from '../protocol/retention.ts'
import { Overtaken, overtakenBy } from './overtaken.ts'

const dayMs = 86_400_000

/** Attempts; each fails when another commit removes one of the same files or changes the table's rules. */
const maxAttempts = 10

export interface RetainOptions extends CommitContext {
  /** Reads checkpoints. */
  readonly engine: EmbeddedEngine
  /** Today (UTC) and so many days before it are kept. */
  readonly days: number
  /** Whether every day may be deleted. A clock that is wrong by years would make every day an old one. */
  readonly allowEmpty: boolean
  /** Whether the files are removed; otherwise they are only reported. */
  readonly deletes: boolean
}

/**
 * Removes the files of all days before a first day, in one commit, and records that day in the table. Whole partitions go,
 * so no file is rewritten. Offsets do not change. Rows without a day stay.
 *
 * The files themselves are deleted by vacuum, once no version within the table's retention needs them.
 *
 * @returns undefined when there is no table
 * @throws TABLE_UNSUPPORTED for a table that is not partitioned by date, or where rows may not be removed;
 * RETENTION_REFUSED when no day would remain; TABLE_CORRUPT, COMMIT_CONTENDED, COMMIT_UNKNOWN
 */
export async function retainTable(options: RetainOptions): Promise<RetainReport | undefined> {
  const { storage, engine, clock, days, allowEmpty, deletes } = options
  const firstDay = new Date(clock.now() - days * dayMs).toISOString().slice(0, 10)
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const state = await loadState(storage, engine, { keepFiles: true, statistics: false })
    if (state === undefined) return undefined
    checkAppendable(state.protocol, state.metaData, state.domains.get(clusteringDomain))
    checkRemovable(state.metaData)
    const column = dayColumn(state.metaData)
    const all = [...(state.files?.values() ?? [])]
    const old = all.filter((file) => isBefore(file, column, firstDay))
    const undatedFiles = all.filter(({ partitionValues }) => (partitionValues[column] ?? '') === '').length
    const report = {
      // The days before the table's own first day were deleted before, and do not return.
      firstDay: laterFirstDay(state.metaData, firstDay),
      days: byDay(old, column),
      undatedFiles,
      deleted: deletes,
    }
    if (!deletes || old.length === 0) return { ...report, tableVersion: state.version }
    if (!allowEmpty && old.length + undatedFiles === all.length) throw noDayLeft(firstDay, report.days)
    try {
      return { ...report, tableVersion: await remove(old, { column, firstDay }, state, options) }
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error
    }
  }
  throw new TailraceError(
    'COMMIT_CONTENDED',
    `No day was deleted: other commits removed the same files during all ${maxAttempts} attempts.`,
    { context: { attempts: maxAttempts } },
  )
}

function noDayLeft(firstDay: string, days: readonly RetainedDay[]): TailraceError {
  return new TailraceError(
    'RETENTION_REFUSED',
    `No day was deleted: every day of the table is before ${firstDay}; the last one is ${days.at(-1)?.day}.`,
    { context: { firstDay, days: days.length } },
  )
}

async function remove(
  files: readonly AddAction[],
  { column, firstDay }: { readonly column: string; readonly firstDay: string },
  state: TableState,
  context: CommitContext,
): Promise<number> {
  const { metaData } = state
  return commit(
    state,
    {
      info: {
        operation: 'DELETE',
        operationParameters: { predicate: JSON.stringify([`(${column} < '${firstDay}')`]) },
        isBlindAppend: false,
        operationMetrics: {
          numRemovedFiles: String(files.length),
          numRemovedBytes: String(files.reduce((sum, { size }) => sum + size, 0)),
        },
      },
      actions: [
        { metaData: withRetainedFrom(metaData, firstDay) },
        ...files.map((file) => ({ remove: removalOf(file, context.clock.now(), true) })),
      ],
      check: overtakenBy(files, state),
    },
    context,
  )
}

/** Days as text have the order of time. */
function isBefore({ partitionValues }: AddAction, column: string, firstDay: string): boolean {
  const day = partitionValues[column] ?? ''
  return day !== '' && day < firstDay
}

function byDay(files: readonly AddAction[], column: string): readonly RetainedDay[] {
  const days = new Map<string, { files: number; bytes: number }>()
  for (const { partitionValues, size } of files) {
    const day = partitionValues[column] ?? ''
    const { files: count = 0, bytes = 0 } = days.get(day) ?? {}
    days.set(day, { files: count + 1, bytes: bytes + size })
  }
  return Array.from(days, ([day, sums]) => ({ day, ...sums })).sort((a, b) => (a.day < b.day ? -1 : 1))
}
