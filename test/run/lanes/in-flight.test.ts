import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { TailraceError } from '../../../src/errors.ts'
import type { SetAsideBlob } from '../../../src/run/lanes/lane-schedule.ts'
import type { BlobRead, ReadRequest } from '../../../src/sources/blob-reader.ts'
import { ByteBudget } from '../../../src/sources/tailing/byte-budget.ts'
import { Landing, schedule, until, untilWhole } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

/** Lets a test answer some reads of a container in its own way. */
function intercept(
  reader: MemoryContainer,
  answer: (name: string, request: ReadRequest) => BlobRead | undefined,
): void {
  const read = reader.read.bind(reader)
  reader.read = async (name, request) => answer(name, request) ?? read(name, request)
}

/** A blob of ten lines that has been read, by lanes that go on, and of which nothing has landed. */
async function readNotLanded() {
  const reader = new MemoryContainer()
  const landing = new Landing()
  landing.isHeld = true
  reader.append('p/a', 10)
  const lanes = schedule(reader, landing)
  const running = lanes.run()
  await until(() => landing.order.length > 0, 'it is read')
  await delay(300)
  return { reader, landing, lanes, running }
}

test('a lane that fails while the sink is slow loses nothing and repeats nothing', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  reader.append('p/a', 100_000)
  reader.append('p/b', 5)
  let isFailing = true
  intercept(reader, (name, { offset }) => {
    if (isFailing && name === 'p/a' && offset > 600_000)
      throw new TailraceError('SOURCE_UNSUPPORTED', 'archived meanwhile')
    return undefined
  })
  const lanes = schedule(reader, landing, { blockMs: 50, maxLanes: 4 })
  const running = lanes.run()
  await until(() => lanes.setAside.length === 1, 'it is set aside')
  isFailing = false
  reader.append('p/a', 1, 'later')
  await untilWhole(reader, landing)
  lanes.stop()
  await running
  assert.equal(landing.textOf('p/a'), reader.content('p/a').toString())
})

test('the whole members before a damaged one land, also when the sink is slow', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  const lines = Array.from({ length: 12 }, (_, number) => `{"n":${number}}\n`)
  reader.appendText('p/b.gz', Buffer.concat([...lines.map((line) => gzipSync(line)), Buffer.from('no gzip')]))
  const lanes = schedule(reader, landing, { blockMs: 30 })
  const running = lanes.run()
  await until(() => lanes.setAside.length === 1, 'it is set aside')
  lanes.stop()
  await running
  assert.equal(landing.textOf('p/b.gz'), lines.join(''))
})

test('a blob that seems gone while its lines are in flight is not read again', {
  timeout: 30_000,
}, async () => {
  const { reader, landing, lanes, running } = await readNotLanded()
  let misses = 1
  intercept(reader, () => {
    if (misses === 0) return undefined
    misses -= 1
    return { kind: 'missing', what: 'blob' }
  })
  await until(() => misses === 0, 'it seems gone')
  await delay(500)
  reader.append('p/a', 1, 'later')
  await until(() => landing.textOf('p/a').endsWith('{"later":0}\n'), 'it goes on')
  lanes.stop()
  await running
  assert.equal(landing.textOf('p/a'), reader.content('p/a').toString())
})

test('a blob deleted and copied back while its lines are in flight goes on where it was', {
  timeout: 30_000,
}, async () => {
  const { reader, landing, lanes, running } = await readNotLanded()
  const content = reader.content('p/a').toString()
  reader.remove('p/a')
  await delay(400)
  reader.replace('p/a', `${content}{"later":0}\n`, false)
  await until(() => landing.textOf('p/a').endsWith('{"later":0}\n'), 'it goes on')
  lanes.stop()
  await running
  assert.equal(landing.textOf('p/a'), reader.content('p/a').toString())
})

test('a blob overwritten between the look at it and its first bytes lands once', {
  timeout: 30_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  // Too long to be read with its head in one request.
  reader.append('p/a', 100_000, 'old')
  let isSwapped = false
  intercept(reader, (_name, { maxBytes }) => {
    if (isSwapped || maxBytes < 1_000) return undefined
    isSwapped = true
    reader.replace('p/a', '{"new":1}\n'.repeat(30), true)
    return undefined
  })
  for (let run = 0; run < 3; run += 1) {
    await schedule(reader, landing, { follow: false, pollMs: 100 }).run()
    if (run === 1) reader.append('p/a', 1, 'later')
  }
  assert.equal(landing.textOf('p/a'), reader.content('p/a').toString())
})

test('a blob followed, killed and copied back meanwhile is not read twice', { timeout: 30_000 }, async () => {
  for (const blobs of ['p/', 'p/a']) {
    const reader = new MemoryContainer()
    const landing = new Landing()
    reader.append('p/a', 20)
    const lanes = schedule(reader, landing, { blobs })
    const running = lanes.run()
    await untilWhole(reader, landing)
    for (let growth = 0; growth < 3; growth += 1) {
      reader.append('p/a', 5, `more${growth}`)
      await untilWhole(reader, landing)
    }
    // What a pipeline does before it writes the offset file.
    lanes.recordMarks()
    const next = landing.afterKill()
    const content = reader.content('p/a').toString()
    reader.replace('p/a', content, false)
    await schedule(reader, next, { follow: false, blobs }).run()
    assert.equal(next.textOf('p/a'), content)
    lanes.stop()
    await running
  }
})

test('failures count in a row, and the list of blobs set aside is told whenever it changes', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  reader.append('p/a', 10)
  reader.append('p/b', 10)
  const told: (readonly SetAsideBlob[])[] = []
  const lanes = schedule(reader, landing, { onSetAside: (blobs) => void told.push(blobs) })
  const running = lanes.run()
  await untilWhole(reader, landing)
  for (let round = 0; round < 3; round += 1) {
    reader.failing.set('p/b', new TailraceError('SOURCE_UNSUPPORTED', 'for now'))
    reader.append('p/b', 1, `failing${round}`)
    await until(() => lanes.setAside.length === 1, 'it is set aside')
    reader.failing.clear()
    reader.append('p/b', 1, `round${round}`)
    await untilWhole(reader, landing)
    await until(() => told.at(-1)?.length === 0, 'it is told that none is left')
  }
  lanes.stop()
  await running
  assert.deepEqual(new Set(told.flat().map(({ failures }) => failures)), new Set([1]))
})

test('a small blob that begins is read in one request, and gives back what it takes of the budget', {
  timeout: 30_000,
}, async () => {
  for (const rows of [1, 20, 50_000, 90_000]) {
    const reader = new MemoryContainer()
    const landing = new Landing()
    reader.append('p/a', rows)
    let requests = 0
    intercept(reader, () => {
      requests += 1
      return undefined
    })
    const budget = new ByteBudget(64 * 1024)
    await schedule(reader, landing, { follow: false, budget }).run()
    assert.equal(landing.textOf('p/a'), reader.content('p/a').toString())
    assert.equal(budget.heldBytes, 0)
    if (reader.content('p/a').length <= 1024 * 1024) assert.equal(requests, 1)
    else assert.ok(requests > 1)
  }
})
