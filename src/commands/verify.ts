import { createPipelineView } from '../lakehouse-views.ts'
import type { LandedOffset } from '../landed-offsets.ts'
import { printTable } from '../print-table.ts'
import { type EmbeddedEngine, sqlString } from '../sinks/duckdb.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import type { CommandContext } from './command.ts'
import { creationInstants } from './creation-instants.ts'
import { contentOf, type Gap } from './gap-content.ts'
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
  /** Bytes between rows of a generation whose blob is gone: nothing can tell any more what they were. */
  readonly goneBytes: number
  /** Bytes between rows that nothing explains. */
  readonly unexplainedBytes: number
  /** Rows whose place another row also claims. */
  readonly overlappingRows: number
  readonly complete: boolean
}

/** Generations that one look at the table examines. */
const generationsAtOnce = 500

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
    const view = await createPipelineView(engine, name, landed.storage)
    if (view === undefined) return
    const instantOf = await creationInstants(context.config, landed)
    const newestOf = new Map(generations.map(({ blob, generation }) => [blob, generation]))
    const fromStart = source.coldStart === 'earliest' && source.startTimeMs === undefined
    // Several at a time, because each look goes through the table's files.
    for (let from = 0; from < generations.length; from += generationsAtOnce) {
      const some = generations.slice(from, from + generationsAtOnce)
      for (const { landed: one, facts, gaps } of await examine(engine, view, some, fromStart)) {
        // Of several generations, only the newest one can still be there.
        const isNewest = newestOf.get(one.blob) === one.generation
        const instant = isNewest ? instantOf(one) : undefined
        const between = await explainGaps(reader, one.blob, instant, gaps, transforms.length > 0)
        verdicts.push({
          pipeline: name,
          ...one,
          ...facts,
          ...between,
          complete: between.unexplainedBytes === 0 && facts.overlappingRows === 0,
        })
      }
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

interface Examined {
  readonly landed: LandedOffset
  readonly facts: Pick<Verdict, 'rows' | 'rowBytes' | 'overlappingRows'>
  readonly gaps: readonly Gap[]
}

/** Looks at the places of the rows of some generations. */
async function examine(
  engine: EmbeddedEngine,
  view: string,
  generations: readonly LandedOffset[],
  fromStart: boolean,
): Promise<Examined[]> {
  const values = generations
    .map(
      ({ blob, generation, offset }, index) =>
        `(${index}, ${sqlString(blob)}, ${sqlString(generation)}, ${offset})`,
    )
    .join(', ')
  const ends = `(VALUES ${values}) AS ends(id, blob, generation, end_offset)`
  // The view is newer than the offsets: what a run has landed in between begins at the offset.
  // Records of one document share a place and differ in their index; one place counts once.
  await engine.run(`CREATE OR REPLACE TEMP TABLE places AS
    SELECT id, source_offset AS first, max(source_length) AS length, count(*) AS n,
      count(DISTINCT source_index) AS indexes
    FROM ${view} JOIN ${ends} ON source_blob = ends.blob AND source_generation = ends.generation
      AND source_offset < end_offset
    GROUP BY id, source_offset`)
  const sums = await engine.rows(`SELECT id, sum(n)::BIGINT AS n, sum(length)::BIGINT AS bytes,
    sum(n - indexes)::BIGINT AS twice FROM places GROUP BY id`)
  const found = await engine.rows(`SELECT id, previous_end AS gap_start, first AS gap_end FROM (
      SELECT id, first, coalesce(lag(first + length) OVER (PARTITION BY id ORDER BY first),
          ${fromStart ? '0' : 'first'}) AS previous_end
      FROM (SELECT id, first, length FROM places UNION ALL SELECT id, end_offset, 0 FROM ${ends})
    ) WHERE first <> previous_end ORDER BY id, first`)
  const sumOf = new Map(sums.map((row) => [Number(row.id), row]))
  const breaksOf = new Map<number, Gap[]>()
  for (const { id, gap_start, gap_end } of found) {
    const gap = { start: Number(gap_start), end: Number(gap_end) }
    breaksOf.set(Number(id), [...(breaksOf.get(Number(id)) ?? []), gap])
  }
  return generations.map((landed, id) => {
    const sum = sumOf.get(id)
    const breaks = breaksOf.get(id) ?? []
    const overlaps = breaks.filter(({ start, end }) => end < start)
    return {
      landed,
      facts: {
        rows: Number(sum?.n ?? 0),
        rowBytes: Number(sum?.bytes ?? 0),
        overlappingRows: Number(sum?.twice ?? 0) + overlaps.length,
      },
      gaps: breaks.filter(({ start, end }) => start < end),
    }
  })
}

async function explainGaps(
  reader: BlobReader,
  blob: string,
  createdAt: string | undefined,
  gaps: readonly Gap[],
  mayDrop: boolean,
): Promise<Pick<Verdict, 'blankBytes' | 'droppedBytes' | 'goneBytes' | 'unexplainedBytes'>> {
  const bytes = { blankBytes: 0, droppedBytes: 0, goneBytes: 0, unexplainedBytes: 0 }
  const name = blob.slice(reader.container.length + 1)
  for (const gap of gaps) {
    const content = createdAt === undefined ? 'gone' : await contentOf(reader, name, createdAt, gap)
    const size = gap.end - gap.start
    if (content === 'blank') bytes.blankBytes += size
    else if (content === 'gone') bytes.goneBytes += size
    else if (mayDrop) bytes.droppedBytes += size
    else bytes.unexplainedBytes += size
  }
  return bytes
}
