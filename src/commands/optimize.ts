import { printTable } from '../reporting/row-printer.ts'
import type { CommandContext } from './command.ts'
import { maintainTables } from './maintained-tables.ts'

/**
 * Merges the small files of each table, today's included, archives old offsets, and prints the result per partition, or
 * who merges them instead.
 *
 * @returns the exit code: 0
 */
export async function optimize(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const { logger, print } = context
  const reports = await maintainTables(context, pipeline, (maintenance, table) => maintenance.optimize(table))
  for (const { pipeline: name, report } of reports) {
    if (report.refused.length === 0) continue
    logger.warn(
      { pipeline: name, files: report.refused },
      'files whose deletion vectors are stored outside of the table were not merged',
    )
  }
  if (json) {
    await print(
      `${JSON.stringify(reports.map(({ pipeline: name, report }) => ({ pipeline: name, ...report })))}\n`,
    )
    return 0
  }
  const columns = [
    'pipeline',
    'partition',
    'filesBefore',
    'filesAfter',
    'bytesBefore',
    'bytesAfter',
    'rows',
    'ms',
  ]
  const rows = reports.flatMap(({ pipeline: name, report }) =>
    report.partitions.map((one) => [
      name,
      Object.entries(one.partitionValues)
        .map(([column, value]) => `${column}=${value ?? 'NULL'}`)
        .join(', '),
      one.filesBefore,
      one.filesAfter,
      one.bytesBefore,
      one.bytesAfter,
      one.rows,
      one.ms,
    ]),
  )
  await printTable(print, columns, rows)
  for (const { pipeline: name, report } of reports) {
    if (report.leftTo !== undefined)
      await print(`${name}: not merged, its small files are left to ${report.leftTo}\n`)
    const { archivedOffsets = 0 } = report
    if (archivedOffsets > 0)
      await print(
        `${name}: ${archivedOffsets} offsets of blobs that have not changed for long moved into the table's archive\n`,
      )
  }
  return 0
}
