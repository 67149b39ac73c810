import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { SimulatedClock } from '../../doubles/simulated-clock.ts'
import { ContainerClient } from '../../src/azure/sdk.ts'
import { isTailraceError } from '../../src/errors.ts'
import { retry } from '../../src/retry.ts'
import type { BlobReader } from '../../src/sources/blob-reader.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { BlobService } from '../support/blob-service/blob-service.ts'
import {
  type AnswerFault,
  answerFaults,
  drawFaultPlan,
  listingFaults,
  readFaults,
} from '../support/blob-service/fault-plan.ts'
import { inMemoryContainer } from '../support/blob-service/in-memory-http-client.ts'
import { MisbehavingService } from '../support/blob-service/misbehaving-service.ts'
import { serveBlobService } from '../support/blob-service/serve-blob-service.ts'
import { watchedContainer } from '../support/blob-service/watched-blob.ts'

type Ask = (reader: BlobReader) => Promise<unknown>

// Longer than a busy machine delays an answer that does come.
const deadlines = { firstByteMs: 400, idleMs: 400 }
const seeds = [1, 2, 3, 4]
const read: Ask = (reader) => reader.read('watched.json', { offset: 40, maxBytes: 100 })
const list: Ask = (reader) => reader.listPage({ prefix: '', pageNames: 2 })

/** A service whose first answer has the fault, in a world whose time nobody moves. */
function faultyService(fault: AnswerFault, seed: number, clock: SimulatedClock): MisbehavingService {
  const blobs = new BlobService(clock)
  const waits = { latencyMs: 3, retryAfterMs: 5_000, slowListingMs: 20 }
  const service = new MisbehavingService(blobs, { seed, chances: { [fault]: 1 }, untilRequest: 1, waits })
  blobs.create(watchedContainer, 'watched.json', '0123456789'.repeat(20))
  for (const name of ['a&b.json', 'c.json', 'zz.json']) blobs.create(watchedContainer, name, name)
  return service
}

/** What came of it: the answer, or all that is told of the error. */
async function outcome(asked: Promise<unknown>): Promise<unknown> {
  try {
    return await asked
  } catch (error) {
    if (!isTailraceError(error)) throw error
    const { code, message, context } = error
    // The client gives each request another id.
    return { code, message, context: { ...context, clientRequestId: undefined } }
  }
}

async function overSockets(t: TestContext, fault: AnswerFault, seed: number, ask: Ask): Promise<unknown> {
  const url = await serveBlobService(t, faultyService(fault, seed, new SimulatedClock()))
  const client = new ContainerClient(`${url}/${watchedContainer}`, undefined, {
    retryOptions: { maxTries: 1 },
  })
  return outcome(ask(new AzureBlobReader(client, deadlines)))
}

function inMemory(fault: AnswerFault, seed: number, ask: Ask): Promise<unknown> {
  const clock = new SimulatedClock()
  const client = inMemoryContainer(faultyService(fault, seed, clock), watchedContainer, clock)
  return clock.run(outcome(ask(new AzureBlobReader(client, { ...deadlines, clock }))))
}

async function assertAlike(t: TestContext, fault: AnswerFault, ask: Ask): Promise<void> {
  const overSocketsAll = Promise.all(seeds.map((seed) => overSockets(t, fault, seed, ask)))
  const inMemoryAll: unknown[] = []
  for (const seed of seeds) inMemoryAll.push(await inMemory(fault, seed, ask))
  assert.deepEqual(inMemoryAll, await overSocketsAll)
}

for (const fault of [...answerFaults, ...readFaults]) {
  test(`a read that meets ${fault} comes to the same in memory as over a socket`, (t) =>
    assertAlike(t, fault, read))
}

for (const fault of [...answerFaults, ...listingFaults]) {
  test(`a listing that meets ${fault} comes to the same in memory as over a socket`, (t) =>
    assertAlike(t, fault, list))
}

test('a listing whose pages are slow, broken, repeated and reordered still names every blob', async () => {
  const kinds = [...answerFaults, ...listingFaults].filter((kind) => kind !== 'denied-once')
  const waits = { latencyMs: 100, retryAfterMs: 2_000, slowListingMs: 20_000 }
  const repeated: number[] = []
  for (let seed = 1; seed <= 40; seed += 1) {
    const clock = new SimulatedClock()
    const blobs = new BlobService(clock)
    const service = new MisbehavingService(blobs, drawFaultPlan(seed, { kinds, requests: 40, waits }))
    const written = Array.from({ length: 20 }, (_, index) => `${index}.json`)
    for (const name of written) blobs.create(watchedContainer, name)
    const reader = new AzureBlobReader(inMemoryContainer(service, watchedContainer, clock), { clock })
    const names = await clock.run(namesInPages(reader, clock))
    assert.deepEqual(new Set(names), new Set(written), service.journal.join('\n'))
    repeated.push(names.length - written.length)
  }
  assert.ok(repeated.some((count) => count > 0))
})

async function namesInPages(reader: BlobReader, clock: SimulatedClock): Promise<readonly string[]> {
  const names: string[] = []
  for (let marker: string | undefined; ; ) {
    const request = { prefix: '', pageNames: 3, ...(marker === undefined ? {} : { marker }) }
    const page = await retry(() => reader.listPage(request), { clock })
    names.push(...page.blobs.map(({ name }) => name))
    if (page.next === undefined) return names
    marker = page.next
  }
}
