import { printTable } from '../reporting/row-printer.ts'
import type { CommandContext } from './command.ts'
import { maintainTables } from './maintained-tables.ts'

export interface RetainCommandOptions {
  readonly pipeline?: string | undefined
  /** Today (UTC) and so many days before it are kept. */
  readonly days: number
  /** Whether every day of a table may be deleted. */
  readonly allowEmpty: boolean
  readonly deletes: boolean
  readonly json: boolean
}

/**
 * Lists the days of each table before the last ones, or deletes their rows.
 *
 * @returns the exit code: 0
 */
export async function retain(context: CommandContext, options: RetainCommandOptions): Promise<number> {
  const { print } = context
  const { pipeline, days, allowEmpty, deletes, json } = options
  const reports = await maintainTables(context, pipeline, (maintenance, table) =>
    maintenance.retain(table, { days, allowEmpty, deletes }),
  )
  if (json) {
    await print(
      `${JSON.stringify(reports.map(({ pipeline: name, report }) => ({ pipeline: name, ...report })))}\n`,
    )
    return 0
  }
  const rows = reports.flatMap(({ pipeline: name, report }) => {
    const state = report.deleted ? 'deleted' : 'to delete'
    return report.days.map(({ day, files, bytes }) => [name, day, state, files, bytes])
  })
  await printTable(print, ['pipeline', 'day', 'state', 'files', 'bytes'], rows)
  for (const { pipeline: name, report } of reports) {
    await print(`${name}: rows ${deletes ? 'are' : 'would be'} kept from ${report.firstDay} on\n`)
    const { day, by } = report.today
    if (by === 'rows')
      await print(
        `${name}: ${day} counts as today, because no row is newer; with --allow-empty the clock of this machine counts\n`,
      )
    if (by === 'storage')
      await print(
        `${name}: ${day} counts as today by the clock of the storage, because that of this machine is ahead\n`,
      )
    if (report.undatedFiles > 0)
      await print(`${name}: ${report.undatedFiles} files have rows without a day, which are kept\n`)
  }
  if (!deletes && rows.length > 0)
    await print('Nothing was deleted. Run with --delete to delete these days.\n')
  if (deletes && rows.length > 0)
    await print(
      '`tailrace vacuum --delete` deletes the files, once no version within the retention needs them.\n',
    )
  return 0
}
