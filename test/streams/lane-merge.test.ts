import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { LaneMerge } from '../../src/streams/lane-merge.ts'

interface Item {
  readonly lane: number
  readonly number: number
}

test('every object of every lane arrives once, in the order of its lane', async () => {
  const lanes = fc.array(fc.array(fc.nat({ max: 3 }), { maxLength: 6 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(lanes, fc.boolean(), async (pausesOfLanes, closeFirst) => {
      const merge = new LaneMerge()
      const running = pausesOfLanes.map((pauses, lane) =>
        pipeline(Readable.from(slowly(pauses, lane), { objectMode: true }), merge.inlet()),
      )
      if (closeFirst) merge.close()
      else void Promise.all(running).then(() => merge.close())
      const items = (await merge.toArray()) as Item[]
      await Promise.all(running)
      for (const [lane, pauses] of pausesOfLanes.entries()) {
        assert.deepEqual(
          items.filter((item) => item.lane === lane).map(({ number }) => number),
          pauses.map((_pause, number) => number),
        )
      }
      assert.equal(items.length, pausesOfLanes.flat().length)
    }),
    { numRuns: 50 },
  )
})

test('each lane has at most one object here that was not taken', async () => {
  const merge = new LaneMerge()
  const given = [0, 0, 0]
  const taken = [0, 0, 0]
  const running = given.map((_count, lane) => pipeline(Readable.from(counted(lane, given)), merge.inlet()))
  merge.close()
  for await (const { lane } of merge as AsyncIterable<Item>) {
    taken[lane] = (taken[lane] ?? 0) + 1
    await turns(3)
    for (const [index, count] of given.entries()) {
      // One waits here, one in the lane's own inlet, one in its source's buffer.
      assert.ok(count - (taken[index] ?? 0) <= 4, `lane ${index} is ${count - (taken[index] ?? 0)} ahead`)
    }
  }
  await Promise.all(running)
  assert.deepEqual(taken, [20, 20, 20])
})

test('an object is acknowledged when it was taken, not before', async () => {
  const merge = new LaneMerge()
  const inlet = merge.inlet()
  const acknowledged: number[] = []
  for (const number of [1, 2, 3]) inlet.write(number, () => acknowledged.push(number))
  await turns(3)
  assert.deepEqual(acknowledged, [])
  // The first read asks for one object ahead.
  assert.equal(await nextOf(merge), 1)
  await turns(3)
  assert.deepEqual(acknowledged, [1, 2])
})

test('while both have something, no lane overtakes another twice in a row', async () => {
  const merge = new LaneMerge()
  const given = [0, 0]
  const running = given.map((_count, lane) => pipeline(Readable.from(counted(lane, given)), merge.inlet()))
  merge.close()
  const order: number[] = []
  for await (const { lane } of merge as AsyncIterable<Item>) {
    order.push(lane)
    await turns(3)
  }
  await Promise.all(running)
  const runs = order.join('').match(/0+|1+/g) ?? []
  assert.ok(
    runs.every((run) => run.length <= 2),
    order.join(''),
  )
})

test('the stream ends when it is closed and every lane has ended, and not before', async () => {
  const merge = new LaneMerge()
  let ended = false
  merge.on('end', () => {
    ended = true
  })
  merge.resume()
  const [first, second] = [merge.inlet(), merge.inlet()]
  first.end()
  merge.close()
  await turns(5)
  assert.equal(ended, false)
  second.end('last')
  await once(merge, 'end')
})

test('a stream that has lost its last lane waits for the next one', async () => {
  const merge = new LaneMerge()
  const items = merge.toArray()
  await pipeline(Readable.from(['first']), merge.inlet())
  await turns(5)
  await pipeline(Readable.from(['second']), merge.inlet())
  merge.close()
  assert.deepEqual(await items, ['first', 'second'])
})

test('a stream without lanes ends when it is closed', async () => {
  const merge = new LaneMerge()
  merge.close()
  assert.deepEqual(await merge.toArray(), [])
})

test('an error in one lane leaves the others to go on', async () => {
  const merge = new LaneMerge()
  const failing = pipeline(
    Readable.from(
      (function* () {
        yield { lane: 0, number: 0 }
        throw new Error('this lane fails')
      })(),
    ),
    merge.inlet(),
  )
  const running = pipeline(Readable.from(slowly([1, 1, 1, 1], 1)), merge.inlet())
  merge.close()
  const [items] = await Promise.all([merge.toArray(), assert.rejects(failing, /this lane fails/), running])
  assert.deepEqual(
    (items as Item[]).filter(({ lane }) => lane === 1).map(({ number }) => number),
    [0, 1, 2, 3],
  )
})

test('an object that a lane offered before it failed is not taken', async () => {
  const merge = new LaneMerge()
  const taken: string[] = []
  const failing = merge.inlet<string>((value) => taken.push(value))
  const running = merge.inlet<string>((value) => taken.push(value))
  failing.on('error', () => {})
  failing.write('offered by the lane that fails')
  running.write('offered by the lane that goes on')
  failing.destroy(new Error('this lane fails'))
  await turns(1)
  running.end()
  merge.close()
  assert.deepEqual(await merge.toArray(), ['offered by the lane that goes on'])
  assert.deepEqual(taken, ['offered by the lane that goes on'])
})

test('an object that still waits when the stream is destroyed does not count as taken', async () => {
  const merge = new LaneMerge()
  const taken: string[] = []
  const inlet = merge.inlet<string>((value) => taken.push(value))
  const failed = once(inlet, 'error')
  merge.on('error', () => {})
  inlet.write('waits')
  merge.destroy(new Error('the sink failed'))
  await failed
  assert.deepEqual(taken, [])
})

test('a destroyed stream fails the lanes that wait and those that write later', async () => {
  const merge = new LaneMerge()
  const waiting = merge.inlet()
  const later = merge.inlet()
  const failures = [once(waiting, 'error'), once(later, 'error')]
  waiting.write('waits')
  merge.once('error', () => {})
  merge.destroy(new Error('the sink failed'))
  later.write('comes later')
  const [[first], [second]] = (await Promise.all(failures)) as [[Error], [Error]]
  assert.equal(first.message, 'the sink failed')
  assert.equal(second.message, 'The merged stream is closed.')
})

async function* slowly(pauses: readonly number[], lane: number): AsyncGenerator<Item> {
  for (const [number, pause] of pauses.entries()) {
    await turns(pause)
    yield { lane, number }
  }
}

function* counted(lane: number, given: number[]): Generator<Item> {
  for (let number = 0; number < 20; number += 1) {
    given[lane] = number + 1
    yield { lane, number }
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

async function nextOf(stream: Readable): Promise<unknown> {
  for (;;) {
    const value: unknown = stream.read()
    if (value !== null) return value
    await once(stream, 'readable')
  }
}
