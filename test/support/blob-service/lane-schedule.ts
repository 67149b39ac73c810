import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import { SimulatedClock } from '../../../doubles/simulated-clock.ts'
import type { Clock } from '../../../src/clock.ts'
import { AzureBlobReader } from '../../../src/sources/readers/azure-blob-reader.ts'
import { Landing, schedule } from '../../lanes/lane-fixture.ts'
import { BlobService } from './blob-service.ts'
import { assertGenerationsDelivered } from './delivered-generations.ts'
import { describePlan, drawFaultPlan, type FaultKind } from './fault-plan.ts'
import { inMemoryContainer } from './in-memory-http-client.ts'
import { MisbehavingService } from './misbehaving-service.ts'
import { renewing, withSeededChance } from './tail-schedule.ts'
import { watchedContainer, watchedName } from './watched-blob.ts'

const limits = { requests: 40, waits: { latencyMs: 400, retryAfterMs: 5_000, slowListingMs: 20_000 } }
const paces = { pollMs: 2_000, maxPollMs: 4_000, discoverMs: 5_000 }
const lookMs = 10_000
const patienceMs = 12 * 3_600_000
const mostKills = 3

/**
 * Lands a prefix whose blob goes through one seeded schedule of faults and events, in virtual time, by a process that
 * is killed now and then: listing, recognizing, lanes and what is in flight, all but the table itself.
 *
 * @throws when a line is missing, too much, or of another generation, with all that is needed to see it again
 */
export function runLaneSchedule(seed: number, kinds: readonly FaultKind[]): Promise<readonly string[]> {
  const clock = new SimulatedClock()
  return withSeededChance(seed, () => clock.run(run(seed, kinds, clock)))
}

async function run(seed: number, kinds: readonly FaultKind[], clock: Clock): Promise<readonly string[]> {
  const plan = drawFaultPlan(seed, { kinds, ...limits })
  const blobs = new BlobService(clock)
  const service = new MisbehavingService(blobs, plan)
  const random = seededRandom(seed ^ 0x1f3d_5b79)
  const reader = new AzureBlobReader(
    renewing(() => inMemoryContainer(service, watchedContainer, clock), clock),
    { clock },
  )
  if (random.next() < 0.8) service.watched.happen('append')
  let landing = new Landing()
  try {
    for (let kills = 0; ; kills += 1) {
      // What a killed process still had in flight is gone with it.
      landing.isHeld = random.next() < 0.5
      const lanes = schedule(reader, landing, { blobs: '*.json', clock, blockMs: 0, ...paces })
      let failure: unknown
      const running = lanes.run().catch((error: unknown) => {
        failure = error
      })
      const isLast = kills === mostKills || service.calm
      if (isLast) await settle(service, clock, landing, () => failure)
      else await clock.sleep(random.between(1_000, 60_000))
      lanes.recordMarks()
      const next = landing.afterKill()
      lanes.stop()
      await running
      if (failure !== undefined) throw failure
      if (isLast) break
      landing = next
      service.journal.push(`killed at ${clock.now()}`)
    }
    assertLanded(blobs, landing, service.watched.exists)
  } catch (error) {
    const journal = service.journal.slice(-80).join('\n')
    throw new Error(`${error}\n${describePlan(plan)}; TAILRACE_SEED=${seed} repeats it:\n${journal}`, {
      cause: error,
    })
  }
  return service.journal
}

/** Waits until the service behaves and every complete line that is there has landed. */
async function settle(
  service: MisbehavingService,
  clock: Clock,
  landing: Landing,
  failure: () => unknown,
): Promise<void> {
  landing.isHeld = false
  const untilMs = clock.now() + patienceMs
  while (!service.calm && clock.now() < untilMs && failure() === undefined) await clock.sleep(lookMs)
  service.calmDown()
  service.watched.happen('append')
  for (let atRest = 0; atRest < 3 && clock.now() < untilMs && failure() === undefined; ) {
    await clock.sleep(lookMs)
    await turn()
    const wanted = linesOf(service.watched.content).toString('latin1')
    atRest = wanted === '' || landing.lastTextOf(watchedName) === wanted ? atRest + 1 : 0
  }
}

function assertLanded(blobs: BlobService, landing: Landing, exists: boolean): void {
  const generations = blobs
    .generations(watchedContainer, watchedName)
    .map((generation) => ({ ...generation, content: linesOf(generation.content) }))
  const deliveries = landing.generationsOf(watchedName).map(({ generation, text }) => ({
    generation,
    bytes: Buffer.from(text, 'latin1'),
  }))
  assert.ok(
    deliveries.length > 0 || !exists || generations.at(-1)?.content.length === 0,
    'nothing has landed',
  )
  assertGenerationsDelivered(generations, deliveries, exists)
}

function linesOf(content: Buffer): Buffer {
  return content.subarray(0, content.lastIndexOf(0x0a) + 1)
}
