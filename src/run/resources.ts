import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { type ResolvedConfig, type ResolvedPipeline, sinkTarget } from '../config/resolved.ts'
import { isTailraceError } from '../errors.ts'
import { OffsetFile, type OffsetFileContent } from '../offsets/offset-file.ts'
import { OffsetFileWriter } from '../offsets/offset-file-writer.ts'
import { SerialQueue } from '../offsets/serial-queue.ts'
import type { Logger } from '../reporting/logger.ts'
import { SpoolEncoder } from '../sinks/encoding/encoder.ts'
import { EmbeddedEngine } from '../sinks/encoding/engine.ts'
import type { BatchEncoder } from '../sinks/lakehouse-sink.ts'
import type { OpenedFiles, OpenedSink, OpenSink, SinkUnits, UpkeepShare } from '../sinks/sink.ts'
import type { TableCommitter, UnitStore } from '../sinks/table-committer.ts'
import { type Shard, shardTest } from '../sources/discovery/shard.ts'
import { DiskSpaceMonitor } from '../streams/staging/disk-space-monitor.ts'
import { Staging } from '../streams/staging/staging.ts'

export interface PipelineResourcesOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly shared: Pick<ResolvedConfig, 'stateDirectory' | 'disk' | 'shard'>
  /** Whether to remove old staging files. Only for a run: a command could remove files of a run in another process. */
  readonly removeLeftovers: boolean
  /** Aborts requests to the table's storage or warehouse, and every statement of the engine. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** The resources of the stages that read and encode: staging directory, encoder, offset file and disk space. */
export interface StageResources {
  readonly staging: Staging
  readonly encoder: BatchEncoder
  /** Steps of the encoder that take several times a long row's memory. Undefined for an encoder without them. */
  readonly longTexts?: SerialQueue | undefined
  /**
   * Hands out the content of the offset file when the pipeline was opened, the first time only: that of 48,000 blobs takes
   * 40 MB, and a run lasts for weeks.
   */
  readonly takeStoredOffsets: () => OffsetFileContent | undefined | 'corrupt'
  readonly offsetFile: OffsetFile
  readonly offsets: OffsetFileWriter
  /** Watches the volumes that fill as the pipeline works. */
  readonly diskSpace: DiskSpaceMonitor
  close(): Promise<void>
}

/** The resources that one pipeline's stages use, with its table. */
export interface PipelineResources extends StageResources {
  readonly committer: TableCommitter
  readonly startUpkeep: OpenedSink['startUpkeep']
}

/** The resources of a process that stores the rows of units, beside a run of the pipeline. */
export interface UnitResources extends StageResources {
  readonly store: UnitStore
}

/**
 * The pipelines of a process encode in turns. Each statement uses all threads that the engine may have; two at once would
 * take twice the memory and no less time.
 */
const encoding = new SerialQueue()

/** Steps that take several times the memory of a long text, of all pipelines of a process. */
const longTexts = new SerialQueue()

/**
 * Opens the resources of a pipeline for the work of a command, and closes them after it. The staging files of a run in
 * another process stay.
 *
 * @throws as `openResources`, and the error of the work
 */
export async function withResources<Result>(
  options: Omit<PipelineResourcesOptions, 'removeLeftovers'>,
  work: (resources: PipelineResources) => Promise<Result>,
): Promise<Result> {
  const resources = await openResources({ ...options, removeLeftovers: false })
  try {
    return await work(resources)
  } finally {
    await resources.close()
  }
}

/**
 * Opens the resources of a process that stores the rows of units, for the work of a command, and closes them after it. It
 * takes no lock: `shared.stateDirectory` has to be one of its own.
 *
 * @throws as `openStore`, and the error of the work
 */
export async function withUnitStore<Result>(
  { units, ...options }: Omit<PipelineResourcesOptions, 'removeLeftovers'> & { readonly units: SinkUnits },
  work: (resources: UnitResources) => Promise<Result>,
): Promise<Result> {
  const { opened, ...stages } = await openStages({ ...options, removeLeftovers: false }, async (context) => {
    const opened = await units.openStore(context)
    return { opened, table: opened.store }
  })
  try {
    return await work({ ...stages, store: opened.store })
  } finally {
    await stages.close()
  }
}

/**
 * Opens the resources of a pipeline, and creates the table if it does not exist.
 *
 * @throws TABLE_UNSUPPORTED, TABLE_SCHEMA_MISMATCH, TABLE_CORRUPT, STATE_LOCKED
 */
