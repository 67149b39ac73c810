import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { TailraceError } from '../../../src/errors.ts'
import type { SetAsideBlob } from '../../../src/run/lanes/lane-schedule.ts'
import { Landing, schedule, until, untilWhole } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

test('more growing blobs than lanes are all read to their ends, once', { timeout: 60_000 }, async () => {
  for (const maxLanes of [1, 2, 3]) {
    const reader = new MemoryContainer()
    const landing = new Landing()
    for (let blob = 1; blob <= 7; blob += 1) reader.append(`p/${blob}`, 20_000)
    const lanes = schedule(reader, landing, { maxLanes })
    const running = lanes.run()
    await delay(300)
    for (let blob = 1; blob <= 8; blob += 1) reader.append(`p/${blob}`, 500)
    await untilWhole(reader, landing)
    for (const name of reader.names) assert.equal(landing.textOf(name), reader.content(name).toString())
    assert.ok(lanes.laneCount <= maxLanes)
    lanes.stop()
    await running
  }
})

test('latest leaves out what was there at the first start, whole lines only, and nothing that comes later', {
  timeout: 30_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (let blob = 1; blob <= 30; blob += 1) reader.append(`p/${blob}`, 10)
  reader.appendText('p/7', '{"half":')
  const lanes = schedule(reader, landing, { maxLanes: 4, coldStart: 'latest' })
  const running = lanes.run()
  await until(() => landing.starts.length === 30, 'the starts are recorded')
  reader.appendText('p/7', 'true}\n{"whole":true}\n')
  reader.append('p/8', 1, 'new')
  reader.append('p/new', 3)
  await untilWhole(reader, landing)
  lanes.stop()
  await running
  assert.equal(landing.textOf('p/7'), '{"whole":true}\n')
  assert.equal(landing.textOf('p/8'), '{"new":0}\n')
  assert.equal(landing.textOf('p/new'), reader.content('p/new').toString())
  assert.equal(landing.textOf('p/9'), '')
})

test('a restart asks for nothing of what has landed but what it follows', async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (let blob = 100; blob < 160; blob += 1) reader.append(`p/${blob}`, 3)
  await schedule(reader, landing, { follow: false }).run()
  await untilWhole(reader, landing)
  reader.reads.length = 0
  await schedule(reader, landing, { follow: false }).run()
  assert.deepEqual(reader.reads, [])
  reader.append('p/120', 1)
  await schedule(reader, landing, { follow: false }).run()
  assert.deepEqual(new Set(reader.reads), new Set(['p/120']))
  assert.equal(landing.textOf('p/120'), reader.content('p/120').toString())
})

test('the backlog goes oldest name first, in bounded memory, and the newest blobs do not wait for it', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (let blob = 1_000; blob < 1_300; blob += 1) reader.append(`p/${blob}`, 200)
  const lanes = schedule(reader, landing, { maxLanes: 4, blockMs: 15 })
  const running = lanes.run()
  await until(() => landing.order.length > 20, 'a part of the backlog is read')
  reader.append('p/1299', 1, 'live')
  await until(() => landing.textOf('p/1299').endsWith('{"live":0}\n'), 'the newest blob is up to date')
  const begun = [...new Set(landing.order.map(({ blob }) => blob))]
  assert.ok(begun.length < 200, `${begun.length} of 300 were read before the newest was`)
  const backlog = begun.filter((blob) => blob < 'logs/p/1290')
  for (let index = 3; index < backlog.length; index += 1) {
    // Three lanes of the backlog at a time: nothing can be further out of order.
    assert.ok(Number(backlog[index]?.slice(-4)) - 1_000 <= index + 3)
  }
  lanes.stop()
  await running
})

