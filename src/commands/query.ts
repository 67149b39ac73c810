import { chooseDeltaPipelines, choosePipelines } from '../config/choose-pipelines.ts'
import { bySink, type DatabricksPipeline, type DeltaPipeline, tableLocation } from '../config/resolve.ts'
import { TailraceError } from '../errors.ts'
import type { TakeRows } from '../reporting/row-batch.ts'
import { JsonPrinter, type Print, type RowPrinter, TablePrinter } from '../reporting/row-printer.ts'
import { queryViews } from '../sinks/delta/query/run.ts'
import { createViews, type TableMoment } from '../sinks/delta/query/views.ts'
import { lookingStorage } from '../sinks/delta/storage/open.ts'
import { withEngine } from '../sinks/encoding/engine-session.ts'
import type { CommandContext } from './command.ts'

export interface QueryOptions extends TableMoment {
  /** Leaves out the tables of all other pipelines. */
  readonly pipeline?: string
  readonly json: boolean
  /** Runs any statements, with the rights of this process. */
  readonly unsafe?: boolean | undefined
}

/**
 * Runs one SQL statement over the config's tables and prints its rows while it runs. Where all tables are in one
 * Databricks workspace, its warehouse executes the statement as it stands. The embedded engine reads nothing but the
 * tables, and changes nothing, unless the statement is said to be unsafe.
 *
 * @throws USAGE when a version is asked for and there are several tables, which number theirs independently
 */
export async function query(
  context: CommandContext,
  sql: string,
  { pipeline: only, json, unsafe = false, ...moment }: QueryOptions,
): Promise<number> {
  const { config, clock, logger, printRows } = context
  const { take, end } = resultPrinter(printRows, json)
  const workspace = workspacePipeline(config, only)
  if (workspace !== undefined) {
    if (moment.version !== undefined || moment.timestampMs !== undefined) {
      throw new TailraceError('USAGE', 'In a Databricks workspace, write VERSION AS OF into the statement.')
    }
    const { queryWorkspace } = await import('../sinks/databricks/inspect.ts')
    await queryWorkspace(workspace, sql, context, take)
    await end()
    return 0
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
  const readings = await withEngine(async (engine, temporaryDirectory) => {
    const views = await createViews(
      engine,
      pipelines,
      (pipeline) => lookingStorage(pipeline, temporaryDirectory, clock),
      moment,
    )
    if (!unsafe) await engine.confine([temporaryDirectory, ...directoriesOf(pipelines)])
    return queryViews(engine, views, sql, { unsafe, take })
  })
  await end()
  for (const reading of readings) {
    if (reading.readFiles > 0) logger.debug(reading, 'read files of a table')
  }
  return 0
}

/** The directories of the tables that are on this machine; the files of others are copied. */
function directoriesOf(pipelines: readonly (readonly [name: string, pipeline: DeltaPipeline])[]): string[] {
  return pipelines.flatMap(([, pipeline]) => {
    const location = tableLocation(pipeline)
    return location.kind === 'directory' ? [location.path] : []
  })
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

/** @returns what prints each result as one table, or as one JSON object per row */
function resultPrinter(
  print: Print,
  json: boolean,
): { readonly take: TakeRows; readonly end: () => Promise<void> } {
  let printer: RowPrinter | undefined
  let isRead = true
  const end = async (): Promise<void> => {
    if (isRead) await printer?.end()
  }
  const take: TakeRows = async ({ columns, rows }) => {
    if (rows.length === 0) {
      await end()
      printer = json ? new JsonPrinter(print, columns) : new TablePrinter(print, columns)
    }
    isRead = (await printer?.add(rows)) === true
    return isRead
  }
  return { take, end }
}
