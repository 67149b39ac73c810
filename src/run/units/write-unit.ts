import { randomUUID } from 'node:crypto'
import { readdir, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../../clock.ts'
import type { ResolvedConfig, ResolvedPipeline } from '../../config/resolved.ts'
import { TailraceError } from '../../errors.ts'
import { generationKey, type Span } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import { interactiveRetry, retry } from '../../retry.ts'
import type { StoredFile } from '../../sinks/table-committer.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import { framingOf } from '../../sources/recognition/framing.ts'
import { identifyBlob } from '../../sources/recognition/identify-blob.ts'
import { requireLineStart } from '../../sources/recognition/line-start.ts'
import { ByteBudget } from '../../sources/tailing/byte-budget.ts'
import { customStages } from '../../streams/custom/custom-stages.ts'
import type { LaneMerge } from '../../streams/lane-merge.ts'
import { LongLines } from '../../streams/staging/long-lines.ts'
import { removeStaged } from '../../streams/staging/staging.ts'
import { RowMemories } from '../../streams/staging/usual-rows.ts'
import { encodeBlocks } from '../encode-blocks.ts'
import { Lane } from '../lanes/lane.ts'
import { type StageResources, withUnitStore } from '../resources.ts'
import { requireUnits } from './require-units.ts'
import type { Manifest, Unit } from './unit-files.ts'

export interface WriteUnitOptions {
  readonly config: ResolvedConfig
  readonly unit: Unit
  readonly pipeline: ResolvedPipeline
  readonly reader: BlobReader
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Reads a unit's ranges and stores their rows where the table can name them. Nothing is visible before `commitUnits`, so
 * a repeated or abandoned call does no harm. `tailrace vacuum` removes files of a Delta table that were never named; those
 * in a Databricks volume are removed by later runs once they are 7 days old.
 *
 * @throws USAGE when the table cannot hold such files
 * @throws UNIT_REFUSED when a blob was replaced or removed after the plan
 * @throws SOURCE_UNAVAILABLE after a few attempts
 */
export async function writeUnit(options: WriteUnitOptions): Promise<Manifest> {
  const { config, unit, pipeline, clock, logger } = options
  const units = requireUnits(unit.pipeline, pipeline)
  // Of its own, because several units may be written on one machine at the same time.
  const stateDirectory = join(config.stateDirectory, 'units', randomUUID())
  await removeAbandoned(dirname(stateDirectory), clock.now() - config.disk.expireMs)
  const stopKeeping = keep(stateDirectory, config.disk.expireMs, clock)
  const shared = { ...config, stateDirectory, shard: undefined }
  try {
    return await withUnitStore(
      { name: unit.pipeline, config: pipeline, units, shared, clock, logger },
      async (resources) => {
        const { store } = resources
        const ends = new Map<Span, number>()
        const files: StoredFile[] = []
        let [rows, rejected, partial] = [0, 0, 0]
        await encodeBlocks((merge) => readSpans(options, resources, merge, ends), {
          ...resources,
          batch: pipeline.batch,
          onEncoded: async (batch) => {
            for (const file of await store.storeUnit([batch])) files.push(file)
            for (const { path } of batch.files) await removeStaged(dirname(path), logger)
            rows += batch.rows
            rejected += batch.rejected
            partial += batch.partial
          },
        })
        const spans = unit.spans.flatMap((span) => {
          const end = ends.get(span) ?? span.start
          return end > span.start ? [{ ...span, end }] : []
        })
        const table = pipeline.sinkKind.offsetsTable(pipeline)
        return { pipeline: unit.pipeline, table, spans, files, rows, rejected, partial }
      },
    )
  } finally {
    stopKeeping()
    await rm(stateDirectory, { recursive: true, force: true })
  }
}

/** Reads the ranges of a unit, some at a time. @param ends receives where each range's last complete line ends */
async function readSpans(
  { unit, pipeline, reader, clock, logger }: WriteUnitOptions,
  { staging, diskSpace }: StageResources,
  merge: LaneMerge,
  ends: Map<Span, number>,
): Promise<void> {
  const { source } = pipeline
  const shared = {
    source,
    customStages: () => customStages(pipeline.transforms, unit.pipeline),
    reader,
    writtenForm: pipeline.table.projection.writtenForm,
    follow: false,
    budget: new ByteBudget(source.maxBufferedBytes),
    rowMemories: new RowMemories(),
    longLines: new LongLines({ staging, diskSpace }),
    staging,
    diskSpace,
    retry: interactiveRetry,
    clock,
    logger,
  }
  const waiting = [...unit.spans]
  const readNext = async (): Promise<void> => {
    for (let span = waiting.shift(); span !== undefined; span = waiting.shift()) {
      const { blobName, start, first } = await openSpan(span, unit, reader, clock)
      const lane = new Lane({ ...shared, blobName, start, first, endOffset: span.end })
      const end = await lane.run((onTaken) => merge.inlet(onTaken))
      if (end === 'replaced' || end === 'missing') throw refused(span, end)
      ends.set(span, lane.next.offset)
    }
  }
  await Promise.all(Array.from({ length: Math.min(source.maxLanes, unit.spans.length) }, readNext))
}

/** Checks that a blob still is the planned generation, and that the range begins where a record does. */
async function openSpan(span: Span, { marks }: Unit, reader: BlobReader, clock: Clock) {
  const container = `${reader.container}/`
  if (!span.blob.startsWith(container))
    throw new TailraceError(
      'UNIT_INVALID',
      `${span.blob} is not in the container ${reader.container} of this pipeline.`,
    )
  const blobName = span.blob.slice(container.length)
  const mark = marks.find((one) => generationKey(one) === generationKey(span))
  const known = [{ ...span, offset: span.start, mark }]
  const open = async () => {
    const found = await identifyBlob(reader, blobName, { known, coldStart: 'earliest' })
    if (found.kind !== 'found') throw refused(span, 'missing')
    const framing = framingOf(found.head, found.blobType)
    if (found.generation !== span.generation || found.resume !== undefined || framing.kind === 'refused')
      throw refused(span, 'replaced')
    if (framing.kind === 'lines') await requireLineStart(reader, blobName, span.start)
    const { first, ...identified } = found
    return { blobName, first, start: { ...identified, insideLine: false, framing: framing.kind } }
  }
  return retry(open, { policy: interactiveRetry, clock })
}

function refused(span: Span, end: 'replaced' | 'missing'): TailraceError {
  const what = end === 'missing' ? 'is gone' : 'has other content by now'
  return new TailraceError('UNIT_REFUSED', `The unit was not written: ${generationKey(span)} ${what}.`)
}

/**
 * Keeps a directory from being taken for one that a killed process left, however long its unit takes: the modification time
 * of a directory does not change when files in its folders do.
 *
 * @returns ends this
 */
function keep(directory: string, expireMs: number, clock: Clock): () => void {
  let cancel: () => void
  const next = (): void => {
    cancel = clock.after(expireMs / 4, () => {
      const now = new Date(clock.now())
      // A directory that was removed nevertheless fails the next write into it.
      utimes(directory, now, now).catch(() => {})
      next()
    })
  }
  next()
  return () => cancel()
}

/** Removes what killed processes left. */
async function removeAbandoned(directory: string, beforeMs: number): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && found.mtimeMs < beforeMs) await rm(path, { recursive: true, force: true })
  }
}
