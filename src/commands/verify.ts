import type { LandedOffset } from '../landed-offsets.ts'
import { printJsonList, printTable } from '../row-printer.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import type { CommandContext } from './command.ts'
import { creationInstants } from './creation-instants.ts'
import { contentOf, type Gap } from './gap-content.ts'
import { forEachPipeline } from './landed-generations.ts'
import type { RowPlaces } from './landed-rows.ts'

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
    const { name, reader } = landed
    const { transforms, source } = landed.pipeline
    const generations = await landed.table.generations()
    const landedRows = await landed.table.rows()
    if (landedRows === undefined && generations.length > 0) {
      context.logger.warn({ pipeline: name }, 'there are no rows to look at: nothing proves what is landed')
    }
    const instantOf = await creationInstants(context.config, landed)
    const newestOf = new Map(generations.map(({ blob, generation }) => [blob, generation]))
    const fromStart = source.coldStart === 'earliest' && source.startTimeMs === undefined
    // Several at a time, because each look goes through the table's files.
    for (let from = 0; from < generations.length; from += generationsAtOnce) {
      const some = generations.slice(from, from + generationsAtOnce)
      const places = (await landedRows?.places(some, fromStart)) ?? some.map(withoutRows)
      for (const [index, { gaps, ...facts }] of places.entries()) {
        const one = some[index] as LandedOffset
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
  const isComplete = verdicts.every(({ complete }) => complete)
  if (json) {
    await printJsonList(context.print, {
      before: `{"complete":${isComplete},"blobs":[`,
      items: verdicts,
      after: ']}',
    })
  } else {
    const columns = Object.keys(verdicts[0] ?? { pipeline: '' }) as (keyof Verdict)[]
    await printTable(
      context.print,
      columns,
      verdicts.map((verdict) => columns.map((column) => verdict[column])),
    )
  }
  return isComplete ? 0 : 1
}

/** What is landed, of a table that is not there. */
function withoutRows({ offset }: LandedOffset): RowPlaces {
  return { rows: 0, rowBytes: 0, overlappingRows: 0, gaps: offset > 0 ? [{ start: 0, end: offset }] : [] }
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
