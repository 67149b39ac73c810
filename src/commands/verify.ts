import { createPipelineView } from '../lakehouse-views.ts'
import { printTable } from '../print-table.ts'
import { type EmbeddedEngine, sqlString } from '../sinks/duckdb.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline } from './landed-generations.ts'

/** What was found of one blob generation. */
interface Verdict {
  readonly pipeline: string
  readonly blob: string
  readonly generation: string
  readonly offset: number
  readonly rows: number
  /** Bytes that rows account for. */
  readonly rowBytes: number
  /** Bytes between rows that hold blank lines only. */
  readonly blankBytes: number
  /** Bytes between rows that a custom transform may have dropped. */
  readonly droppedBytes: number
  /** Bytes between rows that nothing explains, or that can no longer be read. */
  readonly unexplainedBytes: number
  /** Rows whose place another row also claims. */
  readonly overlappingRows: number
  readonly complete: boolean
}

/** A range of a blob without rows. */
interface Gap {
  readonly start: number
  readonly end: number
}

/** Of a gap this much is read at a time. */
const readBytes = 4 * 1024 * 1024

/**
 * Proves that every committed byte is accounted for: the rows' places tile each blob up to its committed offset,
 * and what lies between them is blank lines or, where there are custom transforms, lines that they may have dropped.
 * It begins at the blob's start, or at the first row for `latest`, whose start nothing tells afterwards.
 *
 * @returns the exit code: 0 when every blob is complete, else 1
 */
export async function verify(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const verdicts: Verdict[] = []
  await forEachPipeline(context, pipeline, async (landed) => {
    const { name, engine, reader, generations } = landed
    const { transforms, source } = landed.pipeline
    const view = await createPipelineView(engine, name, landed.pipeline)
    if (view === undefined) return
    for (const { blob, generation, offset } of generations) {
      // The view is newer than the offsets: what a run has landed in between begins at the offset.
      const rows = `(SELECT * FROM ${view} WHERE source_blob = ${sqlString(blob)}
        AND source_generation = ${sqlString(generation)} AND source_offset < ${offset})`
      const { facts, gaps } = await examine(engine, rows, offset, source.coldStart === 'earliest')
      const between = await explainGaps(reader, blob, generation, gaps, transforms.length > 0)
      verdicts.push({
        pipeline: name,
        blob,
        generation,
        offset,
        ...facts,
        ...between,
        complete: between.unexplainedBytes === 0 && facts.overlappingRows === 0,
      })
    }
  })
  if (json)
    context.print(
      `${JSON.stringify({ complete: verdicts.every(({ complete }) => complete), blobs: verdicts })}\n`,
    )
  else {
    const columns = Object.keys(verdicts[0] ?? { pipeline: '' }) as (keyof Verdict)[]
    context.print(
      printTable(
        columns,
        verdicts.map((verdict) => columns.map((column) => verdict[column])),
      ),
    )
  }
  return verdicts.every(({ complete }) => complete) ? 0 : 1
}

async function examine(
  engine: EmbeddedEngine,
  rows: string,
  offset: number,
  fromStart: boolean,
): Promise<{ facts: Pick<Verdict, 'rows' | 'rowBytes' | 'overlappingRows'>; gaps: Gap[] }> {
  // Records of one `records` document share a place and differ in their index; one place counts once.
  const places = `(SELECT source_offset AS first, max(source_length) AS length, count(*) AS n,
    count(DISTINCT source_index) AS indexes FROM ${rows} GROUP BY source_offset)`
  const [facts] =
    await engine.rows(`SELECT coalesce(sum(n), 0)::BIGINT AS n, coalesce(sum(length), 0)::BIGINT AS bytes,
    coalesce(sum(n - indexes), 0)::BIGINT AS twice FROM ${places}`)
  const found = await engine.rows(`SELECT previous_end AS gap_start, first AS gap_end FROM (
      SELECT first, coalesce(lag(first + length) OVER (ORDER BY first), ${fromStart ? '0' : 'first'}) AS previous_end FROM
        (SELECT first, length FROM ${places} UNION ALL SELECT ${offset}, 0)
    ) WHERE first <> previous_end ORDER BY first`)
  const breaks = found.map(({ gap_start, gap_end }) => ({ start: Number(gap_start), end: Number(gap_end) }))
  const overlaps = breaks.filter(({ start, end }) => end < start)
  return {
    facts: {
      rows: Number(facts?.n),
      rowBytes: Number(facts?.bytes),
      overlappingRows: Number(facts?.twice) + overlaps.length,
    },
    gaps: breaks.filter(({ start, end }) => start < end),
  }
}

async function explainGaps(
  reader: BlobReader,
  blob: string,
  generation: string,
  gaps: readonly Gap[],
  mayDrop: boolean,
): Promise<Pick<Verdict, 'blankBytes' | 'droppedBytes' | 'unexplainedBytes'>> {
  const bytes = { blankBytes: 0, droppedBytes: 0, unexplainedBytes: 0 }
  for (const { start, end } of gaps) {
    if (await isBlank(reader, blob, generation, start, end)) bytes.blankBytes += end - start
    else if (mayDrop) bytes.droppedBytes += end - start
    else bytes.unexplainedBytes += end - start
  }
  return bytes
}

async function isBlank(
  reader: BlobReader,
  blob: string,
  generation: string,
  start: number,
  end: number,
): Promise<boolean> {
  for (let offset = start; offset < end; ) {
    const read = await reader.read(blob.slice(reader.container.length + 1), {
      offset,
      maxBytes: Math.min(readBytes, end - offset),
    })
    if (read.kind !== 'bytes' || read.createdAt !== generation) return false
    if (/[^\s\ufeff]/.test(read.bytes.toString('utf8'))) return false
    offset += read.bytes.length
  }
  return true
}