test('a blob replaced in any way is read whole as a new generation, and the old rows stay', {
  timeout: 60_000,
}, async () => {
  for (const keepsInstant of [false, true]) {
    for (const content of ['{"n":1}\n', `{"n":2}\n${'{"more":"of it"}\n'.repeat(40)}`]) {
      const reader = new MemoryContainer()
      const landing = new Landing()
      reader.append('p/a', 20)
      reader.append('p/b', 20)
      const old = reader.content('p/a').toString()
      // While it is followed, and between two runs.
      for (const isRunning of [true, false]) {
        const lanes = schedule(reader, landing, { maxLanes: 3 })
        const running = lanes.run()
        await untilWhole(reader, landing)
        if (!isRunning) {
          lanes.stop()
          await running
          break
        }
        reader.replace('p/a', content, keepsInstant)
        await until(() => landing.textOf('p/a') === old + content, 'the new generation is read')
        lanes.stop()
        await running
      }
      const generations = landing.offsets.of('logs/p/a').map(({ generation }) => generation)
      assert.equal(generations.length, 2)
      assert.equal(generations[1]?.endsWith('.2'), keepsInstant)

      reader.replace('p/a', `{"again":1}\n${content}`, keepsInstant)
      await schedule(reader, landing, { follow: false }).run()
      assert.equal(landing.textOf('p/a'), `${old}${content}{"again":1}\n${content}`)
    }
  }
})

test('a blob copied back with the same content goes on where it was', async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  reader.append('p/a', 20)
  await schedule(reader, landing, { follow: false }).run()
  reader.replace('p/a', `${reader.content('p/a')}{"next":1}\n`, false)
  await schedule(reader, landing, { follow: false }).run()
  assert.equal(landing.textOf('p/a'), reader.content('p/a').toString())
  assert.equal(landing.offsets.of('logs/p/a').length, 1)
})

test('a blob that fails while others succeed is set aside, its neighbors go on, and it is taken up again', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  for (const name of ['p/a', 'p/b', 'p/c']) reader.append(name, 10)
  reader.failing.set('p/b', new TailraceError('SOURCE_UNSUPPORTED', 'p/b is archived.'))
  const told: (readonly SetAsideBlob[])[] = []
  const lanes = schedule(reader, landing, { onSetAside: (blobs) => void told.push(blobs) })
  const running = lanes.run()
  await until(() => lanes.setAside.length === 1, 'it is set aside')
  assert.equal(told.at(-1)?.[0]?.blob, 'p/b')
  assert.equal(told.at(-1)?.[0]?.reason, 'p/b is archived.')
  reader.append('p/c', 1, 'later')
  await until(() => landing.textOf('p/c').endsWith('{"later":0}\n'), 'its neighbor goes on')
  reader.failing.clear()
  // What was refused is looked at again when it changes.
  reader.append('p/b', 1, 'later')
  await untilWhole(reader, landing)
  assert.deepEqual(lanes.setAside, [])
  lanes.stop()
  await running
})

test('in an outage nothing is set aside', { timeout: 60_000 }, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  reader.append('p/a', 10)
  reader.failing.set(
    'p/a',
    new TailraceError('SOURCE_UNAVAILABLE', 'an outage', { context: { retryAfterMs: 1 } }),
  )
  const lanes = schedule(reader, landing, { succeededSince: () => false })
  const running = lanes.run()
  await until(() => reader.reads.length > 4, 'it is tried again and again')
  assert.deepEqual(lanes.setAside, [])
  reader.failing.clear()
  await untilWhole(reader, landing)
  lanes.stop()
  await running
})

test('many blobs that grow at once are found by listings, not by polls of each', {
  timeout: 60_000,
}, async (t) => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  const names = Array.from({ length: 40 }, (_, index) => `p/${100 + index}`)
  for (const name of names) reader.append(name, 3)
  const lanes = schedule(reader, landing, { maxLanes: 8, discoverMs: 200 })
  t.after(() => lanes.stop())
  const running = lanes.run()
  await untilWhole(reader, landing)
  for (let round = 0; round < 5; round += 1) {
    for (const name of names) reader.append(name, 2, `round${round}`)
    await untilWhole(reader, landing)
  }
  for (const name of names) assert.equal(landing.textOf(name), reader.content(name).toString())
  // What is under way ends. Polls of each blob would go on.
  for (let round = 0; round < 10; round += 1) {
    reader.reads.length = 0
    await delay(400)
    if (reader.reads.length === 0) break
  }
  assert.deepEqual(reader.reads, [])
  reader.listings = 0
  await delay(1_500)
  assert.deepEqual(reader.reads, [])
  assert.ok(reader.listings > 0)
  lanes.stop()
  await running
})
