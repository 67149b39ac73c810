import { choosePipelines } from '../choose-pipelines.ts'
import { TailraceError } from '../errors.ts'
import { createViews, type TableMoment } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import { queryViews } from '../query-views.ts'
import type { CommandContext } from './command.ts'
import { lookingStorage } from './looking-storage.ts'
import { withEngine } from './with-engine.ts'

export interface QueryOptions extends TableMoment {
  /** Leaves out the tables of all other pipelines. */
  readonly pipeline?: string
  readonly json: boolean
}

/**
 * Runs one SQL statement over the config's tables and prints its rows.
 *
 * @throws USAGE when a version is asked for and there are several tables, which number theirs independently
 */
export async function query(
  { config, clock, logger, print }: CommandContext,
  sql: string,
  { pipeline: only, json, ...moment }: QueryOptions,
): Promise<number> {
  const pipelines = choosePipelines(config, only)
  if (moment.version !== undefined && pipelines.length > 1) {
    const names = pipelines.map(([name]) => name).join(', ')
    throw new TailraceError('USAGE', `--version needs --pipeline: the config has ${names}.`)
  }
  const { columns, rows, readings } = await withEngine(async (engine, temporaryDirectory) => {
    const views = await createViews(
      engine,
      pipelines,
      (pipeline) => lookingStorage(pipeline, temporaryDirectory, clock),
      moment,
    )
    return queryViews(engine, views, sql)
  })
  for (const reading of readings) {
    if (reading.readFiles > 0) logger.debug(reading, 'read files of a table')
  }
  if (json) {
    for (const row of rows) {
      print(`${JSON.stringify(Object.fromEntries(columns.map((column, index) => [column, row[index]])))}\n`)
    }
  } else print(printTable(columns, rows))
  return 0
}
