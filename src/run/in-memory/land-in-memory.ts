import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { choosePipeline } from '../../config/choose-pipelines.ts'
import type { ResolvedConfig } from '../../config/resolved.ts'
import { OffsetFile } from '../../offsets/offset-file.ts'
import { OffsetFileWriter } from '../../offsets/offset-file-writer.ts'
import { withStateErrors } from '../../offsets/state-files.ts'
import { type Logger, silentLogger } from '../../reporting/logger.ts'
import { SpoolEncoder } from '../../sinks/encoding/encoder.ts'
import { EmbeddedEngine } from '../../sinks/encoding/engine.ts'
import { DiskSpaceMonitor } from '../../streams/staging/disk-space-monitor.ts'
import { Staging } from '../../streams/staging/staging.ts'
import { Pipeline } from '../pipeline.ts'
import type { PipelineResources, PipelineResourcesOptions } from '../resources.ts'
import type { MemoryBlobs } from './memory-blobs.ts'
import { MemoryTable } from './memory-table.ts'

export interface LandInMemoryOptions {
  /** The name of the pipeline. */
  readonly pipeline: string
  readonly blobs: MemoryBlobs
  /** A table of earlier runs, which this one continues. Default: a new one. */
  readonly table?: MemoryTable | undefined
  /** Default: no log. */
  readonly logger?: Logger | undefined
}

/**
 * Runs a pipeline of a config up to the ends of its blobs, with blobs and a table in memory in place of its storage and
 * its sink. Everything between them is what runs in production: which blobs, formats, transforms, batches, the SQL of the
 * table, and offsets.
 *
 * @param config from `loadConfig` or `resolveConfig`
 * @returns the table with the rows of this run behind those it had
 * @throws USAGE when there is no such pipeline, and what stops a run, such as TRANSFORM_HELD_RECORD
 */
export async function landInMemory(
  config: ResolvedConfig,
  { pipeline: name, blobs, table = new MemoryTable(), logger = silentLogger }: LandInMemoryOptions,
): Promise<MemoryTable> {
  const chosen = choosePipeline(config, name)
  const stateDirectory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-memory-')))
  try {
    const pipeline = await Pipeline.open(
      {
        name,
        config: chosen,
        shared: { stateDirectory, disk: { ...config.disk, minFreeBytes: 0, resumeFreeBytes: 0 } },
        reader: blobs,
        succeededSince: () => true,
        follow: false,
        clock: systemClock,
        logger,
      },
      (options) => openInMemory(options, table),
    )
    await pipeline.run()
    return table
  } finally {
    await rm(stateDirectory, { recursive: true, force: true })
  }
}

/** As `openResources`, for a table in memory. */
async function openInMemory(
  { name, config, shared, clock, logger }: PipelineResourcesOptions,
  table: MemoryTable,
): Promise<PipelineResources> {
  const { stateDirectory, disk } = shared
  const staging = new Staging(join(stateDirectory, 'staging'), disk.expireMs, logger)
  await staging.open()
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(stateDirectory, 'spill') })
  const offsetFile = new OffsetFile({ stateDirectory, pipeline: name, table: 'memory', clock })
  return {
    staging,
    encoder: new SpoolEncoder({
      engine,
      declaration: config.table,
      outputDirectory: staging.directory,
      files: 'whole',
      nowMs: () => clock.now(),
      logger,
    }),
    committer: table.committer(engine),
    takeStoredOffsets: () => undefined,
    offsetFile,
    offsets: new OffsetFileWriter({ file: offsetFile, marks: [], clock }),
    diskSpace: new DiskSpaceMonitor({
      directories: [staging.directory],
      minFreeBytes: disk.minFreeBytes,
      resumeFreeBytes: disk.resumeFreeBytes,
      checkMs: disk.checkMs,
      clock,
      logger,
    }),
    startUpkeep: undefined,
    close: () => engine.close(),
  }
}
