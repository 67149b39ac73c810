import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BlobEvent,
  type BlobState,
  hasLane,
  isAtRest,
  isSetAside,
  nextStatus,
  queueOf,
  unknownBlob,
} from '../../../src/run/lanes/blob-state.ts'

/** The next state by event (rows) and state (columns); `-` cannot happen. */
const table = `
                 unknown  queued   reading  yielding  quiet    gone     failing  refused  fenced
found            queued   -        -        -         -        -        -        -        -
found-grown      queued   -        -        -         -        -        -        -        -
changed          -        queued   reading  yielding  queued   queued   failing  queued   fenced
newest           queued   queued   reading  yielding  quiet    gone     failing  refused  fenced
followed         queued   queued   reading  yielding  queued   queued   failing  refused  fenced
displaced        -        unknown  -        -         -        -        -        -        -
retried          -        -        -        -         -        -        queued   queued   queued
forgotten        -        -        -        -         unknown  unknown  -        -        -
taken            -        reading  -        -         -        -        -        -        -
finished         -        -        quiet    fenced    -        -        -        -        -
vanished         -        -        gone     fenced    -        -        -        -        -
read-failed      -        -        failing  fenced    -        -        -        -        -
content-refused  -        -        refused  fenced    -        -        -        -        -
overtaken        -        fenced   yielding yielding  fenced   fenced   failing  refused  fenced
`

const [states, ...rows] = table
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/)) as [BlobState[], ...[BlobEvent, ...(BlobState | '-')[]][]]

test('each event takes a blob from each state to the next one, or cannot happen in it', () => {
  for (const [event, ...nexts] of rows) {
    for (const [index, state] of states.entries()) {
      const apply = () => nextStatus({ state, isLive: false }, event).state
      const next = nexts[index]
      if (next === '-') assert.throws(apply, /cannot be/, `${state}, ${event}`)
      else assert.equal(apply(), next, `${state}, ${event}`)
    }
  }
  assert.equal(rows.length * states.length, 14 * 9)
})

test('a blob is live once it is among the newest, has grown, or was read to its end, until it is forgotten', () => {
  for (const [event, ...nexts] of rows) {
    for (const [index, state] of states.entries()) {
      const next = nexts[index]
      if (next === undefined || next === '-') continue
      const becomesLive =
        ['found-grown', 'newest', 'followed'].includes(event) || next === 'quiet' || next === 'gone'
      const after = nextStatus({ state, isLive: false }, event)
      assert.equal(after.isLive, becomesLive, `${state}, ${event}`)
      const live = nextStatus({ state, isLive: true }, event)
      assert.deepEqual(live, next === 'unknown' ? unknownBlob : { state: next, isLive: true })
    }
  }
})

test('a blob waits in a queue, has a lane, is at rest, is set aside, or is not on the board: one of these', () => {
  for (const state of states) {
    for (const isLive of [false, true]) {
      const places = [
        queueOf({ state, isLive }) !== undefined,
        hasLane(state),
        isAtRest(state),
        isSetAside(state),
        state === 'unknown',
      ]
      assert.equal(places.filter(Boolean).length, 1, state)
      if (state === 'queued') assert.equal(queueOf({ state, isLive }), isLive ? 'live' : 'backlog')
    }
  }
})
