import { TailraceError } from '../errors.ts'
import { printTable } from '../print-table.ts'
import { type ResolvedConfig, tableDirectory } from '../resolve-config.ts'
import { type JsonRow, sqlIdentifier } from '../sinks/duckdb.ts'
import type { CommandContext } from './command.ts'
import { withViews } from './query.ts'

export interface RejectsOptions {
  readonly pipeline?: string
  /** Most rows to list, newest first. */
  readonly limit: number
  readonly json: boolean
}

/** Lists rejected and partial rows: where each is, why, and how its text begins. */
export async function rejects({ config, print }: CommandContext, options: RejectsOptions): Promise<number> {
  const tables = tablesOf(config, options.pipeline)
  const rows = await withViews(config, async (engine) => {
    const found: JsonRow[] = []
    for (const { pipeline, view } of tables) {
      const exists = await engine.rows(`SELECT 1 FROM duckdb_views() WHERE view_name = '${view}' LIMIT 1`)
      if (exists.length === 0) continue
      const listed =
        await engine.rows(`SELECT '${pipeline}' AS pipeline, source_blob, source_generation, source_offset,
          source_length, source_index, parse_status, parse_error, raw
        FROM ${sqlIdentifier(view)} WHERE parse_status <> 'ok'
        ORDER BY ingest_ts DESC, source_offset DESC, source_index DESC LIMIT ${options.limit}`)
      found.push(...listed)
    }
    return found
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
    ]
    print(
      printTable(
        columns,
        rows.map((row) => columns.map((column) => row[column])),
      ),
    )
  }
  return 0
}

/** Pipelines and the views of their tables; two pipelines of one table are named together. */
function tablesOf(config: ResolvedConfig, only: string | undefined): { pipeline: string; view: string }[] {
  const byDirectory = new Map<string, { pipeline: string; view: string }>()
  for (const [name, pipeline] of Object.entries(config.pipelines)) {
    if (only !== undefined && name !== only) continue
    const directory = tableDirectory(pipeline)
    const other = byDirectory.get(directory)
    byDirectory.set(directory, {
      pipeline: other === undefined ? name : `${other.pipeline}, ${name}`,
      view: pipeline.table.name.table,
    })
  }
  if (byDirectory.size === 0) throw new TailraceError('USAGE', `There is no pipeline ${only}.`)
  return [...byDirectory.values()]
}
