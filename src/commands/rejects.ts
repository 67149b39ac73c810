import { choosePipelines } from '../choose-pipelines.ts'
import { printTable } from '../print-table.ts'
import { type ResolvedConfig, tableText } from '../resolve-config.ts'
import type { CommandContext } from './command.ts'
import { forEachTable } from './landed-generations.ts'
import type { FlawedRow } from './landed-rows.ts'

export interface RejectsOptions {
  readonly pipeline?: string
  /** Most rows to list, newest first. */
  readonly limit: number
  readonly json: boolean
}

/** Lists rejected and partial rows: where each is, why, and how its text begins. */
export async function rejects(context: CommandContext, options: RejectsOptions): Promise<number> {
  const { print } = context
  const namesOf = namesByTable(context.config, options.pipeline)
  const rows: (FlawedRow & { readonly pipeline: string })[] = []
  const seen = new Set<string>()
  await forEachTable(context, options.pipeline, async ({ pipeline, table }) => {
    const text = tableText(pipeline)
    if (seen.has(text)) return
    seen.add(text)
    const landedRows = await table.rows()
    const flawed = (await landedRows?.flawed(options.limit)) ?? []
    rows.push(...flawed.map((row) => ({ pipeline: namesOf.get(text) ?? '', ...row })))
  })
  if (options.json) for (const row of rows) print(`${JSON.stringify(row)}\n`)
  else {
    const columns = [
      'pipeline',
      'source_blob',
      'source_offset',
      'source_length',
      'parse_status',
      'parse_error',
      'raw',
    ] as const
    print(
      printTable(
        columns,
        rows.map((row) => columns.map((column) => row[column])),
      ),
    )
  }
  return 0
}

/** Two pipelines of one table are named together. */
function namesByTable(config: ResolvedConfig, only: string | undefined): Map<string, string> {
  const names = new Map<string, string>()
  for (const [name, pipeline] of choosePipelines(config, only)) {
    const text = tableText(pipeline)
    const other = names.get(text)
    names.set(text, other === undefined ? name : `${other}, ${name}`)
  }
  return names
}
