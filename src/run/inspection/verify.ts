import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { ArchivedOffset, ArchivedOffsets } from '../../offsets/archived-offsets.ts'
import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import type { Verdict, VerifyReport } from '../../offsets/verify-report.ts'
import { compareGenerations, lastCreatedAt } from '../../records.ts'
import type { RowPlaces } from '../../sinks/landed-rows.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import { headBytes } from '../../sources/recognition/fingerprint.ts'
import { framingOf } from '../../sources/recognition/framing.ts'
import { creationInstants, forEachPipeline, type InspectionContext } from './for-each-pipeline.ts'

/** Generations per query of the table: each query reads all of the table's files. */
const generationsPerQuery = 500

/**
 * Proves that rows cover every committed byte: their ranges tile each blob up to its committed offset, except for blank
 * lines and, with custom transforms, lines that these may have dropped. The check begins at the blob's start. With
 * `coldStart: 'latest'` or a start time it begins at the first row, because the actual start is not recorded, and in a
 * table whose old days were deleted by `tailrace retain` at the first row of a later day.
 *
 * @param only the name of one pipeline; undefined for all
 * @param signal ends the requests, and the check between two queries
 * @throws USAGE when there is no pipeline `only`
 */
export async function verifyRows(
  context: InspectionContext,
  only: string | undefined,
  signal?: AbortSignal,
): Promise<VerifyReport> {
  const verdicts: Verdict[] = []
  const archived = { generations: 0, rows: 0 }
  await forEachPipeline(
    context,
    only,
    async (landed) => {
      const { name, reader } = landed
      const { transforms, source } = landed.pipeline
      const generations = await landed.table.generations()
      const landedRows = await landed.table.rows()
      if (landedRows === undefined && generations.length > 0) {
        context.logger.warn(
          { pipeline: name },
          'the table does not exist: the committed offsets cannot be verified',
        )
      }
      const instantOf = await creationInstants(context.config, landed)
      const residents = new Map(generations.map(({ blob, generation }) => [blob, generation]))
      const isFromStart = source.coldStart === 'earliest' && source.startTimeMs === undefined
      const checkedFrom = landed.table.retainedDays ?? (isFromStart ? 'start' : 'first-row')
      const judge = async (
        some: readonly LandedOffset[],
        instantIf: (one: LandedOffset) => string | undefined,
        onVerdict: (verdict: Verdict) => void,
      ): Promise<void> => {
        signal?.throwIfAborted()
        const places = (await landedRows?.places(some, checkedFrom)) ?? some.map(withoutRows)
        for (const [index, { gaps, ...facts }] of places.entries()) {
          const one = some[index] as LandedOffset
          const { blob, generation, offset } = one
          const between = await explainGaps(reader, blob, instantIf(one), gaps, transforms.length > 0)
          const complete = between.unexplainedBytes === 0 && facts.overlappingRows === 0
          onVerdict({ pipeline: name, blob, generation, offset, ...facts, ...between, complete })
        }
      }
      for (let from = 0; from < generations.length; from += generationsPerQuery) {
        await judge(
          generations.slice(from, from + generationsPerQuery),
          // Only the newest generation of a blob can still exist.
          (one) => (residents.get(one.blob) === one.generation ? instantOf(one) : undefined),
          (verdict) => verdicts.push(verdict),
        )
      }
      await eachBlobs(landed.table.archive, async (offsets) => {
        const newestOf = new Map<string, ArchivedOffset>()
        for (const one of [...offsets].sort(compareGenerations)) newestOf.set(one.blob, one)
        await judge(
          offsets,
          (one) => {
            const newest = residents.has(one.blob) ? undefined : newestOf.get(one.blob)
            return newest?.generation === one.generation ? lastCreatedAt(one, newest.mark) : undefined
          },
          (verdict) => {
            if (!verdict.complete) return verdicts.push(verdict)
            archived.generations += 1
            archived.rows += verdict.rows
          },
        )
      })
    },
    signal,
  )
  return { complete: verdicts.every(({ complete }) => complete), blobs: verdicts, archived }
}

/** Passes archived offsets to `take`, those of one blob together. */
async function eachBlobs(
  archive: ArchivedOffsets | undefined,
  take: (offsets: readonly ArchivedOffset[]) => Promise<void>,
): Promise<void> {
  let waiting: readonly ArchivedOffset[] = []
  await archive?.each(async (offsets) => {
    waiting = [...waiting, ...offsets]
    const last = waiting.at(-1)?.blob
    const whole = waiting.findIndex(({ blob }) => blob === last)
    if (whole >= generationsPerQuery) {
      await take(waiting.slice(0, whole))
      waiting = waiting.slice(whole)
    }
    return true
  })
  if (waiting.length > 0) await take(waiting)
}

/** @returns the ranges of a generation when the table does not exist */
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

/** A range of a blob without rows. */
export interface Gap {
  readonly start: number
  readonly end: number
}

/** The content of a gap. `gone`: the blob with that creation instant no longer exists. */
export type GapContent = 'blank' | 'lines' | 'gone'

/** Size of one read of a gap. */
const readBytes = 4 * 1024 * 1024

/** Reads a gap; of a gzip blob, the decompressed members. Zero bytes after a member are padding. */
export async function contentOf(
  reader: BlobReader,
  name: string,
  createdAt: string,
  gap: Gap,
): Promise<GapContent> {
  const head = await reader.read(name, { offset: 0, maxBytes: headBytes })
  if (head.kind !== 'bytes' || head.createdAt !== createdAt) return 'gone'
  const isGzip = framingOf(head.bytes, head.blobType).kind === 'gzip'
  try {
    const bytes = bytesOf(reader, name, createdAt, gap)
    const isBlank = isGzip ? await isBlankGzip(bytes) : await areBlank(bytes)
    return isBlank ? 'blank' : 'lines'
  } catch (error) {
    if (error instanceof BlobGone) return 'gone'
    throw error
  }
}

class BlobGone extends Error {}

async function* bytesOf(
  reader: BlobReader,
  name: string,
  createdAt: string,
  { start, end }: Gap,
): AsyncGenerator<Buffer> {
  for (let offset = start; offset < end; ) {
    const read = await reader.read(name, { offset, maxBytes: Math.min(readBytes, end - offset) })
    if (read.kind !== 'bytes' || read.createdAt !== createdAt) throw new BlobGone()
    yield read.bytes
    offset += read.bytes.length
  }
}

async function areBlank(parts: AsyncIterable<Buffer>): Promise<boolean> {
  for await (const part of parts) if (!isBlank(part)) return false
  return true
}

/** @returns whether gzip members contain only blank lines; padding around the members is allowed */
async function isBlankGzip(parts: AsyncIterable<Buffer>): Promise<boolean> {
  let isAllBlank = true
  let hasBegun = false
  const withoutPadding = async function* (): AsyncGenerator<Buffer> {
    for await (const part of parts) {
      const first = hasBegun ? 0 : part.findIndex((byte) => byte !== 0)
      if (first < 0) continue
      hasBegun = true
      yield part.subarray(first)
    }
  }
  try {
    await pipeline(Readable.from(withoutPadding()), createGunzip(), async (source: AsyncIterable<Buffer>) => {
      for await (const part of source) isAllBlank &&= isBlank(part)
    })
  } catch (error) {
    if (error instanceof BlobGone) throw error
    return !hasBegun
  }
  return isAllBlank
}

function isBlank(bytes: Buffer): boolean {
  return !/[^\s\ufeff]/.test(bytes.toString('utf8'))
}
