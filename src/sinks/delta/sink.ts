import type { Clock } from '../../clock.ts'
import { bySink, type DeltaPipeline, type ResolvedPipeline, tableLocation } from '../../config/resolve.ts'
import { isAbort } from '../../errors.ts'
import type { OffsetFileContent } from '../../offsets/offset-file.ts'
import type { OffsetFileWriter } from '../../offsets/offset-file-writer.ts'
import type { Logger } from '../../reporting/logger.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import { blobTest } from '../../sources/discovery/blob-selection.ts'
import type { SpoolEncoderOptions } from '../encoding/encoder.ts'
import type { EmbeddedEngine } from '../encoding/engine.ts'
import type { TableCommitter } from '../table-committer.ts'
import { DeltaCommitter } from './committer.ts'
import { openTableStorage } from './storage/open.ts'

export interface OpenCommitterOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly stagingDirectory: string
  readonly engine: EmbeddedEngine
  readonly storedOffsets: OffsetFileContent | undefined | 'corrupt'
  readonly offsets: OffsetFileWriter
  readonly signal?: AbortSignal
  readonly clock: Clock
  readonly logger: Logger
}

/** A sink's committer, open, and what it wants of the stages before it. */
export interface OpenedCommitter {
  readonly committer: TableCommitter
  /** How batches are to be encoded. */
  readonly encodedFiles: NonNullable<SpoolEncoderOptions['files']>
  /** Directories that fill as batches are landed. */
  readonly directories: readonly string[]
}

/** A table can have thousands of blobs that were landed twice; the log line names this many. */
const loggedRanges = 10

/** The one place where a kind of sink is told from another. */
export async function openCommitter(options: OpenCommitterOptions): Promise<OpenedCommitter> {
  return bySink<Promise<OpenedCommitter>>(options.config, {
    delta: (config) => openDelta({ ...options, config }),
    databricks: async (config) => {
      // Loaded here because the driver is large, and most runs do without.
      const { openDatabricks } = await import('../databricks/sink.ts')
      return {
        committer: await openDatabricks({ ...options, config }),
        encodedFiles: 'whole',
        directories: [],
      }
    },
  })
}

async function openDelta({
  config,
  stagingDirectory,
  engine,
  signal,
  clock,
  logger,
}: OpenCommitterOptions & { readonly config: DeltaPipeline }): Promise<OpenedCommitter> {
  const location = tableLocation(config)
  const directories = location.kind === 'directory' ? [location.path] : []
  const committer = new DeltaCommitter({
    storage: openTableStorage(config, {
      downloadDirectory: stagingDirectory,
      clock,
      retry: {
        ...(signal === undefined ? {} : { signal }),
        onRetry: retryLog(logger, "the table's storage failed"),
      },
    }),
    engine,
    columns: config.table.columns,
    partitionColumns: config.table.partitionColumns.map(({ column }) => column),
    evolve: config.sink.evolve,
    tableName: config.table.name.table,
    stagingDirectory,
    clock,
    onCheckpointFailed: (error) => {
      if (!isAbort(error)) logger.warn({ err: error }, 'a checkpoint could not be written')
    },
    landsBlob: blobTest(config.source),
    onOffsetsRecovered: (count) =>
      logger.warn(
        { count },
        'the table has rows of these blobs and no offsets: they were taken from its rows',
      ),
    onDoubled: (ranges) =>
      logger.warn(
        { ranges: ranges.slice(0, loggedRanges), count: ranges.length },
        'pipelines of these names have landed the same ranges, each for itself: rows are there twice up to `end`; from now on a blob is landed once for all of them',
      ),
  })
  await committer.open()
  return { committer, encodedFiles: 'by-partition', directories }
}
