import { choosePipelines } from '../config/choose-pipelines.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { isTailraceError } from '../errors.ts'
import type { LandedOffset } from '../offsets/landed-offsets.ts'
import { OffsetFile } from '../offsets/offset-file.ts'
import { type BlobGeneration, generationKey, generationParts } from '../records.ts'
import { type Print, printJsonList, printTable } from '../reporting/row-printer.ts'
import type { SetAsideBlob } from '../run/lanes/lane-schedule.ts'
import { SetAsideFile } from '../run/lanes/set-aside-file.ts'
import { FailureFile, type PipelineFailure } from '../run/pipeline-failure.ts'
import type { ListedBlob } from '../sources/blob-reader.ts'
import { selectionOf } from '../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../sources/discovery/create-discovery.ts'
import type { CommandContext } from './command.ts'
import { forEachPipeline, type InspectedPipeline } from './for-each-pipeline.ts'

/** The progress of one blob generation. */
interface BlobStatus {
  readonly pipeline: string
  readonly blob: string
  readonly generation: string
  /** Current size of the blob; undefined when this generation no longer exists. */
  readonly blobBytes: number | undefined
  readonly offset: number
  /** Bytes that have not landed; undefined as `blobBytes`. */
  readonly lagBytes: number | undefined
  /** `rows` and `rejected` are undefined when the table does not exist, such as before Databricks has created it. */
  readonly rows: number | undefined
  readonly rejected: number | undefined
}

/** The state of one pipeline, without its landed blobs. */
interface PipelineStatus {
  readonly pipeline: string
  /** Blobs without any landed byte; undefined when the table could not be inspected. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number } | undefined
  /** Blobs that a running process has set aside after failures. */
  readonly setAside: readonly SetAsideBlob[]
  /** The failure of a pipeline that was started and is not running. */
  readonly failure: PipelineFailure | undefined
  /** The number of blobs with several landed generations. Lines that two generations have in common are in the table twice. */
  readonly replacedBlobs: number
}

/** Maximum number of completely landed blobs to show: a source may have thousands of them. */
const maxCompleteBlobs = 20

/** Prints the progress of each blob generation, and for each pipeline its failure and its waiting, replaced and set-aside blobs. */
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
  const inspecting = forEachPipeline(context, pipeline, async (landed) => {
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
  // The failure of a pipeline often explains why its table cannot be inspected, so it is printed before the error.
  const [inspected] = await Promise.allSettled([inspecting])
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
  { name, table }: InspectedPipeline,
  generations: readonly LandedOffset[],
  lengths: ReadonlyMap<string, BlobLength>,
  instantOf: (generation: BlobGeneration) => string,
): Promise<BlobStatus[]> {
  const landedRows = await table.rows()
  // The rows are read after the offsets, so they may include rows that a running process has landed since.
  const counts =
    landedRows && new Map((await landedRows.counts()).map((count) => [generationKey(count), count]))
  return generations.map(({ blob, generation, offset }, index) => {
    const length = lengths.get(blob)
    // Generations may share a creation instant; only the newest one can still exist.
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
  // Shows all blobs with lag or rejected rows, and of the others those with the last names.
  const complete = blobs.filter(({ lagBytes, rejected }) => (lagBytes ?? 0) === 0 && (rejected ?? 0) === 0)
  const hidden = new Set(complete.sort((a, b) => (a.blob < b.blob ? 1 : -1)).slice(maxCompleteBlobs))
  const shown = blobs.filter((blob) => !hidden.has(blob))
  await printTable(
    print,
    columns,
    shown.map((blob) => columns.map((column) => blob[column])),
  )
  if (hidden.size === 0) return
  const rows = [...hidden].reduce((sum, blob) => sum + (blob.rows ?? 0), 0)
  await print(`and ${hidden.size} more that have landed completely, with ${rows} rows (--json lists them)\n`)
}

function describePipeline({ pipeline, notBegun, setAside, replacedBlobs, failure }: PipelineStatus): string {
  const lines: string[] = []
  if (failure !== undefined) {
    const { code, reason, failures, sinceMs, untilMs } = failure
    const next = untilMs === undefined ? 'its process has ended' : `next start at ${isoText(untilMs)}`
    lines.push(`${pipeline}: failed ${failures} times since ${isoText(sinceMs)}, ${next}: ${code}: ${reason}`)
  }
  if (notBegun !== undefined && notBegun.blobs > 0)
    lines.push(`${pipeline}: ${notBegun.blobs} blobs with ${notBegun.bytes} bytes have no landed byte yet`)
  if (replacedBlobs > 0)
    lines.push(
      `${pipeline}: ${replacedBlobs} blobs were replaced: lines that are in the earlier and the later generation are in the table twice`,
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

/** The current size and creation instant of a blob. */
export type BlobLength = Pick<ListedBlob, 'bytes' | 'createdAt'>

/** The current sizes of landed blobs, and the total of all others. */
export interface SourceLengths {
  /** Blobs with landed bytes, by `<container>/<name>`. */
  readonly landed: ReadonlyMap<string, BlobLength>
  /** Blobs without any landed byte; empty blobs are not counted. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number }
}

/**
 * Reads the sizes of a source's blobs: with one request for a source of one blob, else by listing.
 *
 * @param generations the landed generations
 * @throws SOURCE_DENIED, SOURCE_UNAVAILABLE
 */
export async function sourceLengths(
  { pipeline, reader }: Pick<InspectedPipeline, 'pipeline' | 'reader'>,
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
    // A missing container has no blobs.
    if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
  }
  return { landed, notBegun }
}

/**
 * @returns a function from a generation to the creation instant that its blob was last seen with
 *
 * The instant differs from the generation's name only after the blob was copied, which only the offset file records.
 * Without the file, the instant in the name is used.
 */
export async function creationInstants(
  { stateDirectory }: Pick<ResolvedConfig, 'stateDirectory'>,
  { name, pipeline }: Pick<InspectedPipeline, 'name' | 'pipeline'>,
): Promise<(generation: BlobGeneration) => string> {
  const offsetFile = new OffsetFile({
    stateDirectory,
    pipeline: name,
    table: pipeline.sinkKind.offsetsTable(pipeline),
  })
  const marks = await offsetFile.readMarks()
  const instants = new Map(marks.map((mark) => [generationKey(mark), mark.createdAt]))
  return (source) => instants.get(generationKey(source)) ?? generationParts(source.generation)[0]
}
