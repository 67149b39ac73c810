import { createPipelineView } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import { sqlString } from '../sinks/duckdb.ts'
import type { CommittedOffset } from '../sinks/table-committer.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline, type LandedPipeline } from './landed-generations.ts'

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
  readonly rows: number
  readonly rejected: number
}

/** Prints, per blob generation: size, offset, lag, rows, rejected rows. */
export async function status(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const blobs: BlobStatus[] = []
  await forEachPipeline(context, pipeline, async (landed) => {
    const view = await createPipelineView(landed.engine, landed.name, landed.pipeline)
    if (view === undefined) return
    for (const known of landed.generations) blobs.push(await blobStatus(landed, known, view))
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
  { name, engine, reader }: LandedPipeline,
  { blob, generation, offset }: CommittedOffset,
  view: string,
): Promise<BlobStatus> {
  const head = await reader.read(blob.slice(reader.container.length + 1), { offset: 0, maxBytes: 1 })
  const blobBytes = head.kind === 'bytes' && head.createdAt === generation ? head.totalBytes : undefined
  // The view is newer than the offset: what a run has landed in between is not counted yet.
  const [counts] = await engine.rows(`SELECT count(*) AS "rows",
      count(*) FILTER (parse_status = 'rejected') AS rejected FROM ${view}
    WHERE source_blob = ${sqlString(blob)} AND source_generation = ${sqlString(generation)}
      AND source_offset < ${offset}`)
  return {
    pipeline: name,
    blob,
    generation,
    blobBytes,
    offset,
    lagBytes: blobBytes === undefined ? undefined : blobBytes - offset,
    rows: Number(counts?.rows),
    rejected: Number(counts?.rejected),
  }
}
