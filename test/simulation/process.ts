import { posix } from 'node:path'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig, ResolvedPipeline } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { OffsetFile, type OffsetFileContent } from '../../src/offsets/offset-file.ts'
import { OffsetFileWriter } from '../../src/offsets/offset-file-writer.ts'
import type { Logger } from '../../src/reporting/logger.ts'
import { Pipeline } from '../../src/run/pipeline.ts'
import { FailureFile } from '../../src/run/pipeline-failure.ts'
import type { PipelineResources, PipelineResourcesOptions } from '../../src/run/resources.ts'
import { SupervisedPipeline } from '../../src/run/supervised-pipeline.ts'
import type { TableCommitter } from '../../src/sinks/table-committer.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { countedReader, RequestCounter } from '../../src/sources/readers/counted-reader.ts'
import { observedReader, StorageHealth } from '../../src/sources/readers/observed-reader.ts'
import { DiskSpaceMonitor } from '../../src/streams/staging/disk-space-monitor.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { inMemoryContainer } from '../support/blob-service/in-memory-http-client.ts'
import type { StorageServer } from '../support/blob-service/protocol.ts'
import { renewing } from '../support/blob-service/tail-schedule.ts'
import type { LandedTable } from './landed-whole.ts'
import type { Life } from './machine.ts'
import type { ProcessPlan } from './plan.ts'
import { randomOf } from './plan.ts'
import { RowEncoder } from './row-encoder.ts'
import { container } from './written-blobs.ts'

export const pipelineName = 'rows'

/** What the committer of a process is opened with. */
export interface CommitterContext {
  readonly config: ResolvedPipeline
  readonly staging: Staging
  readonly storedOffsets: OffsetFileContent | undefined | 'corrupt'
  readonly offsets: OffsetFileWriter
}

/** Opens the committer of a process, in place of the sink. */
export type OpenCommitter = (context: CommitterContext, life: Life) => Promise<TableCommitter>

/** The table of a world. */
export interface SimulatedTable {
  readonly visible: LandedTable
  readonly commits: number
  readonly openCommitter: OpenCommitter
}

export interface SimulatedProcessOptions {
  readonly plan: ProcessPlan
  /** The name of `plan.onlyBlob`. */
  readonly blobName: string | undefined
  readonly life: Life
  /** Where the machine's files are for this life. */
  readonly root: string
  readonly server: StorageServer
  readonly openCommitter: OpenCommitter
  readonly seed: number
  readonly logger: Logger
}

/** A process of one pipeline: everything of it but the engine, the machine's files and the services is the product. */
export function simulatedPipeline(options: SimulatedProcessOptions): SupervisedPipeline {
  const { plan, life, root, server, logger } = options
  const { clock } = life
  const shared = configOf(options)
  const resolved = shared.pipelines[pipelineName]!
  // Far below what a config may say, so that small blobs have several ranges.
  const config = { ...resolved, source: { ...resolved.source, rangeBytes: plan.rangeBytes } }
  const connection = renewing(() => inMemoryContainer(server, container, clock), clock)
  const health = new StorageHealth({ account: 'account', clock, logger })
  const reader = observedReader(new AzureBlobReader(connection, { clock }), health)
  const requests = new RequestCounter()
  return new SupervisedPipeline({
    name: pipelineName,
    open: (signal) =>
      Pipeline.open(
        {
          name: pipelineName,
          config,
          shared,
          reader: countedReader(reader, requests),
          succeededSince: (instantMs) => health.succeededSince(instantMs),
          follow: plan.follow,
          signal,
          clock,
          logger,
        },
        (resources) => openSimulated(resources, options),
      ),
    requests,
    restart: plan.follow ? shared.restart : undefined,
    failureFile: new FailureFile(posix.join(root, 'state'), pipelineName),
    clock,
    logger,
  })
}

function configOf({ plan, blobName, root }: SimulatedProcessOptions): ResolvedConfig {
  const { maxRows, maxAgeMs, maxLanes } = plan
  return resolveConfig(
    {
      pipelines: {
        [pipelineName]: {
          source: {
            storage: { kind: 'embedded' },
            container,
            blobs: blobName ?? 'p/',
            maxLanes,
            pollMs: 2_000,
            maxPollMs: 15_000,
            discoverMs: 15_000,
          },
          table: postgresLogs('simulated.logs.rows'),
          sink: { kind: 'delta', root: '/table', optimize: false },
          batch: { maxRows, maxAgeMs },
        },
      },
      stateDirectory: posix.join(root, 'state'),
      disk: { minFreeBytes: 0 },
    },
    root,
  )
}

/** As `openResources` does it, with an encoder that needs no engine and a table in memory. */
async function openSimulated(
  { name, config, shared, clock, logger }: PipelineResourcesOptions,
  { life, openCommitter, seed }: SimulatedProcessOptions,
): Promise<PipelineResources> {
  const staging = new Staging(posix.join(shared.stateDirectory, 'staging', name), shared.disk.expireMs)
  await staging.open()
  await staging.removeExpired(clock.now())
  const offsetFile = new OffsetFile({
    stateDirectory: shared.stateDirectory,
    pipeline: name,
    table: 'simulated',
    clock,
  })
  const storedOffsets = await offsetFile.read().catch((error: unknown) => {
    if (isTailraceError(error, 'OFFSET_FILE_CORRUPT')) return 'corrupt' as const
    throw error
  })
  const { marks = [], intent, unsettled } = storedOffsets === 'corrupt' ? {} : (storedOffsets ?? {})
  const offsets = new OffsetFileWriter({ file: offsetFile, marks, intent, unsettled, clock })
  const committer = await openCommitter({ config, staging, storedOffsets, offsets }, life)
  return {
    staging,
    diskSpace: new DiskSpaceMonitor({
      directories: [staging.directory],
      minFreeBytes: 0,
      checkMs: shared.disk.checkMs,
      removeExpired: () => staging.removeExpired(clock.now()),
      freeBytesOf: async () => Number.MAX_SAFE_INTEGER,
      clock,
      logger,
    }),
    encoder: new RowEncoder(staging.directory, clock, randomOf(seed, `encodings of ${life.id}`)),
    committer,
    takeStoredOffsets: () => storedOffsets,
    offsetFile,
    offsets,
    startUpkeep: undefined,
    close: () => committer.close(),
  }
}
