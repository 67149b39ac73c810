import { dirname } from 'node:path'
import type { Clock } from '../clock.ts'
import { choosePipeline } from '../config/choose-pipelines.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from '../config/resolved.ts'
import { TailraceError } from '../errors.ts'
import type { LandedOffset } from '../offsets/landed-offsets.ts'
import type { Span } from '../records.ts'
import type { Logger } from '../reporting/logger.ts'
import { interactiveRetry } from '../retry.ts'
import type { EncodedBatch } from '../sinks/table-committer.ts'
import type { BlobReader } from '../sources/blob-reader.ts'
import { retryingReader } from '../sources/readers/observed-reader.ts'
import { framingOf } from '../sources/recognition/framing.ts'
import { type IdentifiedBlob, identifyBlob } from '../sources/recognition/identify-blob.ts'
import { requireLineStart } from '../sources/recognition/line-start.ts'
import { customStages } from '../streams/custom/custom-stages.ts'
import { removeStaged } from '../streams/staging/staging.ts'
import { encodeBlocks } from './encode-blocks.ts'
import { Lane } from './lanes/lane.ts'
import { type PipelineResources, withResources } from './resources.ts'

export interface ReplayOptions {
  readonly config: ResolvedConfig
  readonly pipeline: string
  /** A blob name, with or without its container. */
  readonly blob: string
  readonly from: number
  /** Default: the landed offset of the blob. */
  readonly to?: number | undefined
  readonly reader: BlobReader
  readonly clock: Clock
  readonly logger: Logger
}

export interface ReplayReceipt {
  readonly span: Span
  readonly rows: number
  readonly rejected: number
  readonly removedRows: number
  readonly tableVersion: number | undefined
}

/**
 * Lands a range again and, in the same commit, removes the rows that it had landed before. Doing it twice gives the same
 * table as doing it once. Offsets do not change.
 *
 * @throws USAGE, REPLAY_OUT_OF_RANGE, REPLAY_NOT_A_LINE_START, and SOURCE_UNAVAILABLE after a few attempts
 */
export async function replay(options: ReplayOptions): Promise<ReplayReceipt> {
  const { config, pipeline: name, clock, logger } = options
  const pipeline = choosePipeline(config, name)
  const { stateDirectory } = config
  await pipeline.sinkKind.requireTable?.({
    target: sinkTarget(name, pipeline),
    stateDirectory,
    clock,
    logger,
  })
  return withResources({ name, config: pipeline, shared: config, clock, logger }, async (resources) => {
    const encoded: EncodedBatch[] = []
    try {
      return await replayRange(options, pipeline, resources, encoded)
    } finally {
      for (const { files } of encoded) {
        for (const { path } of files) await removeStaged(dirname(path), logger)
      }
    }
  })
}

/** @param encoded receives the batches, whose files the caller removes */
async function replayRange(
  options: ReplayOptions,
  pipeline: ResolvedPipeline,
  resources: PipelineResources,
  encoded: EncodedBatch[],
): Promise<ReplayReceipt> {
  const { pipeline: name, reader, clock, logger } = options
  const blobName = options.blob.startsWith(`${reader.container}/`)
    ? options.blob.slice(reader.container.length + 1)
    : options.blob
  await resources.committer.archive?.recall([`${reader.container}/${blobName}`])
  const landed = newestGeneration(resources, `${reader.container}/${blobName}`)
  const span = spanToReplay(landed, options)
  const patient = retryingReader(reader, { clock, policy: interactiveRetry })
  const { createdAt, head, blobType } = await requireSameGeneration(patient, blobName, landed, resources)
  const framing = framingOf(head, blobType)
  if (framing.kind === 'refused')
    throw new TailraceError('SOURCE_UNSUPPORTED', `${span.blob} ${framing.reason}.`)
  if (framing.kind === 'lines') {
    await requireLineStart(patient, blobName, span.start)
    await requireLineStart(patient, blobName, span.end)
  } else requireWhole(span, landed)

  const lane = new Lane({
    source: pipeline.source,
    customStages: () => customStages(pipeline.transforms, name),
    reader,
    writtenForm: pipeline.table.projection.writtenForm,
    blobName,
    start: {
      generation: span.generation,
      createdAt,
      offset: span.start,
      insideLine: false,
      before: undefined,
      resume: undefined,
      head,
      framing: framing.kind,
    },
    staging: resources.staging,
    follow: false,
    endOffset: span.end,
    retry: interactiveRetry,
    clock,
    logger,
  })
  await encodeBlocks(
    async (merge) => {
      await lane.run((onTaken) => merge.inlet(onTaken))
    },
    { ...resources, batch: pipeline.batch, onEncoded: (batch) => void encoded.push(batch) },
  )
  if (lane.next.offset !== span.end) {
    throw new TailraceError('SPAN_GAP', `Reading ${span.blob} again ended before the range did.`, {
      context: { expected: span.end, found: lane.next.offset },
    })
  }
  const receipt = await resources.committer.replace(span, encoded)
  return {
    span,
    rows: encoded.reduce((sum, batch) => sum + batch.rows, 0),
    rejected: encoded.reduce((sum, batch) => sum + batch.rejected, 0),
    removedRows: receipt.removedRows,
    tableVersion: receipt.tableVersion,
  }
}

function newestGeneration(resources: PipelineResources, blob: string): LandedOffset {
  const newest = resources.committer.landed().of(blob).at(-1)
  if (newest === undefined) {
    throw new TailraceError('REPLAY_OUT_OF_RANGE', `Nothing of ${blob} has been landed by this pipeline.`)
  }
  return newest
}

function spanToReplay(landed: LandedOffset, { from, to = landed.offset }: ReplayOptions): Span {
  const { blob, generation, offset } = landed
  if (from < 0 || to > offset || from >= to) {
    throw new TailraceError(
      'REPLAY_OUT_OF_RANGE',
      `The range ${from} to ${to} is not within what is landed of ${blob}: 0 to ${offset}.`,
      {
        context: { from, to, landed: offset },
      },
    )
  }
  return { blob, generation, start: from, end: to }
}

/** Checks that the blob still is the generation that landed: rows of another one must not replace its rows. */
async function requireSameGeneration(
  reader: BlobReader,
  blobName: string,
  landed: LandedOffset,
  { offsets }: PipelineResources,
): Promise<IdentifiedBlob> {
  const mark = offsets.markOf(landed)
  const found = await identifyBlob(reader, blobName, { known: [{ ...landed, mark }], coldStart: 'earliest' })
  if (found.kind === 'found' && found.resume !== undefined)
    throw new TailraceError(
      'REPLAY_OUT_OF_RANGE',
      `The last document of ${landed.blob} has grown: let the pipeline land its new records first.`,
    )
  if (found.kind === 'found' && found.generation === landed.generation) return found
  throw new TailraceError(
    'REPLAY_OUT_OF_RANGE',
    `The generation ${landed.generation} of ${landed.blob} no longer exists.`,
  )
}

/** Checks that a range is the whole blob: in gzip and documents, no offset inside is known to start a record. */
function requireWhole(span: Span, landed: LandedOffset): void {
  if (span.start === 0 && span.end === landed.offset) return
  throw new TailraceError(
    'REPLAY_OUT_OF_RANGE',
    `${span.blob} holds gzip or documents, which are landed again as a whole: from 0 to ${landed.offset}.`,
    { context: { from: span.start, to: span.end, landed: landed.offset } },
  )
}
