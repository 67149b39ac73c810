import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, TailraceError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/reporting/logger.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import {
  observedReader,
  retryingReader,
  StorageHealth,
} from '../../../src/sources/readers/observed-reader.ts'
import { ManualClock } from '../manual-clock.ts'

function healthOf(clock: ManualClock): { health: StorageHealth; lines: () => Record<string, unknown>[] } {
  const lines: string[] = []
  const output = { write: (line: string) => void lines.push(line) }
  const logger = createLogger({ level: 'info', pretty: false, output })
  return {
    health: new StorageHealth({ account: 'mylogs', clock, logger }),
    lines: () => lines.splice(0).map((line) => JSON.parse(line)),
  }
}

const error = (code: ErrorCode, status?: number): TailraceError =>
  new TailraceError(code, 'no answer', { context: { status } })
const down = error('SOURCE_UNAVAILABLE', 503)

test('an account has succeeded since an instant when any request was answered since', () => {
  const clock = new ManualClock(1000)
  const { health } = healthOf(clock)
  assert.equal(health.succeededSince(0), false)
  health.succeeded()
  clock.advance(500)
  health.failed(down)
  assert.deepEqual([health.succeededSince(1000), health.succeededSince(1001)], [true, false])
})

test('a refusal and a missing container are answers; throttling, aborts and a missing credential are none', () => {
  const answers: [unknown, boolean][] = [
    [error('SOURCE_DENIED', 403), true],
    [error('SOURCE_MISSING', 404), true],
    [error('SOURCE_UNSUPPORTED', 409), true],
    [down, false],
    [error('SOURCE_DENIED'), false],
    [error('CONFIG_INVALID'), false],
    [new Error('the pipeline ends'), false],
  ]
  for (const [ending, expected] of answers) {
    const { health } = healthOf(new ManualClock(1000))
    health.failed(ending)
    assert.equal(health.succeededSince(1000), expected, String(ending))
  }
})

test('an outage of a day is told a few times, and its end once', () => {
  const clock = new ManualClock(0)
  const { health, lines } = healthOf(clock)
  health.succeeded()
  for (let second = 0; second < 86_400; second += 1) {
    for (let lane = 0; lane < 5; lane += 1) health.failed(down)
    clock.advance(1000)
  }
  const told = lines()
  assert.deepEqual(
    told.slice(0, 7).map(({ outageMs }) => outageMs),
    [10, 30, 70, 150, 310, 630, 1230].map((seconds) => seconds * 1000),
  )
  assert.ok(told.length < 160, `${told.length} lines`)
  for (const { level, account, err } of told) {
    assert.deepEqual(
      [level, account, (err as { code: string }).code],
      ['warn', 'mylogs', 'SOURCE_UNAVAILABLE'],
    )
  }
  health.succeeded()
  health.succeeded()
  const [over, ...more] = lines()
  assert.deepEqual([over?.level, over?.msg, over?.outageMs], ['info', 'storage answers again', 86_400_000])
  assert.deepEqual(more, [])
})

test('an outage is reported with its length and its failed requests, and so is its end', () => {
  const clock = new ManualClock(5_000)
  const { health, lines } = healthOf(clock)
  health.failed(down)
  clock.advance(10_000)
  health.failed(down)
  clock.advance(2_000)
  health.succeeded()
  assert.deepEqual(
    lines().map(({ msg, outageMs, failures }) => [msg, outageMs, failures]),
    [
      ['storage does not answer; reading resumes when it does', 10_000, 2],
      ['storage answers again', 12_000, 2],
    ],
  )
})

test('failures between successes are no outage', () => {
  const clock = new ManualClock(0)
  const { health, lines } = healthOf(clock)
  for (let time = 0; time < 1000; time += 1) {
    health.failed(down)
    clock.advance(9_000)
    health.failed(down)
    health.succeeded()
  }
  assert.deepEqual(lines(), [])
})

