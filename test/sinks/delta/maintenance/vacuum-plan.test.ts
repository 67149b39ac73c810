import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { isHiddenName, planVacuum } from '../../../../src/sinks/delta/maintenance/vacuum-table.ts'
import type { AddAction } from '../../../../src/sinks/delta/protocol/actions.ts'
import { uuidText } from '../deletion-vectors.ts'

const cutoffMs = 1_000

function live(path: string): AddAction {
  return { path, partitionValues: {}, size: 1, modificationTime: 1, dataChange: true }
}

function found(path: string, modifiedMs = 0) {
  return { path, bytes: 10, modifiedMs }
}

function pathsOf({ expired, young, needed }: ReturnType<typeof planVacuum>) {
  return [expired, young, needed].map((files) => files.map(({ path }) => path))
}

test('files that are neither live nor young nor recently removed are deleted', () => {
  const plan = planVacuum(
    [
      found('live.parquet'),
      found('forgotten.parquet', cutoffMs - 1),
      found('under-way.parquet', cutoffMs),
      found('removed-before.parquet'),
      found('removed-within.parquet'),
      found('restored.parquet'),
    ],
    [live('live.parquet'), live('restored.parquet')],
    [
      { path: 'removed-before.parquet', deletionTimestamp: cutoffMs - 1 },
      { path: 'removed-within.parquet', deletionTimestamp: cutoffMs },
      { path: 'restored.parquet', deletionTimestamp: 1 },
    ],
    cutoffMs,
  )
  assert.deepEqual(pathsOf(plan), [
    ['forgotten.parquet', 'removed-before.parquet'],
    ['under-way.parquet'],
    ['live.parquet', 'removed-within.parquet', 'restored.parquet'],
  ])
})

test('only Parquet files and deletion vectors go: what is not of the table stays', () => {
  const names = ['deletion_vector.bin', 'index.bin', 'README.md', 'a.crc', 'parquet']
  assert.deepEqual(
    pathsOf(
      planVacuum(
        names.map((name) => found(name)),
        [],
        [],
        cutoffMs,
      ),
    ),
    [[], [], []],
  )
})

test('a file of deletion vectors is needed as long as one of its vectors is, wherever the log says that it is', () => {
  const uuids = [1, 2, 3, 4, 5, 6].map((last) => `61d16c75-6994-46b7-a15b-8b538852e50${last}`)
  const [live1, removedWithin, removedBefore, unknown, young, absolute] = uuids as [string, ...string[]] &
    string[]
  const vectorOf = (uuid: string | undefined) => ({
    storageType: 'u',
    pathOrInlineDv: uuidText(uuid!),
    offset: 1,
    sizeInBytes: 40,
    cardinality: 2,
  })
  const nameOf = (uuid: string | undefined) => `deletion_vector_${uuid}.bin`
  const plan = planVacuum(
    [
      found(nameOf(live1)),
      found(`ab/${nameOf(removedWithin)}`),
      found(`ab/${nameOf(removedBefore)}`),
      found(nameOf(unknown)),
      found(nameOf(young), cutoffMs),
      found(nameOf(absolute)),
      found('a.parquet'),
      found('b.parquet'),
    ],
    [
      { ...live('a.parquet'), deletionVector: vectorOf(live1) },
      {
        ...live('b.parquet'),
        deletionVector: {
          ...vectorOf(absolute),
          storageType: 'p',
          pathOrInlineDv: `s3://elsewhere/${nameOf(absolute)}`,
        },
      },
    ],
    [
      { path: 'a.parquet', deletionTimestamp: cutoffMs, deletionVector: vectorOf(removedWithin) },
      { path: 'a.parquet', deletionTimestamp: cutoffMs - 1, deletionVector: vectorOf(removedBefore) },
    ],
    cutoffMs,
  )
  assert.deepEqual(pathsOf(plan), [
    [`ab/${nameOf(removedBefore)}`, nameOf(unknown)],
    [nameOf(young)],
    [nameOf(live1), `ab/${nameOf(removedWithin)}`, nameOf(absolute), 'a.parquet', 'b.parquet'],
  ])
})

test('a path of the log is found whether its writer escaped it or not', () => {
  for (const path of ['day=1/a%20b.parquet', 'day=1/a b.parquet', './day=1//a%20b.parquet']) {
    assert.deepEqual(pathsOf(planVacuum([found('day=1/a b.parquet')], [live(path)], [], cutoffMs))[0], [])
  }
  const odd = found('100%.parquet')
  assert.deepEqual(
    pathsOf(planVacuum([odd], [], [{ path: '100%.parquet', deletionTimestamp: cutoffMs }], cutoffMs))[0],
    [],
  )
})

test('a table with a file of any other place is refused', () => {
  for (const path of ['/tables/a.parquet', 's3://bucket/a.parquet']) {
    assert.throws(
      () => planVacuum([], [live(path)], [], cutoffMs),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes(path),
    )
  }
})

test('the log, change data, indexes and temporary files are hidden', () => {
  for (const name of ['_delta_log', '_change_data', '_delta_index', '.a.parquet.tmp'])
    assert.ok(isHiddenName(name))
  for (const name of ['event_date=2026-01-01', 'part-0.parquet']) assert.ok(!isHiddenName(name))
})

test('files are not removed when a deletion vector may be stored in an unknown way', () => {
  const uuid = 'd2c639aa-8816-431a-aaf6-d3fe2512ff61'
  const deletionVector = {
    storageType: 'x',
    pathOrInlineDv: uuidText(uuid),
    sizeInBytes: 40,
    cardinality: 6,
  }
  const files = [found('live.parquet'), found(`deletion_vector_${uuid}.bin`)]
  const isRefused = (error: unknown) => isTailraceError(error, 'TABLE_UNSUPPORTED')
  assert.throws(
    () => planVacuum(files, [{ ...live('live.parquet'), deletionVector }], [], cutoffMs),
    isRefused,
  )
  const removed = [{ path: 'gone.parquet', deletionTimestamp: cutoffMs, deletionVector }]
  assert.throws(() => planVacuum(files, [], removed, cutoffMs), isRefused)
})
