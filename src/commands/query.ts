import { chooseDeltaPipelines, choosePipelines } from '../choose-pipelines.ts'
import { TailraceError } from '../errors.ts'
import { createViews, type TableMoment } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import { queryViews } from '../query-views.ts'
import { bySink, type DatabricksPipeline } from '../resolve-config.ts'
import type { CommandContext } from './command.ts'
import { lookingStorage } from './looking-storage.ts'
import { withEngine } from './with-engine.ts'

export interface QueryOptions extends TableMoment {
  /** Leaves out the tables of all other pipelines. */
  readonly pipeline?: string
  readonly json: boolean
}

/**
 * Runs one SQL statement over the config's tables and prints its rows. Where all of them are in one Databricks workspace,
 * its warehouse executes the statement as it stands.
 *
 * @throws USAGE when a version is asked for and there are several tables, which number theirs independently
 */
export async function query(
  context: CommandContext,
  sql: string,
  { pipeline: only, json, ...moment }: QueryOptions,
): Promise<number> {
  const { config, clock, logger, print } = context
  const workspace = workspacePipeline(config, only)
  if (workspace !== undefined) {
    if (moment.version !== undefined || moment.timestampMs !== undefined) {
      throw new TailraceError('USAGE', 'In a Databricks workspace, write VERSION AS OF into the statement.')
    }
    const { queryWorkspace } = await import('./query-workspace.ts')
    return printRows(print, await queryWorkspace(workspace, sql, context), json)
  }
  const pipelines = chooseDeltaPipelines(config, only, 'name one pipeline with --pipeline')
  const left = choosePipelines(config, only).filter(([, { sink }]) => sink.kind !== 'delta')
  if (left.length > 0) {
    const names = left.map(([name]) => name)
    logger.info({ pipelines: names }, 'tables in a workspace are left out: ask for one with --pipeline')
  }
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
  return printRows(print, { columns, rows }, json)
}

/** @returns the first of the chosen pipelines when all their tables are in one workspace, reached by one warehouse */
function workspacePipeline(
  config: CommandContext['config'],
  only: string | undefined,
): [name: string, pipeline: DatabricksPipeline] | undefined {
  const chosen = choosePipelines(config, only).map(([name, pipeline]) =>
    bySink<[string, DatabricksPipeline] | undefined>(pipeline, {
      delta: () => undefined,
      databricks: (one) => [name, one],
    }),
  )
  const [first] = chosen
  const isSame = (one: (typeof chosen)[number]): boolean =>
    one?.[1].sink.host === first?.[1].sink.host && one?.[1].sink.httpPath === first?.[1].sink.httpPath
  return chosen.every(isSame) ? first : undefined
}

function printRows(
  print: CommandContext['print'],
  { columns, rows }: { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] },
  json: boolean,
): number {
  if (json) {
    for (const row of rows) {
      print(`${JSON.stringify(Object.fromEntries(columns.map((column, index) => [column, row[index]])))}\n`)
    }
  } else print(printTable(columns, rows))
  return 0
}
