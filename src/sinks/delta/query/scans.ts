import { isJsonObject, type JsonValue } from '../../../json.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'

/** One place of a plan that reads a table. */
export interface PlannedScan {
  /** The table's full name. */
  readonly table: string
  /** Conditions, as SQL over the table's columns, that each row meets which the plan needs of this scan. */
  readonly filters: readonly string[]
}

/** They conclude from what the tables hold, and these are empty. */
const optimizersByContent = 'statistics_propagation,empty_result_pullup,row_group_pruner'

/**
 * Asks the engine which rows a statement needs of each table: its own optimizer moves conditions to where tables
 * are read, through joins, subqueries and views, wherever that changes no result.
 *
 * Nothing is run. The names of the tables' columns must be plain, because conditions have them unquoted.
 *
 * @param sql one SELECT: of several statements, all but the first would run
 * @throws the engine's own error when the statement is wrong
 */
export async function plannedScans(engine: EmbeddedEngine, sql: string): Promise<PlannedScan[]> {
  const plans = await engine.withSettings({ disabled_optimizers: optimizersByContent }, () =>
    engine.rows(`EXPLAIN (FORMAT JSON) ${sql}`),
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

/**
 * A plan lists conditions line by line, and a constant may hold a line break too: only lines that begin and end
 * outside of a quoted text are conditions. What is cut off or unreadable is left out, which asks for more rows.
 */
function separateFilters(listed: JsonValue | undefined): string[] {
  const lines = (Array.isArray(listed) ? listed : [listed]).filter((line) => typeof line === 'string')
  const filters: string[] = []
  let isQuoted = false
  for (const line of lines.flatMap((one) => one.split('\n'))) {
    const begins = isQuoted
    for (const character of line) if (character === "'") isQuoted = !isQuoted
    // Rows that an optional condition rules out are ruled out elsewhere as well.
    if (!begins && !isQuoted) filters.push(line.replace(/^optional: /, ''))
  }
  return filters
}
