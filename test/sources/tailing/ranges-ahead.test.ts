import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ByteBudget } from '../../../src/sources/tailing/byte-budget.ts'
import {
  type RangeAnswer,
  RangesAhead,
  type RangesAheadOptions,
} from '../../../src/sources/tailing/ranges-ahead.ts'
import type { BytesRead } from '../../../src/sources/tailing/read-position.ts'
import { VirtualClock } from '../../streams/virtual-clock.ts'
import { ScriptedReader, unavailable } from '../scripted-reader.ts'

const content = '0123456789'.repeat(100)

function rangesOf(more: Partial<RangesAheadOptions> = {}) {
  const reader = new ScriptedReader(content)
  const budget = more.budget ?? new ByteBudget(10_000)
  const clock = new VirtualClock()
  const ending = new AbortController()
  const ranges = new RangesAhead({
    reader,
    blobName: 'a',
    rangeBytes: 100,
    readsAhead: 2,
    budget,
    urgent: true,
    signal: ending.signal,
    clock,
    retry: {},
    giveUp: () => false,
    onRetry: () => {},
    ...more,
  })
  const requested = () => reader.requests.map(({ offset, maxBytes }) => [offset, offset + maxBytes])
  return { reader, budget, clock, ending, ranges, requested }
}

function readOf(start: number, end: number): BytesRead {
  const bytes = Buffer.from(content.slice(start, end))
  return { kind: 'bytes', bytes, totalBytes: 1_000, etag: '"1"', createdAt: 'now', blobType: 'append' }
}

function textOf({ read, overlap }: RangeAnswer): string {
  return read.kind === 'bytes' ? read.bytes.toString('latin1', overlap) : read.kind
}

test('a range is requested with up to 64 bytes before it, and its bytes are counted until they are given back', async () => {
  const { ranges, budget, requested } = rangesOf()
  const answer = await ranges.take(200, 1_000)
  assert.equal(textOf(answer), content.slice(200, 300))
  assert.deepEqual([answer.overlap, answer.isEarly, requested()], [64, false, [[136, 300]]])
  assert.equal(budget.heldBytes, 164)
  ranges.keepOnly(1_000)
  assert.equal(budget.heldBytes, 164)
  ranges.keepOnly(100)
  assert.equal(budget.heldBytes, 100)
  ranges.keepOnly(0)
  ranges.keepOnly(0)
  assert.equal(budget.heldBytes, 0)
})

test('a range that was read before is taken without a request, and is counted if there is room', async () => {
  for (const [limitBytes, held] of [
    [10_000, 50],
    [40, 50],
    [60, 0],
  ] as const) {
    const budget = new ByteBudget(limitBytes)
    const other = held === 0 ? 40 : 0
    if (other > 0) assert.ok(budget.tryTake(other))
    const { ranges, requested } = rangesOf({ budget, first: { start: 0, read: readOf(0, 50) } })
    assert.equal(budget.heldBytes, held + other)
    const answer = await ranges.take(0, 1_000)
    assert.deepEqual([textOf(answer), answer.isEarly, requested()], [content.slice(0, 50), true, []])
    ranges.keepOnly(0)
    assert.equal(budget.heldBytes, other)
  }
})

test('ranges are requested ahead up to their number, the end and the budget, behind those requested already', async () => {
  const { ranges, requested } = rangesOf({ first: { start: 0, read: readOf(0, 50) }, readsAhead: 3 })
  ranges.askAhead(0, 1_000)
  assert.deepEqual(requested(), [
    [0, 150],
    [86, 250],
  ])
  ranges.askAhead(0, 1_000)
  assert.equal(requested().length, 2)

  const ending = rangesOf()
  ending.ranges.askAhead(900, 950)
  assert.deepEqual(ending.requested(), [[836, 950]])

  const narrow = rangesOf({ budget: new ByteBudget(200) })
  narrow.ranges.askAhead(900, 1_000)
  narrow.ranges.askAhead(900, 2_000)
  assert.deepEqual(narrow.requested(), [[836, 1_000]])
})

test('the rest of a short answer is requested up to the next range, and the ranges ahead stay', async () => {
  const { ranges, requested, budget } = rangesOf()
  ranges.askAhead(200, 1_000)
  const answer = await ranges.take(170, 1_000)
  assert.equal(textOf(answer), content.slice(170, 200))
  for (const start of [200, 300]) {
    const next = await ranges.take(start, 1_000)
    assert.deepEqual([textOf(next), next.isEarly], [content.slice(start, start + 100), true])
  }
  assert.equal(requested().length, 3)
  assert.ok(budget.heldBytes > 0)
})

test('without room for the next range, the ranges ahead are dropped and their requests ended before it waits', async () => {
  const { ranges, budget, reader } = rangesOf({ budget: new ByteBudget(400) })
  ranges.askAhead(200, 400)
  assert.equal(budget.heldBytes, 328)
  const signals = reader.requests.map(({ signal }) => signal)
  const taking = ranges.take(100, 1_000)
  assert.deepEqual(
    signals.map((signal) => signal?.aborted),
    [true, true],
  )
  assert.equal(textOf(await taking), content.slice(100, 200))
  assert.equal(budget.heldBytes, 164)
})

test('dropped ranges give their bytes back and end their requests', async () => {
  const { ranges, budget, reader } = rangesOf()
  ranges.askAhead(0, 1_000)
  assert.ok(budget.heldBytes > 0)
  ranges.drop()
  assert.equal(budget.heldBytes, 0)
  assert.deepEqual(
    reader.requests.map(({ signal }) => signal?.aborted),
    [true, true],
  )
})

test('a range that fails gives its bytes back', async () => {
  const { ranges, reader, budget } = rangesOf({ giveUp: () => true })
  reader.faults.push(unavailable())
  await assert.rejects(ranges.take(0, 1_000), { code: 'SOURCE_UNAVAILABLE' })
  assert.equal(budget.heldBytes, 0)
})

test('an answer without a new byte of a longer blob is a failure that is retried', async () => {
  for (const bytes of [3, 64]) {
    const { ranges, reader, clock } = rangesOf()
    reader.faults.push({ kind: 'short', bytes })
    assert.equal(textOf(await ranges.take(200, 1_000)), content.slice(200, 300))
    assert.deepEqual([reader.requests.length, clock.pauses.length], [2, 1])
  }
  const { ranges, reader } = rangesOf()
  const answer = await ranges.take(1_000, 2_000)
  assert.deepEqual([textOf(answer), reader.requests.length], ['', 1])
})

test('the head is one byte, read outside of the budget, and asked for again after a failure', async () => {
  const budget = new ByteBudget(10)
  assert.ok(budget.tryTake(10))
  const { ranges, reader, requested } = rangesOf({ budget })
  reader.faults.push(unavailable())
  const head = await ranges.readHead()
  assert.equal(head.kind === 'bytes' && head.bytes.toString(), '0')
  assert.deepEqual(requested(), [
    [0, 1],
    [0, 1],
  ])
  assert.equal(budget.heldBytes, 10)
})

test('an end aborts the requests under way and every later one, and a request that is over listens no more', async () => {
  const { ranges, ending } = rangesOf()
  await ranges.take(0, 1_000)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(getEventListeners(ending.signal, 'abort').length, 0)
  const taking = ranges.take(100, 1_000)
  ending.abort()
  await assert.rejects(taking, { name: 'AbortError' })
  await assert.rejects(ranges.take(100, 1_000), { name: 'AbortError' })
})
