import { TailraceError } from '../../../errors.ts'
import type { RetainedDay, RetainReport } from '../../table-reports.ts'
import { type CommitContext, commit } from '../log/commit.ts'
import { type LoadContext, loadState } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { type AddAction, commitPath, removalOf } from '../protocol/actions.ts'
import { checkAppendable, checkRemovable, clusteringDomain } from '../protocol/features.ts'
import { dayColumn, laterFirstDay, withRetainedFrom } from '../protocol/retention.ts'
import { Overtaken, overtakenBy } from './overtaken.ts'

const dayMs = 86_400_000

/** Attempts; each fails when another commit removes one of the same files or changes the table's rules. */
const maxAttempts = 10

export interface RetainOptions extends CommitContext, LoadContext {
  /** Today (UTC) and so many days before it are kept. */
  readonly days: number
  /** Whether every day may be deleted: the clock of this machine is then trusted, whatever the rows say. */
  readonly allowEmpty: boolean
  /** Whether the files are removed; otherwise they are only reported. */
  readonly deletes: boolean
}

/**
 * Removes the files of all days before a first day, in one commit, and records that day in the table. Whole partitions go,
 * so no file is rewritten. Offsets do not change. Rows without a day stay.
 *
 * No clock is trusted alone, because one that is ahead would make newer days old ones: `dayOfToday`.
 *
 * The files themselves are deleted by vacuum, once no version within the table's retention needs them.
 *
 * @returns undefined when there is no table
 * @throws TABLE_UNSUPPORTED for a table that is not partitioned by date, or where rows may not be removed;
 * RETENTION_REFUSED when no day would remain; TABLE_CORRUPT, COMMIT_CONTENDED, COMMIT_UNKNOWN
 */
export async function retainTable(options: RetainOptions): Promise<RetainReport | undefined> {
  const { storage, engine, days, allowEmpty, deletes } = options
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const state = await loadState(storage, engine, { keepFiles: true, statistics: false })
    if (state === undefined) return undefined
    checkAppendable(state.protocol, state.metaData, state.domains.get(clusteringDomain))
    checkRemovable(state.metaData)
    const column = dayColumn(state.metaData)
    const all = [...(state.files?.values() ?? [])]
    const today = await dayOfToday(all, column, state.version, options)
    const firstDay = dayText(Date.parse(today.day) - days * dayMs)
    const old = all.filter((file) => isBefore(file, column, firstDay))
    const undatedFiles = all.filter(({ partitionValues }) => (partitionValues[column] ?? '') === '').length
    const report = {
      today,
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

/**
 * The day that counts as today: the earlier one by the clocks of this machine and of the storage service. Without a service,
 * the newest day of the rows takes its place, so a table that no row is added to keeps its last days.
 */
async function dayOfToday(
  files: readonly AddAction[],
  column: string,
  version: number,
  { storage, clock, allowEmpty }: RetainOptions,
): Promise<RetainReport['today']> {
  const nowMs = clock.now()
  const serviceMs = await storage.serviceTimeMs?.(commitPath(version))
  if (serviceMs !== undefined && dayText(serviceMs) < dayText(nowMs))
    return { day: dayText(serviceMs), by: 'storage' }
  const day = dayText(nowMs)
  if (serviceMs !== undefined || allowEmpty) return { day, by: 'clock' }
  // A server with a wrong clock writes days that are still to come; they say nothing of today.
  const past = files.map(({ partitionValues }) => partitionValues[column] ?? '').filter((one) => one <= day)
  const newest = past.sort().at(-1) ?? ''
  return newest === '' || newest === day ? { day, by: 'clock' } : { day: newest, by: 'rows' }
}

/** @returns the UTC day of an instant, as `2026-08-31` */
function dayText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
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
