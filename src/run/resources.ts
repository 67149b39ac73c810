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
import type { OpenedSink } from '../sinks/sink.ts'
import type { TableCommitter } from '../sinks/table-committer.ts'
import { DiskSpaceMonitor } from '../streams/staging/disk-space-monitor.ts'
import { Staging } from '../streams/staging/staging.ts'

export interface PipelineResourcesOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly shared: Pick<ResolvedConfig, 'stateDirectory' | 'disk'>
  /** Whether to remove old staging files. Only for a run: a command could remove files of a run in another process. */
  readonly removeLeftovers: boolean
  /** Aborts requests to the table's storage or warehouse, and every statement of the engine. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** The resources that one pipeline's stages use: staging directory, encoder, table, offset file and disk space. */
export interface PipelineResources {
  readonly staging: Staging
  readonly encoder: BatchEncoder
  /** Steps of the encoder that take several times a long row's memory. Undefined for an encoder without them. */
  readonly longTexts?: SerialQueue | undefined
  readonly committer: TableCommitter
  /** The content of the offset file when the pipeline was opened. */
  readonly storedOffsets: OffsetFileContent | undefined | 'corrupt'
  readonly offsetFile: OffsetFile
  readonly offsets: OffsetFileWriter
  /** Watches the volumes that fill as the pipeline works. */
  readonly diskSpace: DiskSpaceMonitor
  readonly startUpkeep: OpenedSink['startUpkeep']
  close(): Promise<void>
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
 * Opens the resources of a pipeline, and creates the table if it does not exist.
 *
 * @throws TABLE_UNSUPPORTED, TABLE_SCHEMA_MISMATCH, TABLE_CORRUPT, STATE_LOCKED
 */
export async function openResources(options: PipelineResourcesOptions): Promise<PipelineResources> {
  const { name, config, shared, clock, logger } = options
  const nowMs = (): number => clock.now()
  const staging = new Staging(join(shared.stateDirectory, 'staging', name), shared.disk.expireMs, logger)
  const sink = config.sinkKind
  const target = sinkTarget(name, config)
  const lock = await sink.lock?.(target, shared.stateDirectory)
  let engine: EmbeddedEngine | undefined
  try {
    await staging.open()
    if (options.removeLeftovers) await staging.removeExpired(clock.now())
    const opened = await EmbeddedEngine.open({ temporaryDirectory: join(staging.directory, 'spill') })
    engine = opened
    const interrupt = (): void => void opened.close()
    options.signal?.addEventListener('abort', interrupt, { once: true })
    const offsetFile = new OffsetFile({
      stateDirectory: shared.stateDirectory,
      pipeline: name,
      table: sink.offsetsTable(config),
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
    const { committer, directories, encodedFiles, startUpkeep } = await sink.open({
      target,
      stagingDirectory: staging.directory,
      engine,
      storedOffsets,
      offsets,
      signal: options.signal,
      clock,
      logger,
    })
    const encoder = new SpoolEncoder({
      engine,
      declaration: config.table,
      outputDirectory: staging.directory,
      files: encodedFiles,
      nowMs,
      turns: encoding,
      longTexts,
      logger,
    })
    const { minFreeBytes, resumeFreeBytes, checkMs } = shared.disk
    const diskSpace = new DiskSpaceMonitor({
      directories: [staging.directory, ...directories],
      minFreeBytes,
      resumeFreeBytes,
      checkMs,
      removeExpired: () => staging.removeExpired(clock.now()),
      releaseCaches: () => committer.releaseCaches(),
      clock,
      logger,
    })
    return {
      staging,
      diskSpace,
      encoder,
      longTexts,
      committer,
      storedOffsets,
      offsetFile,
      offsets,
      startUpkeep,
      close: async () => {
        await committer.close()
        await opened.close()
        lock?.release()
      },
    }
  } catch (error) {
    await engine?.close()
    lock?.release()
    throw error
  }
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
