import {
  choosePipelines,
  choosePipelinesAndRuns,
  isUnsupported,
  unsupportedError,
} from '../config/choose-pipelines.ts'
import { sinkTarget } from '../config/resolved.ts'
import { TailraceError } from '../errors.ts'
import type { Unsupported } from '../sinks/sink.ts'
import type { TableDeclaration } from '../tables/table.ts'
import { createViewStatements } from '../tables/view-statements.ts'
import type { ViewSet } from '../tables/views.ts'
import type { CommandContext } from './command.ts'

export interface TablesOptions {
  readonly pipeline?: string | undefined
  /** Print the SQL statements instead of executing them. */
  readonly printsOnly: boolean
}

/**
 * Creates missing tables, and adds missing columns where the sink may evolve, as a run would. Skips tables that another
 * system creates.
 *
 * @throws USAGE when there is no statement to print, or no table that Tailrace creates
 * @throws WAREHOUSE_DENIED, TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED
 */
export async function createTables(context: CommandContext, options: TablesOptions): Promise<number> {
  const { config, clock, logger, print } = context
  const { stateDirectory } = config
  const seen = new Set<string>()
  const refused: { name: string; reason: Unsupported }[] = []
  for (const [name, pipeline] of choosePipelinesAndRuns(config, options.pipeline)) {
    const { sinkKind } = pipeline
    const table = sinkKind.tableId(pipeline)
    if (seen.has(table)) continue
    seen.add(table)
    const target = sinkTarget(name, pipeline)
    const answer = options.printsOnly
      ? sinkKind.createTableSql(target)
      : await sinkKind.createTable({ target, stateDirectory, clock, logger })
    if (isUnsupported(answer)) refused.push({ name, reason: answer })
    else await print(options.printsOnly ? `${answer};\n` : `${name}: ${answer}\n`)
  }
  const [first] = refused
  if (first === undefined || refused.length < seen.size) return 0
  throw unsupportedError(
    refused.map(({ name }) => name),
    first.reason,
  )
}

/**
 * Prints the statements that create the views over the tables in Spark or Databricks: one set of views in each schema,
 * over all of its tables.
 *
 * @throws USAGE when no table has views
 */
export async function printViews({ config, print }: CommandContext, pipeline?: string): Promise<number> {
  const places = new Map<
    string,
    { readonly views: ViewSet; readonly tables: Map<string, TableDeclaration> }
  >()
  for (const [, { sink, sinkKind, table: written }] of choosePipelines(config, pipeline)) {
    if (written.views === undefined) continue
    const table = { ...written, name: sinkKind.readName?.({ sink, table: written }) ?? written.name }
    const { catalog, schema, table: name } = table.name
    const key = `${catalog}.${schema}.${written.views.relation}`
    const place = places.get(key) ?? { views: written.views, tables: new Map() }
    places.set(key, place)
    place.tables.set(name, table)
  }
  if (places.size === 0)
    throw new TailraceError('USAGE', 'No table of the config has views: those of postgresLogs() have.')
  for (const { views, tables } of places.values()) {
    const [first, ...others] = tables.values()
    for (const statement of createViewStatements(views, [first!, ...others])) await print(`${statement};\n\n`)
  }
  return 0
}
