import { choosePipelines } from '../choose-pipelines.ts'
import { createPipelineView } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import { type ResolvedConfig, type ResolvedPipeline, tableLocation } from '../resolve-config.ts'
import { locationText } from '../sinks/delta/table-location.ts'
import type { JsonRow } from '../sinks/duckdb.ts'
import type { CommandContext } from './command.ts'
import { lookingStorage } from './looking-storage.ts'
import { withEngine } from './with-engine.ts'

export interface RejectsOptions {
  readonly pipeline?: string
  /** Most rows to list, newest first. */
  readonly limit: number
  readonly json: boolean
}

/** Lists rejected and partial rows: where each is, why, and how its text begins. */
export async function rejects(
  { config, clock, print }: CommandContext,
  options: RejectsOptions,
): Promise<number> {
  const tables = tablesOf(config, options.pipeline)
  const rows = await withEngine(async (engine, temporaryDirectory) => {
    const found: JsonRow[] = []
    for (const { names, pipeline } of tables) {
      const view = await createPipelineView(
        engine,
        names,
        lookingStorage(pipeline, temporaryDirectory, clock),
      )
      if (view === undefined) continue
      const listed =
        await engine.rows(`SELECT '${names}' AS pipeline, source_blob, source_generation, source_offset,
          source_length, source_index, parse_status, parse_error, raw
        FROM ${view} WHERE parse_status <> 'ok'
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

/** Two pipelines of one table are named together. */
function tablesOf(
  config: ResolvedConfig,
  only: string | undefined,
): { names: string; pipeline: ResolvedPipeline }[] {
  const byLocation = new Map<string, { names: string; pipeline: ResolvedPipeline }>()
  for (const [name, pipeline] of choosePipelines(config, only)) {
    const location = locationText(tableLocation(pipeline))
    const other = byLocation.get(location)
    byLocation.set(location, { names: other === undefined ? name : `${other.names}, ${name}`, pipeline })
  }
  return [...byLocation.values()]
}
