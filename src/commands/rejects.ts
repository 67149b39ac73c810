import { choosePipelines } from '../config/choose-pipelines.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { resultPrinter } from '../reporting/result-formats.ts'
import { forEachTable } from '../run/inspection/for-each-pipeline.ts'
import { flawedColumns } from '../sinks/landed-rows.ts'
import type { CommandContext } from './command.ts'

export interface RejectsOptions {
  readonly pipeline?: string | undefined
  /** Maximum number of rows to list per table, newest first. */
  readonly limit: number
  readonly json: boolean
  /** Print cells whole. Default false. */
  readonly wide?: boolean | undefined
}

/** Columns that identify a row exactly; a person rarely needs them. */
const jsonOnly: ReadonlySet<string> = new Set(['source_generation', 'source_index'])

/** Lists rejected and partial rows, each with its place, its reason and the beginning of its text. */
export async function rejects(context: CommandContext, options: RejectsOptions): Promise<number> {
  const { printRows } = context
  const namesOf = namesByTable(context.config, options.pipeline)
  const columns = flawedColumns.filter((column) => options.json || !jsonOnly.has(column))
  const all = ['pipeline', ...columns]
  const printer = resultPrinter(options.json ? 'ndjson' : 'table', printRows, all, options)
  const seen = new Set<string>()
  let isRead = true
  await forEachTable(context, options.pipeline, async ({ pipeline, table }) => {
    const text = pipeline.sinkKind.tableId(pipeline)
    if (seen.has(text) || !isRead) return
    seen.add(text)
    const landedRows = await table.rows()
    await landedRows?.flawed(options.limit, async (batch) => {
      const places = columns.map((column) => batch.columns.indexOf(column))
      const name = namesOf.get(text) ?? ''
      isRead = await printer.add(batch.rows.map((row) => [name, ...places.map((place) => row[place])]))
      return isRead
    })
  })
  if (isRead) await printer.end()
  return 0
}

/** @returns the pipelines of each table, comma-separated, by table id */
function namesByTable(config: ResolvedConfig, only: string | undefined): Map<string, string> {
  const names = new Map<string, string>()
  for (const [name, pipeline] of choosePipelines(config, only)) {
    const text = pipeline.sinkKind.tableId(pipeline)
    const other = names.get(text)
    names.set(text, other === undefined ? name : `${other}, ${name}`)
  }
  return names
}
