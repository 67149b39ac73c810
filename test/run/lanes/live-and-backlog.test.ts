import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../../src/clock.ts'
import { TailraceError } from '../../../src/errors.ts'
import type { ListedPage, ListRequest } from '../../../src/sources/blob-reader.ts'
import { dayPath, hourMs } from '../../../src/sources/discovery/azure-monitor-layout.ts'
import { Landing, schedule, until, untilWhole } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

test('a blob that is created while a backlog is read does not wait for the backlog', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (let blob = 1_000; blob < 1_600; blob += 1) reader.append(`p/${blob}`, 200)
  const lanes = schedule(reader, landing, { maxLanes: 4, blockMs: 15 })
  const running = lanes.run()
  await until(() => landing.offsets.blobCount > 40, 'a part of the backlog is read')
  reader.append('p/1600', 1, 'live')
  await until(() => landing.textOf('p/1600') === '{"live":0}\n', 'the new blob is read')
  const begun = landing.offsets.blobCount
  lanes.stop()
  await running
  assert.ok(begun < 300, `${begun} of 601 blobs were read before the new one`)
})

test('the newest blob does not wait for a backlog larger than the queue, which is then read whole', {
  timeout: 120_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (let blob = 1_000; blob < 1_900; blob += 1) reader.append(`p/${blob}`, 20)
  const lanes = schedule(reader, landing, { maxLanes: 8, maxQueued: 200 })
  const running = lanes.run()
  await until(() => landing.offsets.of('logs/p/1899').length > 0, 'the newest is read')
  const begun = landing.offsets.blobCount
  assert.ok(begun < 200, `${begun} blobs were read before the newest`)
  await until(() => landing.offsets.blobCount === 900, 'all are read')
  lanes.stop()
  await running
})

const resourceId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg'
const folder = `resourceId=${resourceId.toUpperCase()}/`

/** Lists folders as well. */
class Hours extends MemoryContainer {
  override async listPage(request: ListRequest): Promise<ListedPage> {
    if (request.folders !== true) return super.listPage(request)
    const end = folder.indexOf('/', request.prefix.length)
    const folders = folder.startsWith(request.prefix) && end >= 0 ? [folder.slice(0, end + 1)] : []
    return { blobs: [], folders, next: undefined }
  }
}

test('once reads all hours of a server, also when they are more than the queue holds', {
  timeout: 120_000,
}, async () => {
  const reader = new Hours()
  const landing = new Landing()
  const count = 900
  const firstMs = Date.now() - (72 + count) * hourMs
  for (let hour = 0; hour < count; hour += 1) {
    const at = firstMs + hour * hourMs
    const name = `h=${String(new Date(at).getUTCHours()).padStart(2, '0')}/m=00/PT1H.json`
    reader.append(`${folder}${dayPath(at)}${name}`, 1)
  }
  const blobs = { azureMonitor: resourceId }
  await schedule(reader, landing, { follow: false, blobs, blockMs: 0, maxQueued: 200 }).run()
  assert.equal(landing.offsets.blobCount, count)
})

test('the newest of more growing blobs than lanes is read again and again', { timeout: 60_000 }, async () => {
  for (const maxLanes of [1, 2]) {
    const reader = new MemoryContainer()
    const landing = new Landing()
    for (let blob = 0; blob < 6; blob += 1) reader.append(`p/${blob}`, 5)
    const read = reader.read.bind(reader)
    reader.read = async (name, request) => {
      await delay(20, undefined, request.signal === undefined ? {} : { signal: request.signal })
      return read(name, request)
    }
    const lanes = schedule(reader, landing, { maxLanes })
    const running = lanes.run()
    await untilWhole(reader, landing)
    let reads = 0
    let last = landing.textOf('p/0')
    for (let round = 0; round < 20; round += 1) {
      for (const blob of [1, 2, 3, 4, 5, 0]) reader.append(`p/${blob}`, 1, `round${round}`)
      await delay(100)
      if (landing.textOf('p/0') !== last) reads += 1
      last = landing.textOf('p/0')
    }
    lanes.stop()
    await running
    assert.ok(reads >= 3, `read in ${reads} of 20 rounds with ${maxLanes} lanes`)
  }
})

test('throttling of most requests sets no healthy blob aside', { timeout: 60_000 }, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (let blob = 0; blob < 30; blob += 1) reader.append(`p/${100 + blob}`, 100)
  const read = reader.read.bind(reader)
  let requests = 0
  reader.read = async (name, request) => {
    requests += 1
    if (requests % 10 < 7)
      throw new TailraceError('SOURCE_UNAVAILABLE', 'ServerBusy', {
        context: { status: 503, retryAfterMs: 1 },
      })
    return read(name, request)
  }
  const setAside = new Set<string>()
  const lanes = schedule(reader, landing, {
    maxLanes: 16,
    // The same pauses, only shorter.
    clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) },
    onSetAside: (blobs) => {
      for (const { blob } of blobs) setAside.add(blob)
    },
  })
  const running = lanes.run()
  await untilWhole(reader, landing)
  lanes.stop()
  await running
  assert.deepEqual([...setAside], [])
})
