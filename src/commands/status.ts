import { printTable } from '../print-table.ts'
import { type JsonRow, sqlString } from '../sinks/duckdb.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline, type LandedPipeline } from './landed-generations.ts'
import { withViews } from './query.ts'

/** How one blob generation stands. */
interface BlobStatus {
  readonly pipeline: string
  readonly blob: string
  readonly generation: string
  /** Bytes of the blob now; missing when it, or this generation of it, is gone. */
  readonly blobBytes: number | undefined
  readonly offset: number
  /** Bytes of the blob that are not landed. */
  readonly lagBytes: number | undefined
  rows: number
  rejected: number
}

/** Prints, per blob generation: size, offset, lag, rows, rejected rows. */
export async function status(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const blobs: BlobStatus[] = []
  await forEachPipeline(context, pipeline, async (landed) => {
    for (const generation of landed.generations) blobs.push(await blobStatus(landed, generation))
  })
  await withViews(context.config, async (engine) => {
    for (const blob of blobs) {
      const view = context.config.pipelines[blob.pipeline]?.table.name.table
      const [counts] = await engine.rows(`SELECT count(*)::INTEGER AS "rows",
          count(*) FILTER (parse_status = 'rejected')::INTEGER AS rejected FROM "${view}"
        WHERE source_blob = ${sqlString(blob.blob)} AND source_generation = ${sqlString(blob.generation)}`)
      blob.rows = Number((counts as JsonRow).rows)
      blob.rejected = Number((counts as JsonRow).rejected)
    }
  })
  if (json) context.print(`${JSON.stringify({ blobs })}\n`)
  else {
    const columns = [
      'pipeline',
      'blob',
      'generation',
      'blobBytes',
      'offset',
      'lagBytes',
      'rows',
      'rejected',
    ] as const
    context.print(
      printTable(
        columns,
        blobs.map((blob) => columns.map((column) => blob[column])),
      ),
    )
  }
  return 0
}

async function blobStatus(
  { name, reader }: LandedPipeline,
  { blob, generation, offset }: { blob: string; generation: string; offset: number },
): Promise<BlobStatus> {
  const head = await reader.read(blob.slice(reader.container.length + 1), { offset: 0, maxBytes: 1 })
  const blobBytes = head.kind === 'bytes' && head.generation === generation ? head.totalBytes : undefined
  return {
    pipeline: name,
    blob,
    generation,
    blobBytes,
    offset,
    lagBytes: blobBytes === undefined ? undefined : blobBytes - offset,
    rows: 0,
    rejected: 0,
  }
}
