import assert from 'node:assert/strict'
import { join } from 'node:path'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import type { Clock } from '../../../src/clock.ts'
import { resolveConfig } from '../../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../../src/config/resolved.ts'
import type { Logger } from '../../../src/reporting/logger.ts'
import { Pipeline } from '../../../src/run/pipeline.ts'
import type { DeltaSinkConfig } from '../../../src/sinks/delta/options.ts'
import { AzureBlobReader } from '../../../src/sources/readers/azure-blob-reader.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { BlobService } from '../blob-service/blob-service.ts'
import { inMemoryContainer } from '../blob-service/in-memory-http-client.ts'
import type { StorageServer } from '../blob-service/protocol.ts'
import { HastyClock } from '../hasty-clock.ts'
import { assertLandedOnce, mirroredOffset } from '../landed-once.ts'
import { LogGenerator } from '../log-lines.ts'
import { containerName } from '../storage.ts'
import { readTable } from '../table-rows.ts'

const pipelineName = 'primary'

/** Limits of a storage request that stalls; a healthy one over memory that takes longer is repeated, too. */
const stallMs = 250

/** Some blobs in memory, and what lands them in this process into a Delta table below a directory. */
export interface LandingWorld {
  /** Holds the lakehouse and the state directory, and nothing else. */
  readonly directory: string
  readonly service: BlobService
  readonly blobs: readonly string[]
}

export interface LandingOptions {
  /** Stands between the pipeline and the blobs. Default: nothing. */
  readonly storage?: StorageServer
  readonly clock?: Clock
  readonly logger: Logger
  /** Where the table is. Default: in the world's directory. */
  readonly lakehouse?: Pick<DeltaSinkConfig, 'root' | 'storage'>
  /** Aborted to end the run at once. */
  readonly signal?: AbortSignal
}

/** @returns a world whose directory does not exist yet, with a few blobs of some lines each, by the seed */
export function landingWorld(directory: string, seed: number, blobCount = 3): LandingWorld {
  const service = new BlobService(new HastyClock())
  service.createContainer(containerName)
  const random = seededRandom(seed)
  const generator = new LogGenerator(random)
  const blobs = ['a.ndjson', 'b.ndjson', 'c.ndjson'].slice(0, blobCount)
  for (const name of blobs)
    service.create(containerName, `logs/${name}`, generator.lines(random.between(6, 14)))
  return { directory, service, blobs: blobs.map((name) => `logs/${name}`) }
}

/** @returns the same blobs before another directory */
export function inDirectory(world: LandingWorld, directory: string): LandingWorld {
  return { ...world, directory }
}

/**
 * Opens the pipeline and lands all complete lines, in batches of a few rows.
 *
 * @throws what ends the pipeline
 */
export async function landWorld(world: LandingWorld, options: LandingOptions): Promise<void> {
  // The clock's timers keep no process alive, and there is no socket that would.
  const alive = setInterval(() => {}, 60_000)
  try {
    await openAndRun(world, options)
  } finally {
    clearInterval(alive)
  }
}

async function openAndRun(world: LandingWorld, options: LandingOptions): Promise<void> {
  const { storage = world.service, clock = new HastyClock(), logger, signal } = options
  const config = configOf(world, options.lakehouse)
  const pipeline = await Pipeline.open({
    name: pipelineName,
    config: config.pipelines[pipelineName]!,
    shared: config,
    reader: new AzureBlobReader(inMemoryContainer(storage, containerName, clock), {
      firstByteMs: stallMs,
      idleMs: stallMs,
      clock,
    }),
    succeededSince: () => true,
    follow: false,
    signal,
    clock,
    logger,
  })
  const abort = (): void => pipeline.abort()
  signal?.addEventListener('abort', abort)
  try {
    await pipeline.run()
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** Asserts that the table holds every complete line once, and that the offset file says so. */
export async function assertWorldLanded(world: LandingWorld): Promise<void> {
  const rows = await readTable(tableDirectoryOf(world))
  for (const blob of world.blobs) assertLandedOnce(blob, world.service.content(containerName, blob), rows)
  await assertWorldMirrored(world)
}

/** Asserts that the offset file says that every complete line is landed. */
export async function assertWorldMirrored(world: LandingWorld): Promise<void> {
  const path = join(stateDirectoryOf(world), `${pipelineName}.offset.json`)
  for (const blob of world.blobs) {
    const end = world.service.content(containerName, blob).lastIndexOf(0x0a) + 1
    assert.equal(await mirroredOffset(path, blob), end)
  }
}

export function tableDirectoryOf({ directory }: LandingWorld): string {
  return join(directory, 'lakehouse', 'test', 'logs', pipelineName)
}

export function stateDirectoryOf({ directory }: LandingWorld): string {
  return join(directory, 'state')
}

function configOf(world: LandingWorld, lakehouse: LandingOptions['lakehouse']): ResolvedConfig {
  return resolveConfig(
    {
      pipelines: {
        [pipelineName]: {
          source: { storage: { kind: 'embedded' }, container: containerName, blobs: 'logs/' },
          table: postgresLogs(`test.logs.${pipelineName}`),
          sink: {
            kind: 'delta',
            optimize: false,
            ...(lakehouse ?? { root: join(world.directory, 'lakehouse') }),
          },
          batch: { maxRows: 8, maxAgeMs: 60_000 },
        },
      },
      stateDirectory: stateDirectoryOf(world),
      disk: { minFreeBytes: 0 },
    },
    world.directory,
  )
}
