import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, errors, TailraceError } from '../src/errors.ts'
import {
  growingPauseMs,
  longerPause,
  maxRetryAfterMs,
  type RetryEvent,
  retry,
  retryAfterMs,
} from '../src/retry.ts'
import { VirtualClock } from './streams/virtual-clock.ts'

const passing = (context = {}): TailraceError => new TailraceError('SOURCE_UNAVAILABLE', 'busy', { context })

/** Fails so many times, and then succeeds. */
function failing(times: number, error: () => unknown = passing) {
  return async (attempt: number): Promise<number> => {
    if (attempt <= times) throw error()
    return attempt
  }
}

test('pauses grow exponentially up to the cap, with full jitter, and never leave their bounds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 40 }),
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
        minLength: 40,
        maxLength: 40,
      }),
      async (times, draws) => {
        const clock = new VirtualClock()
        let draw = 0
        const random = (): number => draws[draw++] as number
        const result = await retry(failing(times), { clock, random, policy: { baseMs: 100, capMs: 5000 } })
        assert.equal(result, times + 1)
        assert.equal(clock.pauses.length, times)
        for (const [index, pause] of clock.pauses.entries()) {
          const ceiling = Math.min(5000, 100 * 2 ** index)
          assert.equal(pause, Math.ceil((draws[index] as number) * ceiling))
          assert.ok(pause >= 0 && pause <= ceiling)
        }
      },
    ),
    { numRuns: 40 },
  )
})

test('the pause is at least the one that the service requests, even above the cap', async () => {
  const clock = new VirtualClock()
  const asked = () => passing({ retryAfterMs: 60_000 })
  await retry(failing(2, asked), { clock, random: () => 0.9 })
  assert.deepEqual(clock.pauses, [60_000, 60_000])
})

test('an error of any other disposition, and any foreign error, is thrown at once', async () => {
  const clock = new VirtualClock()
  const halting = (Object.keys(errors) as ErrorCode[]).filter((code) => errors[code].disposition !== 'retry')
  assert.ok(halting.length > 10)
  for (const thrown of [
    ...halting.map((code) => new TailraceError(code, 'x')),
    new Error('x'),
    'x',
    undefined,
  ]) {
    const caught = await retry(() => Promise.reject(thrown), { clock }).then(
      () => assert.fail('it succeeded'),
      (error: unknown) => error,
    )
    assert.equal(caught, thrown)
  }
  assert.deepEqual(clock.pauses, [])
})

test('after the last attempt the last error is thrown', async () => {
  const clock = new VirtualClock()
  let attempts = 0
  await assert.rejects(
    retry(
      async () => {
        attempts += 1
        throw new TailraceError('SOURCE_UNAVAILABLE', `attempt ${attempts}`)
      },
      { clock, policy: { maxAttempts: 3 } },
    ),
    { message: 'attempt 3' },
  )
  assert.equal(clock.pauses.length, 2)
})

test('no attempt begins after the total time, and a longer requested pause ends at once', async () => {
  for (const [answerMs, retryAfterMs, attempts] of [
    [10_000, undefined, 3],
    [40_000, undefined, 1],
    [0, 60_000, 1],
  ] as const) {
    const clock = new VirtualClock()
    let made = 0
    const failing = retry(
      async () => {
        made += 1
        await clock.sleep(answerMs)
        throw new TailraceError('SOURCE_UNAVAILABLE', 'no answer', { context: { retryAfterMs } })
      },
      { clock, random: () => 0.5, policy: { maxTotalMs: 30_000 } },
    )
    await assert.rejects(failing, { message: 'no answer' })
    assert.equal(made, attempts)
  }
})

test('an abort ends the pause, and no attempt follows', async () => {
  const aborting = new AbortController()
  const clock = new VirtualClock(
    (pause) => void (pause === 3 && aborting.abort(new Error('the pipeline ends'))),
  )
  let attempts = 0
  await assert.rejects(
    retry(
      async () => {
        attempts += 1
        throw passing()
      },
      { clock, signal: aborting.signal },
    ),
    /the pipeline ends/,
  )
  assert.equal(attempts, 3)
  await assert.rejects(retry(failing(0), { signal: aborting.signal }), /the pipeline ends/)
})

test('each repetition is reported with its number, its error and its pause', async () => {
  const events: RetryEvent[] = []
  const clock = new VirtualClock()
  await retry(failing(3), { clock, random: () => 0.5, onRetry: (event) => void events.push(event) })
  assert.deepEqual(
    events.map(({ attempt, pauseMs }) => [attempt, pauseMs]),
    [1, 2, 3].map((attempt) => [attempt, clock.pauses[attempt - 1]]),
  )
})

test('every repetition reports when the first of the failures was, and giving up ends with the last error', async () => {
  const clock = new VirtualClock()
  const events: RetryEvent[] = []
  const startMs = clock.now()
  const failure = passing()
  await assert.rejects(
    retry(
      failing(10, () => failure),
      {
        clock,
        random: () => 0.5,
        onRetry: (event) => events.push(event),
        giveUp: ({ attempt }) => attempt === 4,
      },
    ),
    failure,
  )
  assert.deepEqual(
    events.map(({ attempt, failingSinceMs }) => ({ attempt, failingSinceMs })),
    [1, 2, 3].map((attempt) => ({ attempt, failingSinceMs: startMs })),
  )
  assert.ok(clock.now() > startMs)
})

test('pauses between restarts double from the first one up to the limit, however many failures there were', () => {
  const pauses = { minPauseMs: 5_000, maxPauseMs: 60_000 }
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 2_000].map((failures) => growingPauseMs(failures, pauses)),
    [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000],
  )
  assert.ok(growingPauseMs(10_000, { minPauseMs: 1, maxPauseMs: Number.MAX_VALUE }) < Number.MAX_VALUE)
})

test('pauses between polls that find nothing grow by half up to the limit', () => {
  assert.deepEqual([longerPause(1_000, 5_000), longerPause(4_000, 5_000)], [1_500, 5_000])
})

test('Retry-After is read as seconds or a date, is never negative, and is limited', () => {
  const nowMs = Date.UTC(2026, 10, 28, 12, 0, 0)
  const expected: [header: string | null | undefined, ms: number | undefined][] = [
    ['5', 5_000],
    [' 5 ', 5_000],
    ['12.75', 12_750],
    ['0', 0],
    ['Sat, 28 Nov 2026 12:00:07 GMT', 7_000],
    ['Sat, 28 Nov 2026 11:00:00 GMT', 0],
    ['28 Nov 2026 12:00:07 GMT', 7_000],
    ['Sat, 28 Nov 2026 12:00:07 +0000', 7_000],
    ['86400', maxRetryAfterMs],
    ['Sun, 29 Nov 2026 12:00:00 GMT', maxRetryAfterMs],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
    ['soon', undefined],
    ['x5', undefined],
    ['5x', undefined],
  ]
  for (const [header, ms] of expected) assert.equal(retryAfterMs(header, nowMs), ms, String(header))
})
