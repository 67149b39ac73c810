import { isTailraceError, TailraceError } from '../../errors.ts'
import { maxSoughtBlobs } from '../../offsets/archived-offsets.ts'
import { LandedOffsets } from '../../offsets/landed-offsets.ts'
import { type GenerationMark, generationKey, lastCreatedAt } from '../../records.ts'
import { interactiveRetry, retry } from '../../retry.ts'
import type { BlobReader, ListedBlob } from '../../sources/blob-reader.ts'
import { selectionOf } from '../../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../../sources/discovery/create-discovery.ts'
import { framingOf } from '../../sources/recognition/framing.ts'
import { identifyBlob, markOf } from '../../sources/recognition/identify-blob.ts'
import { nextLineStart } from '../../sources/recognition/line-start.ts'
import {
  forEachPipeline,
  type InspectedPipeline,
  type InspectionContext,
  storedMarks,
} from '../inspection/for-each-pipeline.ts'
import { cutsOf, packUnits, type UnlandedRange } from './pack-units.ts'
import type { Unit } from './unit-files.ts'

export interface PlanOptions {
  /** The name of one pipeline. Default: all. */
  readonly pipeline?: string | undefined
  /** Bytes of a unit, about. */
  readonly targetBytes: number
  /** Units of a pipeline, at most: they get longer than `targetBytes` where that is needed. Default: no limit. */
  readonly maxUnits?: number | undefined
}

/** A blob with bytes that have not landed, which is in no unit. */
export interface LeftOutBlob {
  readonly pipeline: string
  /** `<container>/<name>` */
  readonly blob: string
  readonly reason: string
}

/** The bytes that have not landed: in units, and in blobs that no unit has. */
export interface UnitPlan {
  readonly units: readonly Unit[]
  readonly leftOut: readonly LeftOutBlob[]
}

/** Bytes that have not landed: a range for the units, or why there is none. */
type FoundBytes = UnlandedRange | Omit<LeftOutBlob, 'pipeline'>

type Listed = Pick<ListedBlob, 'bytes' | 'createdAt'>

/** Blobs that are identified at the same time. */
const parallelBlobs = 16

/**
 * Lists the bytes that have not landed and divides them into units. Nothing changes, so the pipelines may be running: a
 * unit whose bytes are landed by then is skipped at its commit.
 *
 * @throws USAGE when there is no pipeline of that name, or a first run is to begin at the blobs' ends
 */
export async function planUnits(context: InspectionContext, options: PlanOptions): Promise<UnitPlan> {
  const units: Unit[] = []
  const leftOut: LeftOutBlob[] = []
  await forEachPipeline(context, options.pipeline, async (inspected) => {
    const { name, reader, pipeline } = inspected
    const ranges: UnlandedRange[] = []
    for await (const found of unlandedRanges(inspected, context)) {
      if ('reason' in found) leftOut.push({ pipeline: name, ...found })
      else ranges.push(found)
    }
    const total = ranges.reduce((sum, { span }) => sum + span.end - span.start, 0)
    const targetBytes = Math.max(options.targetBytes, total / (options.maxUnits ?? Number.POSITIVE_INFINITY))
    const parts: UnlandedRange[] = []
    for (const range of ranges) {
      for (const part of await divided(range, targetBytes, reader, pipeline.source.maxLineBytes))
        parts.push(part)
    }
    for (const unit of packUnits(name, parts, targetBytes)) units.push(unit)
  })
  return { units, leftOut }
}

