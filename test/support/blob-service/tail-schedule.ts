import type { TestContext } from 'node:test'
import type * as Sdk from '@azure/storage-blob'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import { SimulatedClock } from '../../../doubles/simulated-clock.ts'
import { ContainerConnection } from '../../../src/azure/container-connection.ts'
import { ContainerClient } from '../../../src/azure/sdk.ts'
import { type Clock, systemClock } from '../../../src/clock.ts'
import type { AppendBlobTailerOptions } from '../../../src/sources/append-blob-tailer.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import { AzureBlobReader } from '../../../src/sources/readers/azure-blob-reader.ts'
import { BlobService } from './blob-service.ts'
import { describePlan, drawFaultPlan, type FaultKind, type PlanLimits } from './fault-plan.ts'
import { followWatchedBlob, type Pace } from './follow-watched-blob.ts'
import { inMemoryContainer } from './in-memory-http-client.ts'
import { MisbehavingService } from './misbehaving-service.ts'
import { serveBlobService } from './serve-blob-service.ts'
import { watchedContainer } from './watched-blob.ts'

const inVirtualTime = {
  limits: { requests: 28, waits: { latencyMs: 400, retryAfterMs: 5_000, slowListingMs: 0 } },
  pace: { lookMs: 5_000, patienceMs: 4 * 3_600_000, consumerMs: 2_000 },
  tailer: { pollMs: 2_000, maxPollMs: 4_000 },
}

const inRealTime = {
  limits: { requests: 40, waits: { latencyMs: 2, retryAfterMs: 5, slowListingMs: 0 } },
  pace: { lookMs: 40, patienceMs: 60_000, consumerMs: 2 },
  tailer: { pollMs: 2, maxPollMs: 10, retry: { baseMs: 2, capMs: 10 } },
  // Longer than a busy machine delays an answer that does come.
  deadlines: { firstByteMs: 100, idleMs: 100 },
}

interface Run {
  readonly seed: number
  readonly kinds: readonly FaultKind[]
  readonly clock: Clock
  readonly limits: Omit<PlanLimits, 'kinds'>
  readonly pace: Pace
  readonly tailer: Partial<AppendBlobTailerOptions>
  /** A reader of the container in which the watched blob is. */
  readonly connect: (service: MisbehavingService) => Promise<BlobReader>
}

/**
 * Tails a blob through one seeded schedule of faults and events in virtual time, without sockets.
 *
 * @returns the journal, which is the same at every run of a seed
 * @throws as `run` does
 */
export function runTailSchedule(seed: number, kinds: readonly FaultKind[]): Promise<readonly string[]> {
  const clock = new SimulatedClock()
  const connect = async (service: MisbehavingService): Promise<BlobReader> =>
    new AzureBlobReader(
      renewing(() => inMemoryContainer(service, watchedContainer, clock), clock),
      { clock },
    )
  return withSeededChance(seed, () => clock.run(run({ ...inVirtualTime, seed, kinds, clock, connect })))
}

/** The same in real time over a real server: its requests come when they come, so it is no exact repetition. */
export function runTailScheduleOverSockets(
  t: TestContext,
  seed: number,
  kinds: readonly FaultKind[],
): Promise<readonly string[]> {
  const { deadlines } = inRealTime
  const connect = async (service: MisbehavingService): Promise<BlobReader> => {
    const url = `${await serveBlobService(t, service)}/${watchedContainer}`
    const open = (): Sdk.ContainerClient =>
      new ContainerClient(url, undefined, { retryOptions: { maxTries: 1 } })
    return new AzureBlobReader(renewing(open, systemClock), deadlines)
  }
  return run({ ...inRealTime, seed, kinds, clock: systemClock, connect })
}

/** @throws when a byte is missing, too much, or of another generation, with all that is needed to see it again */
async function run({ seed, kinds, clock, limits, pace, tailer, connect }: Run): Promise<readonly string[]> {
  const plan = drawFaultPlan(seed, { kinds, ...limits })
  const service = new MisbehavingService(new BlobService(clock), plan)
  const random = seededRandom(seed ^ 0x2545_f491)
  const rangeBytes = random.between(random.next() < 0.1 ? 1 : 40, 400)
  try {
    const reader = await connect(service)
    if (random.next() < 0.8) service.watched.happen('append')
    const options = { service, reader, clock, random, pace, tailer: { ...tailer, rangeBytes } }
    service.watched.assertDelivered(await followWatchedBlob(options))
  } catch (error) {
    const journal = service.journal.slice(-80).join('\n')
    throw new Error(
      `${error}\nranges of ${rangeBytes} bytes; ${describePlan(plan)}; TAILRACE_SEED=${seed} repeats it:\n${journal}`,
      { cause: error },
    )
  }
  return service.journal
}

/** A refused request is repeated with a fresh client, as with a token that has expired. */
export function renewing(open: () => Sdk.ContainerClient, clock: Clock): ContainerConnection {
  return new ContainerConnection({
    container: watchedContainer,
    account: 'account',
    open: async () => ({ client: open() }),
    renewable: true,
    clock,
  })
}

/** Retries draw their pauses from the process's own chance: in a schedule, that too comes from the seed. */
export async function withSeededChance<T>(seed: number, work: () => Promise<T>): Promise<T> {
  const { random } = Math
  Math.random = seededRandom(seed).next
  try {
    return await work()
  } finally {
    Math.random = random
  }
}
