import { choosePipelines } from '../config/choose-pipelines.ts'
import type { ResolvedConfig } from '../config/resolve.ts'
import { isTailraceError } from '../errors.ts'
import type { LandedOffset } from '../offsets/landed-offsets.ts'
import { OffsetFile } from '../offsets/offset-file.ts'
import { type BlobGeneration, generationKey, generationParts } from '../records.ts'
import { type Print, printJsonList, printTable } from '../reporting/row-printer.ts'
import type { SetAsideBlob } from '../run/lanes/lane-schedule.ts'
import { SetAsideFile } from '../run/lanes/set-aside-file.ts'
import { FailureFile, type PipelineFailure } from '../run/pipeline-failure.ts'
import { sinkOf } from '../sinks/sinks.ts'
import type { ListedBlob } from '../sources/blob-reader.ts'
import { selectionOf } from '../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../sources/discovery/create-discovery.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline, type LandedPipeline } from './for-each-pipeline.ts'

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
  /** Missing, as the rejected ones, when there is no table to ask, such as before Databricks has made it. */
  readonly rows: number | undefined
  readonly rejected: number | undefined
}

/** How one pipeline stands, apart from the blobs that have landed. */
interface PipelineStatus {
  readonly pipeline: string
  /** Blobs of the source of which nothing has landed; missing when its table could not be inspected. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number } | undefined
  /** Blobs that a running process leaves alone for a while, and why. */
  readonly setAside: readonly SetAsideBlob[]
  /** Why it does not run, though a process has started it. */
  readonly failure: PipelineFailure | undefined
  /** Blobs with more than one landed generation: what two of them hold is in the table twice. */
  readonly replacedBlobs: number
}

/** A year of hourly blobs is no table to read: of the blobs that have landed whole, so many are shown. */
const mostWholeBlobs = 20

/** Prints, per blob generation: size, offset, lag, rows, rejected rows; and what has not begun or is set aside. */
export async function status(
  context: CommandContext,
  pipeline: string | undefined,
  json: boolean,
): Promise<number> {
  const blobs: BlobStatus[] = []
  const { stateDirectory } = context.config
  const pipelines = new Map<string, PipelineStatus>()
  for (const [name] of choosePipelines(context.config, pipeline)) {
    const failure = await new FailureFile(stateDirectory, name).read()
    pipelines.set(name, { pipeline: name, notBegun: undefined, setAside: [], replacedBlobs: 0, failure })
  }
  const looking = forEachPipeline(context, pipeline, async (landed) => {
    const generations = await landed.table.generations()
    const { landed: lengths, notBegun } = await sourceLengths(landed, generations, context.clock.now())
    const setAside = await new SetAsideFile(stateDirectory, landed.name).read()
    const failure = pipelines.get(landed.name)?.failure
    const replacedBlobs = new Set(
      generations.flatMap(({ blob }, index) => (generations[index + 1]?.blob === blob ? [blob] : [])),
    ).size
    pipelines.set(landed.name, { pipeline: landed.name, notBegun, setAside, replacedBlobs, failure })
    const instantOf = await creationInstants(context.config, landed)
    for (const one of await blobStatuses(landed, generations, lengths, instantOf)) blobs.push(one)
  })
  // A table that cannot be inspected is often the very reason why its pipeline failed: then that is printed first.
  const [inspected] = await Promise.allSettled([looking])
  const { print } = context
  if (json) {
    const after = `],"pipelines":${JSON.stringify([...pipelines.values()])}}`
    await printJsonList(print, { before: '{"blobs":[', items: blobs, after })
  } else {
    if (blobs.length > 0 || inspected.status === 'fulfilled') await printBlobs(print, blobs)
    for (const one of pipelines.values()) await print(describePipeline(one))
  }
  if (inspected.status === 'rejected') throw inspected.reason
  return 0
}

async function blobStatuses(
  { name, table }: LandedPipeline,
  generations: readonly LandedOffset[],
  lengths: ReadonlyMap<string, BlobLength>,
  instantOf: (generation: BlobGeneration) => string,
): Promise<BlobStatus[]> {
  const landedRows = await table.rows()
  // The rows are newer than the offsets: what a run has landed in between is counted already.
  const counts =
    landedRows && new Map((await landedRows.counts()).map((count) => [generationKey(count), count]))
  return generations.map(({ blob, generation, offset }, index) => {
    const length = lengths.get(blob)
    // Of several generations of one instant, the newest one is there.
    const isNewest = generations[index + 1]?.blob !== blob
    const isThere = isNewest && instantOf({ blob, generation }) === length?.createdAt
    const blobBytes = isThere ? length?.bytes : undefined
    const counted = counts && (counts.get(generationKey({ blob, generation })) ?? { rows: 0, rejected: 0 })
    return {
      pipeline: name,
      blob,
      generation,
      blobBytes,
      offset,
      lagBytes: blobBytes === undefined ? undefined : Math.max(0, blobBytes - offset),
      rows: counted?.rows,
      rejected: counted?.rejected,
    }
  })
}

