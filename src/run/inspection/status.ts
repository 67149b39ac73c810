import { choosePipelines } from '../../config/choose-pipelines.ts'
import { isTailraceError } from '../../errors.ts'
import { type ArchivedOffset, type ArchivedOffsets, maxSoughtBlobs } from '../../offsets/archived-offsets.ts'
import { type LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import { generationKey, lastCreatedAt } from '../../records.ts'
import { singleAttempt } from '../../retry.ts'
import { ArrivalRate } from '../../sources/arrival-rate.ts'
import type { ListedBlob } from '../../sources/blob-reader.ts'
import { serverOf } from '../../sources/discovery/azure-monitor-layout.ts'
import { selectionOf } from '../../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../../sources/discovery/create-discovery.ts'
import type { ServerLag, SetAsideBlob } from '../lanes/lane-schedule.ts'
import { SetAsideFile } from '../lanes/set-aside-file.ts'
import { FailureFile, type PipelineFailure } from '../pipeline-failure.ts'
import {
  creationInstants,
  forEachPipeline,
  type InspectedPipeline,
  type InspectionContext,
} from './for-each-pipeline.ts'

/** The progress of one blob generation. */
export interface BlobStatus {
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
export interface PipelineStatus {
  readonly pipeline: string
  /** Blobs without any landed byte; undefined when the table could not be inspected. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number } | undefined
  /** Blobs that a running process has set aside after failures. */
  readonly setAside: readonly SetAsideBlob[]
  /** The failure of a pipeline that was started and is not running. */
  readonly failure: PipelineFailure | undefined
  /** The number of blobs with several landed generations. Lines that two generations have in common are in the table twice. */
  readonly replacedBlobs: number
  /** The servers of a source of Azure Monitor, the one with the most bytes that have not landed first. */
  readonly servers: readonly ServerLag[]
  /** Bytes that arrived in the last day, estimated from the blobs; undefined when the source could not be listed. */
  readonly bytesPerDay: number | undefined
  /**
   * Rows of the table's archive, of all its pipelines: one for each time that an offset had not changed for long. Of their
   * blobs, only those that grew since are listed.
   */
  readonly archivedOffsets: number
  /** Sentences about changes of the table that may have removed rows: by somebody else, since the last start. */
  readonly tableChanges: readonly string[]
}

/** The progress of pipelines. */
export interface StatusReport {
  readonly blobs: readonly BlobStatus[]
  readonly pipelines: readonly PipelineStatus[]
  /** The error that ended the inspection: of the pipelines from there on, `blobs` has none. */
  readonly error?: unknown
}

/**
 * Reads the progress of each blob generation, and for each pipeline its failure and its waiting, replaced and set-aside
 * blobs. Nothing changes, so the pipelines may be running.
 *
 * @param only the name of one pipeline; undefined for all
 * @throws USAGE when there is no pipeline `only`
 */
export async function readStatus(
  context: InspectionContext,
  only: string | undefined,
): Promise<StatusReport> {
  const blobs: BlobStatus[] = []
  const { stateDirectory } = context.config
  const pipelines = new Map<string, PipelineStatus>()
  for (const [name] of choosePipelines(context.config, only)) {
    const failure = await new FailureFile(stateDirectory, name).read()
    pipelines.set(name, {
      pipeline: name,
      notBegun: undefined,
      setAside: [],
      replacedBlobs: 0,
      failure,
      servers: [],
      bytesPerDay: undefined,
      archivedOffsets: 0,
      tableChanges: [],
    })
  }
  const inspecting = forEachPipeline(context, only, async (landed) => {
    const resident = await landed.table.generations()
    const {
      generations,
      landed: lengths,
      notBegun,
      notBegunOf,
      bytesPerDay,
    } = await sourceLengths(landed, resident, context.clock.now())
    const setAside = await new SetAsideFile(stateDirectory, landed.name).read()
    const failure = pipelines.get(landed.name)?.failure
    const replacedBlobs = (await blobsWithSeveral(resident, landed.table.archive)).size
    const tableChanges = (await landed.table.changes?.()) ?? []
    const instantOf = await creationInstants(context.config, landed)
    const statuses = await blobStatuses(landed, generations, lengths, instantOf)
    for (const one of statuses) blobs.push(one)
    const servers = serverLags(statuses, notBegunOf)
    pipelines.set(landed.name, {
      pipeline: landed.name,
      notBegun,
      setAside,
      replacedBlobs,
      failure,
      servers,
      bytesPerDay,
      archivedOffsets: landed.table.archive?.count ?? 0,
      tableChanges,
    })
  })
  // The failure of a pipeline often explains why its table cannot be inspected, so both are returned.
  const [inspected] = await Promise.allSettled([inspecting])
  const error: unknown = inspected.status === 'rejected' ? inspected.reason : undefined
  return { blobs, pipelines: [...pipelines.values()], error }
}

/** @returns the blobs with several landed generations */
async function blobsWithSeveral(
  resident: readonly LandedOffset[],
  archive: ArchivedOffsets | undefined,
): Promise<ReadonlySet<string>> {
  const several = new Set(await archive?.replaced())
  const single = new Set<string>()
  for (const { blob } of resident) (single.has(blob) ? several : single).add(blob)
  const sought = archive === undefined ? [] : [...single].filter((blob) => !several.has(blob))
  for (let from = 0; from < sought.length; from += maxSoughtBlobs) {
    // It returns the generations alone that are not resident.
    for (const { blob } of (await archive?.find(sought.slice(from, from + maxSoughtBlobs))) ?? [])
      several.add(blob)
  }
  return several
}

async function blobStatuses(
  { name, table }: InspectedPipeline,
  generations: readonly MarkedOffset[],
  lengths: ReadonlyMap<string, BlobLength>,
  instantOf: (source: MarkedOffset) => string,
): Promise<BlobStatus[]> {
  const landedRows = await table.rows()
  const blobs = new Set(generations.map(({ blob }) => blob))
  // The rows are read after the offsets, so they may include rows that a running process has landed since.
  const counts =
    landedRows &&
    new Map(
      (await landedRows.counts((blob) => blobs.has(blob))).map((count) => [generationKey(count), count]),
    )
  return generations.map((one, index) => {
    const { blob, generation, offset } = one
    const length = lengths.get(blob)
    // Generations may share a creation instant; only the newest one can still exist.
    const isNewest = generations[index + 1]?.blob !== blob
    const isThere = isNewest && instantOf(one) === length?.createdAt
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

/** One of the archive may have a mark. */
type MarkedOffset = LandedOffset & Partial<Pick<ArchivedOffset, 'mark'>>

/** The current size and creation instant of a blob. */
export type BlobLength = Pick<ListedBlob, 'bytes' | 'createdAt'>

/** A blob as a listing shows it, or one that exists at this moment. */
type NotedBlob = BlobLength & Partial<Pick<ListedBlob, 'modifiedAtMs'>>

/** The current sizes of landed blobs, and the total of all others. */
export interface SourceLengths {
  /** The given generations, and the archived ones that have grown since. */
  readonly generations: readonly MarkedOffset[]
  /** Blobs with landed bytes, by `<container>/<name>`. */
  readonly landed: ReadonlyMap<string, BlobLength>
  /** Blobs without any landed byte; empty blobs are not counted. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number }
  /** The same by server of Azure Monitor. */
  readonly notBegunOf: ReadonlyMap<string, { readonly blobs: number; readonly bytes: number }>
  readonly bytesPerDay: number
}

function serverLags(
  statuses: readonly BlobStatus[],
  notBegunOf: SourceLengths['notBegunOf'],
): readonly ServerLag[] {
  const lags = new Map<string, { lagBytes: number; blobs: number }>()
  for (const [server, { blobs, bytes }] of notBegunOf) lags.set(server, { lagBytes: bytes, blobs })
  for (const { blob, lagBytes = 0 } of statuses) {
    const server = serverOf(blob.slice(blob.indexOf('/') + 1))
    if (server === undefined) continue
    const lag = lags.get(server) ?? { lagBytes: 0, blobs: 0 }
    lags.set(server, lag)
    lag.lagBytes += lagBytes
    if (lagBytes > 0) lag.blobs += 1
  }
  return Array.from(lags, ([server, lag]) => ({ server, ...lag })).sort((a, b) => b.lagBytes - a.lagBytes)
}

/**
 * Reads the sizes of a source's blobs: with one request for a source of one blob, else by listing.
 *
 * @param generations the landed generations
 * @throws SOURCE_DENIED, SOURCE_UNAVAILABLE
 */
async function sourceLengths(
  { pipeline, reader, table: { archive } }: Pick<InspectedPipeline, 'pipeline' | 'reader' | 'table'>,
  resident: readonly LandedOffset[],
  nowMs: number,
): Promise<SourceLengths> {
  const { source } = pipeline
  const generations: MarkedOffset[] = [...resident]
  const known = new Set(generations.map(({ blob }) => blob))
  const landed = new Map<string, BlobLength>()
  const notBegun = { blobs: 0, bytes: 0 }
  const notBegunOf = new Map<string, { blobs: number; bytes: number }>()
  const rate = new ArrivalRate(nowMs)
  const sought = new Map<string, BlobLength>()
  const seek = async (): Promise<void> => {
    const found = new LandedOffsets()
    const instants = new Map<LandedOffset, string>()
    for (const one of (await archive?.find([...sought.keys()])) ?? []) {
      found.set(one)
      instants.set(one, lastCreatedAt(one, one.mark))
    }
    for (const [blob, length] of sought) {
      const newest = found.of(blob).at(-1)
      if (newest === undefined) noteNotBegun(blob.slice(reader.container.length + 1), length.bytes)
      else if (newest.offset < length.bytes || instants.get(newest) !== length.createdAt) {
        landed.set(blob, length)
        for (const one of found.of(blob)) generations.push(one)
      }
    }
    sought.clear()
  }
  const note = (name: string, { bytes, createdAt, modifiedAtMs = nowMs }: NotedBlob): void => {
    rate.note({ bytes, createdAt, modifiedAtMs })
    const blob = `${reader.container}/${name}`
    if (known.has(blob)) landed.set(blob, { bytes, createdAt })
    else if (bytes > 0 && archive !== undefined) sought.set(blob, { bytes, createdAt })
    else noteNotBegun(name, bytes)
  }
  const noteNotBegun = (name: string, bytes: number): void => {
    if (bytes > 0) {
      notBegun.blobs += 1
      notBegun.bytes += bytes
      const server = serverOf(name)
      if (server === undefined) return
      const before = notBegunOf.get(server) ?? { blobs: 0, bytes: 0 }
      notBegunOf.set(server, { blobs: before.blobs + 1, bytes: before.bytes + bytes })
    }
  }
  const selection = selectionOf(source.blobs)
  if (selection.kind === 'one') {
    const head = await reader.read(selection.name, { offset: 0, maxBytes: 1 })
    if (head.kind === 'bytes') note(selection.name, { bytes: head.totalBytes, createdAt: head.createdAt })
    await seek()
    return { generations, landed, notBegun, notBegunOf, bytesPerDay: rate.bytesPerDay }
  }
  const discovery = createDiscovery(selection, {
    reader,
    startTimeMs: source.startTimeMs,
    listMs: source.listMs,
    watchMs: source.watchMs,
  })
  try {
    for await (const listed of discovery.scan(nowMs, { policy: singleAttempt })) {
      note(listed.name, listed)
      if (sought.size === maxSoughtBlobs) await seek()
    }
    await seek()
  } catch (error) {
    // A missing container has no blobs.
    if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
  }
  return { generations, landed, notBegun, notBegunOf, bytesPerDay: rate.bytesPerDay }
}
