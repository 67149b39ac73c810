/**
 * A process that is killed in the middle of jobs: `dying-process.ts SPILL`, with one order a line on its standard
 * input and one answer a line on its standard output.
 *
 * Each job goes on to its end, or stops for good between two changes to its table. A kill then meets every job that
 * has stopped, each at its own place and none by luck. To stop before a change is to stop after the one before it.
 */
import { createInterface } from 'node:readline'
import { AzureDeltaStorage } from '../../../src/sinks/delta/storage/azure.ts'
import type { DeltaStorage } from '../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine } from '../../../src/sinks/encoding/engine.ts'
import { CountedChanges, countFileChanges, countRequests } from './counted-changes.ts'
import { type Job, jobs } from './table-jobs.ts'

export interface Order {
  readonly job: Job
  /** A directory, or a folder of the container. */
  readonly table: string
  /** An empty directory. */
  readonly staging: string
  /** Where a table in Azure is. */
  readonly account?: { readonly connectionString: string; readonly container: string }
  /** Whether a directory is as if on a volume of its own. */
  readonly isVolume: boolean
  /** After how many changes it stops; undefined for never. */
  readonly changes?: number
}

export interface Answer {
  readonly changes: readonly string[]
  /** Whether the job came to its end. */
  readonly ended: boolean
}

async function obey(order: Order, engine: EmbeddedEngine): Promise<Answer> {
  const { job, table, staging } = order
  const changes = new CountedChanges(order.changes ?? Number.POSITIVE_INFINITY)
  const storage = await storageAt(order, changes)
  const ended = await Promise.race([
    jobs[job]({
      directory: staging,
      table,
      staging,
      engine,
      storage,
      dataFiles: async () => [],
      committers: [],
    }).then(() => true),
    changes.reached.then(() => false),
  ])
  return { changes: changes.done, ended }
}

async function storageAt(
  { table, staging, account, isVolume }: Order,
  changes: CountedChanges,
): Promise<DeltaStorage> {
  if (account === undefined) {
    countFileChanges({ root: table, changes, isVolume })
    return new LocalDeltaStorage(table)
  }
  const sdk = await import('../../../src/azure/sdk.ts')
  const service = sdk.BlobServiceClient.fromConnectionString(account.connectionString)
  const pipeline = sdk.newPipeline(service.credential, { retryOptions: { maxTries: 1 } })
  pipeline.factories.push(countRequests(table, changes))
  return new AzureDeltaStorage({
    container: new sdk.ContainerClient(`${service.url}/${account.container}`, pipeline),
    folder: table,
    downloadDirectory: staging,
    // Small, so that files travel in blocks.
    blockBytes: 4 * 1024,
  })
}

async function main(temporaryDirectory: string): Promise<void> {
  const engine = await EmbeddedEngine.open({ threads: 1, temporaryDirectory })
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await obey(JSON.parse(line) as Order, engine))}\n`)
  }
}

void main(process.argv[2]!)
