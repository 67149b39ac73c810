import assert from 'node:assert/strict'
import { test } from 'node:test'
import { growthOf, type ProcessSample, sampleProcess, trendOf } from '../../scripts/soak/process-samples.ts'

/** A process of ten minutes, with a sample a second. */
const life = (at: (second: number) => Partial<ProcessSample>): readonly ProcessSample[] =>
  Array.from({ length: 600 }, (_, second) => ({ rssMiB: 200, handles: 30, threads: 13, ...at(second) }))

test('a process that warms up and then breathes is flat', () => {
  const flat = life((second) => ({
    rssMiB: (second < 60 ? 100 + second : 180) + (second % 7) * 5,
    handles: 30 + (second % 5),
  }))
  assert.deepEqual(growthOf(trendOf(flat)), [])
})

test('a leak of 20 MiB a minute, of three handles a minute, or of a thread a minute is growth', () => {
  const minutes = (second: number): number => Math.floor(second / 60)
  for (const [leak, named] of [
    [life((second) => ({ rssMiB: 200 + 20 * minutes(second) })), /^rssMiB grew from 300/],
    [life((second) => ({ handles: 30 + 3 * minutes(second) })), /^handles grew/],
    [life((second) => ({ threads: 13 + minutes(second) })), /^threads grew/],
  ] as const) {
    const growth = growthOf(trendOf(leak))
    assert.equal(growth.length, 1)
    assert.match(growth[0]!, named)
  }
})

test('a life of a few samples proves nothing', () => {
  assert.throws(() => trendOf(life(() => ({})).slice(0, 29)), /too short/)
})

test('a running process has memory, handles and threads, and an ended one no sample', {
  skip: process.platform !== 'linux',
}, () => {
  const sample = sampleProcess(process.pid)
  assert.ok(sample !== undefined && sample.rssMiB > 20 && sample.handles > 3 && sample.threads > 1)
  // No process has a number as large as this.
  assert.equal(sampleProcess(2 ** 30), undefined)
})
