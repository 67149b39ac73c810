import { choosePipelines, chooseTables, unsupportedError } from '../config/choose-pipelines.ts'
import { JsonPrinter, type Print, type RowPrinter, TablePrinter } from '../reporting/row-printer.ts'
import type { TakeRows } from '../sinks/encoding/row-stream.ts'
import type { SinkQuery, SinkTarget, TableMoment } from '../sinks/sink.ts'
import type { CommandContext } from './command.ts'

export interface QueryOptions extends TableMoment {
  /** Query only the table of this pipeline. */
  readonly pipeline?: string | undefined
  readonly json: boolean
  /** Allow any statement, with the permissions of this process. Default false. */
  readonly unsafe?: boolean | undefined
}

/**
 * Runs one SQL statement over the tables of the config, and prints its rows while they arrive. If all tables are in one
 * Databricks workspace, its warehouse executes the unchanged statement. Otherwise the embedded engine executes it; unless
 * `unsafe` is set, it can read nothing but the tables, and change nothing.
 *
 * @throws USAGE when a version is given for several tables, because each table counts its own versions
 */
export async function query(
  context: CommandContext,
  sql: string,
  { pipeline: only, json, unsafe = false, ...moment }: QueryOptions,
): Promise<number> {
  const { config, clock, logger, printRows } = context
  const { take, end } = resultPrinter(printRows, json)
  const { ability, targets } = chooseEngine(context, only)
  const chosen = new Set(targets.map(({ name }) => name))
  const left = choosePipelines(config, only).flatMap(([name]) => (chosen.has(name) ? [] : [name]))
  if (left.length > 0) {
    logger.info({ pipelines: left }, 'tables of other engines are not queried: select one with --pipeline')
  }
  await ability.run(targets, { sql, unsafe, moment, take, clock, logger })
  await end()
  return 0
}

/** @throws USAGE when the tables belong to several engines, none of them the embedded one */
function chooseEngine(
  { config }: CommandContext,
  only: string | undefined,
): { readonly ability: SinkQuery; readonly targets: readonly SinkTarget[] } {
  const tables = chooseTables(config, only, (sink) => sink.query)
  const engines = new Map<string | undefined, typeof tables>()
  for (const table of tables) {
    const engine = table.ability.engineOf(table.target)
    engines.set(engine, [...(engines.get(engine) ?? []), table])
  }
  const [chosen] = engines.size === 1 ? engines.values() : [engines.get(undefined)]
  const [first] = chosen ?? []
  if (chosen === undefined || first === undefined) {
    const names = tables.map(({ target }) => target.name)
    throw unsupportedError(names, {
      because: 'is not queried by one engine: select one pipeline with --pipeline',
    })
  }
  return { ability: first.ability, targets: chosen.map(({ target }) => target) }
}

/** @returns a printer of results: each as one table, or as one JSON object per row */
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