async function* unlandedRanges(
  { name, pipeline, reader, table }: InspectedPipeline,
  { config, clock }: InspectionContext,
): AsyncGenerator<FoundBytes> {
  const { source } = pipeline
  const landed = new LandedOffsets()
  const marks = await storedMarks(config, { name, pipeline })
  for (const one of await table.generations()) landed.set(one)
  if (landed.blobCount === 0 && source.coldStart === 'latest' && !(await hasArchived(table)))
    throw new TailraceError(
      'USAGE',
      `Nothing of ${name} has landed, and coldStart is latest: the first tailrace start records where its blobs begin.`,
    )
  const identify = async (blobName: string): Promise<FoundBytes | undefined> => {
    const blob = `${reader.container}/${blobName}`
    const known = landed.of(blob).map((one) => ({ ...one, mark: marks.get(generationKey(one)) }))
    const found = await retry(() => identifyBlob(reader, blobName, { known, coldStart: 'earliest' }), {
      policy: interactiveRetry,
      clock,
    })
    if (found.kind !== 'found' || found.offset >= found.totalBytes) return undefined
    const framing = framingOf(found.head, found.blobType)
    if (framing.kind === 'refused') return { blob, reason: framing.reason }
    if (found.resume !== undefined)
      return { blob, reason: 'is a document that has grown: tailrace start lands it' }
    if (found.insideLine && framing.kind === 'lines')
      return { blob, reason: 'was landed up to the middle of a line: tailrace start lands it' }
    const { generation, offset, totalBytes } = found
    const span = { blob, generation, start: offset, end: totalBytes }
    return {
      span,
      mark: markOf({ blob, generation }, found, found.tail),
      isOfLines: framing.kind === 'lines',
    }
  }
  let waiting: Promise<FoundBytes | undefined>[] = []
  const settled = async () => (await Promise.all(waiting)).filter((one) => one !== undefined)
  for await (const blobName of blobNames({ pipeline, reader, table }, { landed, marks }, clock.now())) {
    waiting.push(identify(blobName))
    if (waiting.length < parallelBlobs) continue
    yield* await settled()
    waiting = []
  }
  yield* await settled()
}

async function hasArchived({ archive }: InspectedPipeline['table']): Promise<boolean> {
  let isFound = false
  await archive?.each(async (offsets) => {
    isFound = offsets.length > 0
    return !isFound
  })
  return isFound
}

/**
 * The blobs of a source that may have bytes to land, as far as a listing shows.
 *
 * @param known gets the archived offsets of these blobs, and the marks that it lacks
 */
async function* blobNames(
  { pipeline: { source }, reader, table: { archive } }: Omit<InspectedPipeline, 'name'>,
  { landed, marks }: { readonly landed: LandedOffsets; readonly marks: Map<string, GenerationMark> },
  nowMs: number,
): AsyncGenerator<string> {
  const isLanded = (blob: string, { bytes, createdAt }: Listed, offsets: LandedOffsets): boolean => {
    const newest = offsets.of(blob).at(-1)
    return newest?.offset === bytes && lastCreatedAt(newest, marks.get(generationKey(newest))) === createdAt
  }
  let sought = new Map<string, Listed & { readonly name: string }>()
  const seek = async (): Promise<readonly string[]> => {
    const some = sought
    sought = new Map()
    const found = new LandedOffsets()
    for (const one of (await archive?.find([...some.keys()])) ?? []) {
      found.set(one)
      const key = generationKey(one)
      if (one.mark !== undefined && !marks.has(key)) marks.set(key, one.mark)
    }
    return Array.from(some).flatMap(([blob, listed]) => {
      if (isLanded(blob, listed, found)) return []
      for (const one of found.of(blob)) landed.set(one)
      return [listed.name]
    })
  }
  const selection = selectionOf(source.blobs)
  if (selection.kind === 'one') {
    sought.set(`${reader.container}/${selection.name}`, { name: selection.name, bytes: 0, createdAt: '' })
    yield* await seek()
    return
  }
  const { startTimeMs, listMs, watchMs } = source
  const discovery = createDiscovery(selection, { reader, startTimeMs, listMs, watchMs })
  try {
    for await (const { name, bytes, createdAt } of discovery.scan(
      nowMs,
      { policy: interactiveRetry },
      { everything: true },
    )) {
      const blob = `${reader.container}/${name}`
      if (bytes === 0 || isLanded(blob, { bytes, createdAt }, landed)) continue
      sought.set(blob, { name, bytes, createdAt })
      if (archive === undefined || sought.size === maxSoughtBlobs) yield* await seek()
    }
    yield* await seek()
  } catch (error) {
    // As a run, which waits for Azure Monitor to create it.
    if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
  }
}

/** Cuts a range at line starts. A cut without a line start near it is left out. */
async function divided(
  range: UnlandedRange,
  targetBytes: number,
  reader: BlobReader,
  maxLineBytes: number,
): Promise<UnlandedRange[]> {
  const { span } = range
  const name = span.blob.slice(reader.container.length + 1)
  const parts: UnlandedRange[] = []
  let { start } = span
  for (const cut of cutsOf(range, targetBytes)) {
    const end = await nextLineStart(reader, name, cut, maxLineBytes)
    if (end === undefined || end <= start || end >= span.end) continue
    parts.push({ ...range, span: { ...span, start, end } })
    start = end
  }
  return [...parts, { ...range, span: { ...span, start } }]
}
