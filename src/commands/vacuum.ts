import { posix } from 'node:path'
import { printTable } from '../reporting/row-printer.ts'
import type { FoundFile, VacuumReport } from '../sinks/table-reports.ts'
import type { CommandContext } from './command.ts'
import { maintainTables } from './maintained-tables.ts'

const hourMs = 3_600_000

export interface VacuumCommandOptions {
  readonly pipeline?: string | undefined
  /** Default: the retention of each table. */
  readonly retentionHours?: number | undefined
  readonly allowShortRetention: boolean
  readonly deletes: boolean
  readonly json: boolean
}

/**
 * Lists the files of each table that no version within the retention needs, or deletes them.
 *
 * @returns the exit code: 0
 */
export async function vacuum(context: CommandContext, options: VacuumCommandOptions): Promise<number> {
  const { print } = context
  const { retentionHours, allowShortRetention, deletes, json } = options
  const retentionMs = retentionHours === undefined ? undefined : retentionHours * hourMs
  const reports = await maintainTables(context, options.pipeline, (maintenance, table) =>
    maintenance.vacuum(table, { retentionMs, allowShortRetention, deletes }),
  )
  if (json) {
    await print(
      `${JSON.stringify(reports.map(({ pipeline, report }) => ({ pipeline, ...summary(report) })))}\n`,
    )
    return 0
  }
  const columns = ['pipeline', 'folder', 'state', 'files', 'bytes']
  await printTable(
    print,
    columns,
    reports.flatMap(({ pipeline, report }) => rowsOf(pipeline, report)),
  )
  if (!deletes && reports.some(({ report }) => report.expired.length > 0)) {
    await print(
      'Nothing was deleted. Run with --delete to delete the expired files; --json lists their paths.\n',
    )
  }
  return 0
}

/** @returns the rows of a report: expired files per folder, then the totals */
function rowsOf(pipeline: string, { expired, young, needed, deleted }: VacuumReport): unknown[][] {
  const state = deleted ? 'deleted' : 'expired'
  const folders = new Map<string, FoundFile[]>()
  for (const file of expired) {
    const folder = posix.dirname(file.path)
    const files = folders.get(folder) ?? []
    folders.set(folder, files)
    files.push(file)
  }
  return [
    ...Array.from(folders, ([folder, files]) => [pipeline, folder, state, ...amount(files)]),
    [pipeline, 'all', state, ...amount(expired)],
    [pipeline, 'all', 'unreferenced, but young', ...amount(young)],
    [pipeline, 'all', 'needed', ...amount(needed)],
  ]
}

function summary({ tableVersion, retentionMs, deleted, expired, young, needed }: VacuumReport) {
  const counted = (files: readonly FoundFile[]) => {
    const [count, bytes] = amount(files)
    return { files: count, bytes }
  }
  return {
    tableVersion,
    retentionHours: retentionMs / hourMs,
    deleted,
    expired: { ...counted(expired), paths: expired.map(({ path }) => path) },
    young: counted(young),
    needed: counted(needed),
  }
}

function amount(files: readonly FoundFile[]): [files: number, bytes: number] {
  return [files.length, files.reduce((sum, { bytes }) => sum + bytes, 0)]
}
