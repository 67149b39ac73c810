import { isJsonObject, type JsonValue } from '../../../json.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { explain } from './explain.ts'

/** One node of a query plan that reads a table. */
export interface PlannedScan {
  /** The table's full name. */
  readonly table: string
  /** Conditions that every needed row meets, as SQL over the table's columns. */
  readonly filters: readonly string[]
}

/** Optimizers that draw conclusions from the tables' contents, which are still empty when the plan is made. */
const contentOptimizers = 'statistics_propagation,empty_result_pullup,row_group_pruner'

/**
 * Finds out which rows a statement needs of each table, from the engine's query plan: its optimizer pushes conditions
 * down to the scans, through joins, subqueries and views.
 *
 * The statement is not run. Column names of the tables must be plain, because the plan shows them unquoted.
 *
 * @param sql a single SELECT. With several statements, all but the first would run
 * @throws the engine's own error for an invalid statement
 */
export async function plannedScans(engine: EmbeddedEngine, sql: string): Promise<PlannedScan[]> {
  const plans = await engine.withSettings({ disabled_optimizers: contentOptimizers }, () =>
    explain('(FORMAT JSON)', sql, (statement) => engine.rows(statement)),
  )
  return plans.flatMap(({ explain_value }) => {
    const nodes = JSON.parse(String(explain_value)) as JsonValue
    return (Array.isArray(nodes) ? nodes : [nodes]).flatMap(scansBelow)
  })
}

function scansBelow(node: JsonValue): PlannedScan[] {
  if (!isJsonObject(node)) return []
  const info = isJsonObject(node.extra_info) ? node.extra_info : {}
  const own =
    typeof info.Table === 'string' ? [{ table: info.Table, filters: separateFilters(info.Filters) }] : []
  const children = Array.isArray(node.children) ? node.children : []
  return [...own, ...children.flatMap(scansBelow)]
}

/** The end of a condition on the first column of ORDER BY with LIMIT: a bound that is known only while the statement runs. */
const dynamicFilter = / AND optional: Dynamic Filter \(c\d+\)$/

/** Before a condition, outside of quotes: an even number of them follows. */
const optionalMark = /(^| AND )optional: (?=(?:[^']*'[^']*')*[^']*$)/g

/**
 * Splits the conditions of a plan, which lists one per line. A quoted constant may hold line breaks, so only lines that
 * start and end outside of quotes are conditions. A condition that is left out only means that more rows are read.
 */
function separateFilters(listed: JsonValue | undefined): string[] {
  const lines = (Array.isArray(listed) ? listed : [listed]).filter((line) => typeof line === 'string')
  const filters: string[] = []
  let isQuoted = false
  for (const line of lines.flatMap((one) => one.split('\n'))) {
    const begins = isQuoted
    for (const character of line) if (character === "'") isQuoted = !isQuoted
    // Another part of the plan applies an optional condition as well, so it may be used here.
    if (!begins && !isQuoted) filters.push(line.replace(dynamicFilter, '').replace(optionalMark, '$1'))
  }
  return filters
}
