import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PaceMeter } from '../../src/run/pace.ts'
import { describeProgress } from '../../src/run/progress.ts'

const mb = 1_000_000

/** Notes totals every half second. @returns the progress at the end of each second */
function progressOf(
  meter: PaceMeter,
  totals: readonly (readonly [landedMb: number, lagMb: number])[],
): string[] {
  return totals.map(([landed, lag], index) => {
    const totals = { bytes: landed * mb, lagBytes: lag * mb }
    return describeProgress('pg', totals, meter.note({ atMs: index * 1_000, rows: landed * 10, ...totals }))
  })
}

test('a backfill shows how much is left, and a pipeline that follows shows its lag and never a time left', () => {
  assert.deepEqual(
    progressOf(new PaceMeter(false), [
      [0, 0],
      [10, 90],
      [20, 80],
      [90, 10],
      [100, 0.4],
      [100.2, 3],
      [100.4, 60],
      [100.5, 400],
    ]),
    [
      'pg: 0 B of 0 B, 0.0 MB/s',
      'pg: 10.0 MB of 100.0 MB (10%), 10.0 MB/s, 9 s left',
      'pg: 20.0 MB of 100.0 MB (20%), 10.0 MB/s, 8 s left',
      'pg: following, lag 10.0 MB, 30.0 MB/s',
      'pg: following, lag 400 kB, 25.0 MB/s',
      'pg: following, lag 3.0 MB, 20.0 MB/s',
      'pg: following, lag 60.0 MB, 18.1 MB/s',
      'pg: following, lag 400.0 MB, 16.1 MB/s',
    ],
  )
})

test('a pipeline that falls behind by more than a minute shows a backfill of its own', () => {
  const meter = new PaceMeter(false)
  const shown = progressOf(meter, [
    [1, 0],
    [1.1, 0],
    [1.2, 500],
    [101.2, 400],
  ])
  assert.match(shown[1] ?? '', /following/)
  assert.equal(shown[2], 'pg: 1.2 MB of 501.2 MB (0%), 0.1 MB/s, 83 min left')
  assert.match(shown[3] ?? '', /\(20%\), 33\.4 MB\/s, 12 s left$/)
})

test('a drain has an end, so it never follows', () => {
  const shown = progressOf(new PaceMeter(true), [
    [99, 0.5],
    [99.5, 0],
  ])
  assert.deepEqual(shown, [
    'pg: 99.0 MB of 99.5 MB (99%), 0.0 MB/s',
    'pg: 99.5 MB of 99.5 MB (100%), 0.5 MB/s',
  ])
})
