import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { Deadline } from '../src/clock.ts'
import { ManualClock } from './sources/manual-clock.ts'

test('a deadline fires when nothing happened for its time, and says what did not happen', () => {
  const clock = new ManualClock()
  const deadline = new Deadline(clock, 'head of an answer', 100)
  clock.advance(99)
  assert.equal(deadline.signal.aborted, false)
  clock.advance(1)
  assert.equal(deadline.expired?.message, 'no head of an answer for 100 ms')
  assert.equal(deadline.signal.reason, deadline.expired)
  assert.equal(clock.waiting, 0)
})

test('progress extends a deadline without another timer', () => {
  const clock = new ManualClock()
  const deadline = new Deadline(clock, 'piece', 100)
  for (let piece = 0; piece < 10_000; piece += 1) {
    deadline.touch()
    if (piece % 100 === 0) clock.advance(10)
  }
  assert.equal(deadline.signal.aborted, false)
  assert.ok(clock.started < 20, `${clock.started} timers`)
  clock.advance(100)
  assert.equal(deadline.signal.aborted, true)
})

test('the next step of a request has a time of its own', () => {
  const clock = new ManualClock()
  const deadline = new Deadline(clock, 'head', 100)
  clock.advance(90)
  deadline.next('piece', 50)
  clock.advance(49)
  assert.equal(deadline.signal.aborted, false)
  clock.advance(1)
  assert.equal(deadline.expired?.message, 'no piece for 50 ms')
})

test('no time passes between a pause and the next step, and the caller can still end it', () => {
  const clock = new ManualClock()
  const caller = new AbortController()
  const deadline = new Deadline(clock, 'rows', 100, caller.signal)
  deadline.pause()
  clock.advance(1_000)
  assert.equal(deadline.signal.aborted, false)
  deadline.next('rows', 100)
  clock.advance(99)
  assert.equal(deadline.signal.aborted, false)
  deadline.pause()
  caller.abort()
  assert.equal(deadline.signal.aborted, true)
})

test("the caller's signal ends a deadline with its own reason, and none of its listeners stay", () => {
  const clock = new ManualClock()
  const caller = new AbortController()
  for (let request = 0; request < 100; request += 1) new Deadline(clock, 'x', 100, caller.signal).clear()
  assert.deepEqual([getEventListeners(caller.signal, 'abort').length, clock.waiting], [0, 0])
  const deadline = new Deadline(clock, 'x', 100, caller.signal)
  const reason = new Error('the pipeline ends')
  caller.abort(reason)
  assert.deepEqual([deadline.signal.reason, deadline.expired, clock.waiting], [reason, undefined, 0])
  assert.equal(new Deadline(clock, 'x', 100, caller.signal).signal.reason, reason)
})

test('work that does not heed the signal is left, and its late result is released', async () => {
  const clock = new ManualClock()
  const deadline = new Deadline(clock, 'answer', 100)
  const late: string[] = []
  let finish: (value: string) => void = () => {}
  const work = new Promise<string>((resolve) => {
    finish = resolve
  })
  const raced = deadline.race(work, (value) => void late.push(value))
  clock.advance(100)
  await assert.rejects(raced, /no answer for 100 ms/)
  finish('a body')
  await work
  await Promise.resolve()
  assert.deepEqual(late, ['a body'])
  assert.equal(getEventListeners(deadline.signal, 'abort').length, 0)
})
