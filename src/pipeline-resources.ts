import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'
import { FileOffsetStore } from './offsets/file-offset-store.ts'
import { type ResolvedConfig, type ResolvedPipeline, tableLocation } from './resolve-config.ts'
import { retryLog } from './retry-log.ts'
import { DeltaCommitter } from './sinks/delta/delta-committer.ts'
import { EmbeddedEngine } from './sinks/duckdb.ts'
import { SpoolEncoder } from './sinks/encoder.ts'
import { blobTest } from './sources/discovery/blob-test.ts'
import { Staging } from './streams/staging.ts'
import { openTableStorage } from './table-storage.ts'

export interface PipelineResourcesOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly shared: Pick<ResolvedConfig, 'stateDirectory' | 'disk'>
  /** For the pipeline that runs; anyone else could take the files of one that runs for leftovers. */
  readonly removeLeftovers: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** What stands behind one pipeline's stages: its staging directory, engine, encoder, table and offset file. */
export class PipelineResources {
  readonly staging: Staging
  readonly engine: EmbeddedEngine
  readonly encoder: SpoolEncoder
  readonly committer: DeltaCommitter
  readonly offsetStore: FileOffsetStore
  /** Directories whose volumes fill as the pipeline works. */
  readonly directories: readonly string[]

  private constructor(options: PipelineResourcesOptions, staging: Staging, engine: EmbeddedEngine) {
    const { name, config, shared, clock, logger } = options
    const nowMs = (): number => clock.now()
    const location = tableLocation(config)
    this.staging = staging
    this.directories = [staging.directory, ...(location.kind === 'directory' ? [location.path] : [])]
    this.engine = engine
    this.encoder = new SpoolEncoder({
      engine,
      declaration: config.table,
      outputDirectory: staging.directory,
      nowMs,
    })
    this.committer = new DeltaCommitter({
      pipeline: name,
      storage: openTableStorage(config, {
        downloadDirectory: staging.directory,
        clock,
        retry: { onRetry: retryLog(logger, "the table's storage failed") },
      }),
      engine,
      columns: config.table.columns,
      partitionColumns: config.table.partitionColumns,
      evolve: config.sink.evolve,
      tableName: config.table.name.table,
      stagingDirectory: staging.directory,
      clock,
      onCheckpointFailed: (error) => logger.warn({ err: error }, 'a checkpoint could not be written'),
      landsBlob: blobTest(config.source),
      onOffsetsRecovered: (count) =>
        logger.warn(
          { count },
          'the table has rows of these blobs and no offsets: they were taken from its rows',
        ),
    })
    this.offsetStore = new FileOffsetStore({
      stateDirectory: shared.stateDirectory,
      pipeline: name,
      table: Object.values(config.table.name).join('.'),
      nowMs,
    })
  }

  /**
   * Opens everything; a table that does not exist is created.
   *
   * @throws TABLE_UNSUPPORTED, TABLE_SCHEMA_MISMATCH, TABLE_CORRUPT
   */
  static async open(options: PipelineResourcesOptions): Promise<PipelineResources> {
    const { stateDirectory, disk } = options.shared
    const staging = new Staging(join(stateDirectory, 'staging', options.name), disk.expireMs)
    await staging.open()
    if (options.removeLeftovers) await staging.removeExpired(options.clock.now())
    const engine = await EmbeddedEngine.open({ temporaryDirectory: join(staging.directory, 'spill') })
    try {
      const resources = new PipelineResources(options, staging, engine)
      for (const directory of resources.directories) await mkdir(directory, { recursive: true })
      await resources.committer.open()
      return resources
    } catch (error) {
      engine.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.committer.close()
    this.engine.close()
  }
}
