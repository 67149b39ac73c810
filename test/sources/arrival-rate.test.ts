import assert from 'node:assert/strict'
import test from 'node:test'
import { ArrivalRate } from '../../src/sources/arrival-rate.ts'

const nowMs = Date.UTC(2026, 10, 24, 12)
const hourMs = 3_600_000

const blob = (bytes: number, createdHoursAgo: number, modifiedHoursAgo: number) => ({
  bytes,
  createdAt: new Date(nowMs - createdHoursAgo * hourMs).toISOString().replaceAll(/[-:]|\.\d+/g, ''),
  modifiedAtMs: nowMs - modifiedHoursAgo * hourMs,
})

test('the bytes of a day are those of its blobs, and of an older one those that have come in the last 24 hours', () => {
  const cases: readonly (readonly [blobs: readonly ReturnType<typeof blob>[], bytesPerDay: number])[] = [
    [[], 0],
    [[blob(100, 3, 2), blob(50, 2, 1)], 150],
    // A blob of four days that still grows.
    [[blob(400, 96, 0)], 100],
    // Half of its life was before.
    [[blob(100, 36, 12)], 50],
    [[blob(100, 48, 25)], 0],
    // A block blob is written at once.
    [[blob(70, 5, 5)], 70],
  ]
  for (const [blobs, bytesPerDay] of cases) {
    const rate = new ArrivalRate(nowMs)
    for (const one of blobs) rate.note(one)
    assert.equal(rate.bytesPerDay, bytesPerDay)
  }
})