test('an observed reader answers like the one within, and tells how its requests end', async () => {
  const clock = new ManualClock(1000)
  const { health } = healthOf(clock)
  let failure: Error | undefined = down
  const within: BlobReader = {
    container: 'logs',
    read: async () => {
      if (failure !== undefined) throw failure
      return { kind: 'unchanged' }
    },
    listPage: async () => {
      if (failure !== undefined) throw failure
      return { blobs: [], folders: [], next: undefined }
    },
  }
  const reader = observedReader(within, health)
  await assert.rejects(reader.read('a', { offset: 0, maxBytes: 1 }), down)
  await assert.rejects(reader.listPage({ prefix: '' }), down)
  assert.equal(reader.health.succeededSince(1000), false)
  failure = undefined
  assert.deepEqual(await reader.read('a', { offset: 0, maxBytes: 1 }), { kind: 'unchanged' })
  assert.equal(health.succeededSince(1000), true)
  clock.advance(1)
  assert.deepEqual(await reader.listPage({ prefix: '' }), { blobs: [], folders: [], next: undefined })
  assert.deepEqual([reader.container, health.succeededSince(1001)], ['logs', true])
})

test('every outage is reported after the same time, however long the one before it was', () => {
  const clock = new ManualClock(0)
  const { health, lines } = healthOf(clock)
  const firstReports: unknown[] = []
  for (let outage = 0; outage < 3; outage += 1) {
    health.succeeded()
    lines()
    for (let second = 0; second < 3_600; second += 1) {
      health.failed(down)
      clock.advance(1000)
    }
    firstReports.push(
      ...lines()
        .slice(0, 2)
        .map(({ outageMs }) => outageMs),
    )
  }
  assert.deepEqual(firstReports, [10_000, 30_000, 10_000, 30_000, 10_000, 30_000])
})

test("a retrying reader repeats failed requests, with the caller's signal or else with its own", async () => {
  const own = new AbortController().signal
  const callers = new AbortController().signal
  const calls: unknown[] = []
  const failsOnce = <T>(answer: T, call: unknown): T => {
    calls.push(call)
    if (calls.length % 2 === 1) throw down
    return answer
  }
  const within: BlobReader = {
    container: 'logs',
    read: async (name, { offset, signal }) => failsOnce({ kind: 'unchanged' }, [name, offset, signal]),
    listPage: async ({ prefix, signal }) =>
      failsOnce({ blobs: [], folders: [], next: undefined }, [prefix, signal]),
  }
  const clock = { now: () => 0, sleep: async () => {}, after: () => () => {} }
  const reader = retryingReader(within, { clock, signal: own })
  assert.equal(reader.container, 'logs')
  assert.deepEqual(await reader.read('a', { offset: 7, maxBytes: 1 }), { kind: 'unchanged' })
  await reader.read('a', { offset: 7, maxBytes: 1, signal: callers })
  assert.deepEqual(await reader.listPage({ prefix: 'p' }), { blobs: [], folders: [], next: undefined })
  await reader.listPage({ prefix: 'p', signal: callers })
  const expected = [
    ['a', 7, own],
    ['a', 7, callers],
    ['p', own],
    ['p', callers],
  ]
  for (const [index, call] of calls.entries()) {
    for (const [place, value] of expected[Math.floor(index / 2)]!.entries())
      assert.equal((call as unknown[])[place], value)
  }
  assert.equal(calls.length, 8)
})

test('storage is unanswered since the first request after its last answer, through failures and pauses', async () => {
  const clock = new ManualClock(1000)
  const { health } = healthOf(clock)
  const answers: { resolve: (value: { kind: 'unchanged' }) => void; reject: (reason: unknown) => void }[] = []
  const reader = observedReader(
    {
      container: 'logs',
      read: () => new Promise((resolve, reject) => answers.push({ resolve: resolve as never, reject })),
      listPage: () => assert.fail(),
    },
    health,
  )
  const ask = () => reader.read('a', { offset: 0, maxBytes: 1 } as never)
  assert.equal(health.unansweredSinceMs, undefined)
  const [first, second] = [ask(), ask()]
  assert.equal(health.unansweredSinceMs, 1000)
  clock.advance(500)
  answers[0]!.resolve({ kind: 'unchanged' })
  await first
  assert.equal(health.unansweredSinceMs, 1500, 'the other one still waits')
  clock.advance(500)
  answers[1]!.reject(down)
  await assert.rejects(second)
  clock.advance(500)
  assert.deepEqual([health.unansweredSinceMs, health.failure], [1500, down], 'also while none is under way')
  const third = ask()
  answers[2]!.resolve({ kind: 'unchanged' })
  await third
  assert.deepEqual([health.unansweredSinceMs, health.failure], [undefined, undefined])
  const aborted = ask()
  answers[3]!.reject(new DOMException('stop', 'AbortError'))
  await assert.rejects(aborted)
  assert.equal(health.unansweredSinceMs, undefined, 'an abort is no sign of an outage')
})
