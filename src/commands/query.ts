import { choosePipelines, chooseTables } from '../config/choose-pipelines.ts'
import type { TakeRows } from '../reporting/row-batch.ts'
import { JsonPrinter, type Print, type RowPrinter, TablePrinter } from '../reporting/row-printer.ts'
import type { SinkQuery, SinkTarget, TableMoment } from '../sinks/sink.ts'
import { unsupportedError } from '../sinks/sinks.ts'
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
  const { ability, targets } = chooseEngine(context, only)
  const chosen = new Set(targets.map(({ name }) => name))
  const left = choosePipelines(config, only).flatMap(([name]) => (chosen.has(name) ? [] : [name]))
  if (left.length > 0) {
    logger.info({ pipelines: left }, 'tables of other engines are left out: ask for one with --pipeline')
  }
  await ability.run(targets, { sql, unsafe, moment, take, clock, logger })
  await end()
  return 0
}

/** @throws USAGE when the tables have several engines, none of which is the embedded one */
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
      because: 'is not queried by one engine: name one pipeline with --pipeline',
    })
  }
  return { ability: first.ability, targets: chosen.map(({ target }) => target) }
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