export async function openResources(options: PipelineResourcesOptions): Promise<PipelineResources> {
  const { name, config, shared } = options
  const sink = config.sinkKind
  const lock = await sink.lock?.(sinkTarget(name, config), shared.stateDirectory)
  try {
    const { opened, ...stages } = await openStages(options, async (context) => {
      const opened = await sink.open(context)
      return { opened, table: opened.committer }
    })
    return {
      ...stages,
      committer: opened.committer,
      startUpkeep: opened.startUpkeep,
      close: async () => {
        await stages.close()
        lock?.release()
      },
    }
  } catch (error) {
    lock?.release()
    throw error
  }
}

/**
 * Opens the resources of the stages, and with them a table or a store of units.
 *
 * @param open opens the table or the store, and returns it as `table` too: `close` of the result closes it
 */
async function openStages<Opened extends OpenedFiles>(
  options: PipelineResourcesOptions,
  open: (context: OpenSink) => Promise<{
    readonly opened: Opened
    readonly table: Pick<TableCommitter, 'releaseCaches' | 'close'>
  }>,
): Promise<StageResources & { readonly opened: Opened }> {
  const { name, config, shared, clock, logger } = options
  const nowMs = (): number => clock.now()
  const staging = new Staging(join(shared.stateDirectory, 'staging', name), shared.disk.expireMs, logger)
  let engine: EmbeddedEngine | undefined
  try {
    await staging.open()
    if (options.removeLeftovers) await staging.removeExpired(clock.now())
    const openedEngine = await EmbeddedEngine.open({ temporaryDirectory: join(staging.directory, 'spill') })
    engine = openedEngine
    const interrupt = (): void => void openedEngine.close()
    options.signal?.addEventListener('abort', interrupt, { once: true })
    const offsetFile = new OffsetFile({
      stateDirectory: shared.stateDirectory,
      pipeline: name,
      table: config.sinkKind.offsetsTable(config),
      clock,
    })
    const storedOffsets = await readOffsetFile(offsetFile, logger)
    const known = storedOffsets === 'corrupt' ? undefined : storedOffsets
    const offsets = new OffsetFileWriter({
      file: offsetFile,
      marks: known?.marks ?? [],
      intent: known?.intent,
      unsettled: known?.unsettled,
      clock,
    })
    let untaken = storedOffsets
    const { opened, table } = await open({
      target: sinkTarget(name, config),
      stagingDirectory: staging.directory,
      engine,
      storedOffsets,
      offsets,
      upkeepShare: upkeepShareOf(shared.shard, config.sinkKind.offsetsTable(config)),
      signal: options.signal,
      clock,
      logger,
    })
    const encoder = new SpoolEncoder({
      engine,
      declaration: config.table,
      outputDirectory: staging.directory,
      files: opened.encodedFiles,
      nowMs,
      turns: encoding,
      longTexts,
      logger,
    })
    const { minFreeBytes, resumeFreeBytes, checkMs } = shared.disk
    const diskSpace = new DiskSpaceMonitor({
      directories: [staging.directory, ...opened.directories],
      minFreeBytes,
      resumeFreeBytes,
      checkMs,
      removeExpired: () => staging.removeExpired(clock.now()),
      releaseCaches: () => table.releaseCaches(),
      clock,
      logger,
    })
    return {
      opened,
      staging,
      diskSpace,
      encoder,
      longTexts,
      takeStoredOffsets: () => {
        const taken = untaken
        untaken = undefined
        return taken
      },
      offsetFile,
      offsets,
      close: async () => {
        await table.close()
        await openedEngine.close()
      },
    }
  } catch (error) {
    await engine?.close()
    throw error
  }
}

/** Tables are divided among the shards as blobs are, so that several tables keep several shards busy. */
function upkeepShareOf(shard: Shard | undefined, table: string): UpkeepShare | undefined {
  return shard && { isOwn: shardTest(shard)(table), shards: shard.count }
}

/** Reads the offset file. A corrupt one is logged: the offsets then come from the table. */
async function readOffsetFile(
  offsetFile: OffsetFile,
  logger: Logger,
): Promise<OffsetFileContent | undefined | 'corrupt'> {
  try {
    return await offsetFile.read()
  } catch (error) {
    if (!isTailraceError(error, 'OFFSET_FILE_CORRUPT')) throw error
    logger.error({ err: error }, 'the offset file is unusable: following the table and writing the file anew')
    return 'corrupt'
  }
}