async function printBlobs(print: Print, blobs: readonly BlobStatus[]): Promise<void> {
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
  // Those that matter: what is not landed or was rejected, and of the others the newest names.
  const quiet = blobs.filter(({ lagBytes, rejected }) => (lagBytes ?? 0) === 0 && (rejected ?? 0) === 0)
  const hidden = new Set(quiet.sort((a, b) => (a.blob < b.blob ? 1 : -1)).slice(mostWholeBlobs))
  const shown = blobs.filter((blob) => !hidden.has(blob))
  await printTable(
    print,
    columns,
    shown.map((blob) => columns.map((column) => blob[column])),
  )
  if (hidden.size === 0) return
  const rows = [...hidden].reduce((sum, blob) => sum + (blob.rows ?? 0), 0)
  await print(`and ${hidden.size} more that are landed whole, with ${rows} rows (--json lists them)\n`)
}

function describePipeline({ pipeline, notBegun, setAside, replacedBlobs, failure }: PipelineStatus): string {
  const lines: string[] = []
  if (failure !== undefined) {
    const { code, reason, failures, sinceMs, untilMs } = failure
    const next = untilMs === undefined ? 'its process has ended' : `started again at ${isoText(untilMs)}`
    lines.push(
      `${pipeline}: failed, ${failures} times since ${isoText(sinceMs)}, ${next}: ${code}: ${reason}`,
    )
  }
  if (notBegun !== undefined && notBegun.blobs > 0)
    lines.push(`${pipeline}: ${notBegun.blobs} blobs with ${notBegun.bytes} bytes have not begun`)
  if (replacedBlobs > 0)
    lines.push(
      `${pipeline}: ${replacedBlobs} blobs were replaced: what an earlier and a later generation both hold is in the table twice`,
    )
  for (const { blob, code, reason, failures, untilMs } of setAside)
    lines.push(
      `${pipeline}: ${blob} is set aside until ${isoText(untilMs)} after ${failures} failures: ${code}: ${reason}`,
    )
  return lines.map((line) => `${line}\n`).join('')
}

function isoText(instantMs: number): string {
  return new Date(instantMs).toISOString()
}

/** A blob as it is now. */
export type BlobLength = Pick<ListedBlob, 'bytes' | 'createdAt'>

/** What a source holds now, as far as a table knows of it, and how much else there is. */
export interface SourceLengths {
  /** By `<container>/<name>`: of the blobs that have landed, at least in part. */
  readonly landed: ReadonlyMap<string, BlobLength>
  /** Blobs of which nothing has landed. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number }
}

/**
 * Asks a source for the length of its blobs: one request for a fixed blob, a listing for all others.
 *
 * @param generations what has landed
 * @throws SOURCE_DENIED, SOURCE_UNAVAILABLE
 */
export async function sourceLengths(
  { pipeline, reader }: Pick<LandedPipeline, 'pipeline' | 'reader'>,
  generations: readonly LandedOffset[],
  nowMs: number,
): Promise<SourceLengths> {
  const { source } = pipeline
  const known = new Set(generations.map(({ blob }) => blob))
  const landed = new Map<string, BlobLength>()
  const notBegun = { blobs: 0, bytes: 0 }
  const note = (name: string, { bytes, createdAt }: BlobLength): void => {
    const blob = `${reader.container}/${name}`
    if (known.has(blob)) landed.set(blob, { bytes, createdAt })
    else if (bytes > 0) {
      notBegun.blobs += 1
      notBegun.bytes += bytes
    }
  }
  const selection = selectionOf(source.blobs)
  if (selection.kind === 'one') {
    const head = await reader.read(selection.name, { offset: 0, maxBytes: 1 })
    if (head.kind === 'bytes') note(selection.name, { bytes: head.totalBytes, createdAt: head.createdAt })
    return { landed, notBegun }
  }
  const discovery = createDiscovery(selection, {
    reader,
    startTimeMs: source.startTimeMs,
    watchMs: source.watchMs,
  })
  try {
    for await (const listed of discovery.scan(nowMs, {})) note(listed.name, listed)
  } catch (error) {
    // A container that is gone, or not there yet, holds nothing.
    if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
  }
  return { landed, notBegun }
}

/**
 * Under which creation instant each generation's blob was last seen.
 *
 * Only a generation that was copied has another one than its name says, and only the offset file knows; without the file
 * the name has to do.
 */
export async function creationInstants(
  { stateDirectory }: Pick<ResolvedConfig, 'stateDirectory'>,
  { name, pipeline }: Pick<LandedPipeline, 'name' | 'pipeline'>,
): Promise<(generation: BlobGeneration) => string> {
  const store = new OffsetFile({
    stateDirectory,
    pipeline: name,
    table: sinkOf(pipeline).offsetsTable(pipeline),
  })
  const marks = await store.readMarks()
  const instants = new Map(marks.map((mark) => [generationKey(mark), mark.createdAt]))
  return (source) => instants.get(generationKey(source)) ?? generationParts(source.generation)[0]
}
