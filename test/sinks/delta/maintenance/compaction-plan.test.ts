import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { planCompaction } from '../../../../src/sinks/delta/maintenance/compaction-plan.ts'
import type { AddAction, PartitionValues } from '../../../../src/sinks/delta/protocol/actions.ts'

let made = 0

function file(size: number, partitionValues: PartitionValues = { event_date: '2026-01-01' }): AddAction {
  made += 1
  return { path: `${made}.parquet`, partitionValues, size, modificationTime: made, dataChange: true }
}

const rules = { targetBytes: 100, minFiles: 2, location: '/tables/a' }

function sizesOf(files: readonly AddAction[], changes: Partial<Parameters<typeof planCompaction>[1]> = {}) {
  return planCompaction(files, { ...rules, ...changes }).groups.map((group) =>
    group.files.map(({ size }) => size).toSorted((left, right) => right - left),
  )
}

test('files below half of the target are packed up to the target, and no file is merged alone', () => {
  assert.deepEqual(sizesOf([file(10), file(20), file(30), file(99), file(50)]), [[30, 20, 10]])
  assert.deepEqual(sizesOf([file(49), file(49), file(49), file(49)]), [
    [49, 49],
    [49, 49],
  ])
  assert.deepEqual(sizesOf([file(10)]), [])
  assert.deepEqual(sizesOf([file(50), file(50)]), [])
  assert.deepEqual(sizesOf([]), [])
})

test('partitions stay apart, and an empty value is the NULL partition', () => {
  const values = ['2026-01-01', '2026-01-02', null, '2026-01-01', '']
  const files = values.map((event_date) => file(10, { event_date }))
  const { groups } = planCompaction(files, rules)
  assert.deepEqual(
    groups.map((group) => group.files.map(({ partitionValues }) => partitionValues.event_date)),
    [
      ['2026-01-01', '2026-01-01'],
      [null, ''],
    ],
  )
})

test('a partition with fewer small files than asked for stays as it is', () => {
  const files = [file(10), file(10), file(10), file(99)]
  assert.deepEqual(sizesOf(files, { minFiles: 4 }), [])
  assert.deepEqual(sizesOf(files, { minFiles: 3 }), [[10, 10, 10]])
})

test('in a partition that is over, a few small files are merged where that is worthwhile', () => {
  const sizesOn = (event_date: string, sizes: readonly number[]) =>
    sizesOf(
      sizes.map((size) => file(size, { event_date })),
      { minFiles: 100, today: '2026-01-02' },
    )
  assert.deepEqual(sizesOn('2026-01-01', [30, 30, 30, 30, 30, 40, 10]), [
    [30, 30, 30],
    [40, 30, 30],
  ])
  assert.deepEqual(sizesOn('2026-01-01', [90, 100, 10, 10]), [])
  // Left-over files are merged too, unless a large one would be written again for a few rows.
  const tiny = Array.from({ length: 9 }, () => 1)
  assert.deepEqual(sizesOn('2026-01-01', [...tiny, 1]), [[1, ...tiny]])
  assert.deepEqual(sizesOn('2026-01-01', [...tiny, 30]), [[30, ...tiny]])
  assert.deepEqual(sizesOn('2026-01-01', [...tiny, 40]), [])
  assert.deepEqual(sizesOn('2026-01-01', tiny), [])
  assert.deepEqual(sizesOn('2026-01-02', [10, 10, 10, 10, 10, 10, 10, 10]), [])
})

test('in a partition that grows only very small files are merged, so that a row is not written again and again', () => {
  const sizes = [5, 5, 12, 13, 40, 40]
  for (const [event_date, merged] of [
    ['2026-01-01', [[40, 13, 12, 5, 5]]],
    ['2026-01-02', [[12, 5, 5]]],
    ['2026-01-03', [[12, 5, 5]]],
    [null, [[12, 5, 5]]],
    ['not a date', [[12, 5, 5]]],
  ] as const) {
    const files = sizes.map((size) => file(size, { event_date }))
    const groups = sizesOf(files, { today: '2026-01-02' })
    assert.deepEqual(groups, merged, String(event_date))
  }
  const unpartitioned = sizes.map((size) => file(size, {}))
  assert.deepEqual(sizesOf(unpartitioned, { today: '2026-01-02' }), [[12, 5, 5]])
})

test('small files with a deletion vector are merged, unless it lies outside of the table', () => {
  const vector = { sizeInBytes: 40, cardinality: 6 }
  const marked = { ...file(10), deletionVector: { ...vector, storageType: 'u', pathOrInlineDv: 'ab' } }
  const inside = {
    ...file(10),
    deletionVector: { ...vector, storageType: 'p', pathOrInlineDv: '/tables/a/1.bin' },
  }
  const outside = {
    ...file(10),
    deletionVector: { ...vector, storageType: 'p', pathOrInlineDv: '/tables/b/1.bin' },
  }
  const { groups, refused } = planCompaction([marked, outside, inside], rules)
  assert.deepEqual(refused, [outside])
  assert.deepEqual(
    groups.map(({ files }) => files),
    [[marked, inside]],
  )
})

test('a merged file holds what was written one after the other, whatever the sizes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 49 }), { maxLength: 60 }), (sizes) => {
      const files = sizes.map((size) => file(size))
      const { groups } = planCompaction(files.toReversed(), rules)
      assert.deepEqual(
        groups.flatMap((group) => group.files),
        files.slice(0, groups.flatMap((group) => group.files).length),
      )
      for (const { bytes } of groups.slice(0, -1)) assert.ok(bytes > 50, `${bytes} of 100`)
    }),
  )
})

test('the oldest files of a group come first', () => {
  const files = [file(10), file(30), file(20)]
  assert.deepEqual(planCompaction(files.toReversed(), rules).groups[0]?.files, files)
})

test('no more than 500 files are opened at a time', () => {
  const groups = sizesOf(Array.from({ length: 1_250 }, () => file(0)))
  assert.deepEqual(
    groups.map(({ length }) => length),
    [500, 500, 250],
  )
})

test('after a plan is carried out there is nothing left to plan, for files of any sizes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 60 }), (sizes) => {
      const files = sizes.map((size) => file(size))
      const { groups } = planCompaction(files, rules)
      const merged = groups.flatMap((group) => group.files)
      assert.equal(new Set(merged).size, merged.length)
      for (const { bytes, files: some } of groups) {
        assert.ok(bytes <= 100 && some.length > 1)
        assert.equal(
          bytes,
          some.reduce((sum, { size }) => sum + size, 0),
        )
      }
      const after = [
        ...files.filter((one) => !merged.includes(one)),
        ...groups.map(({ bytes }) => file(bytes)),
      ]
      assert.deepEqual(sizesOf(after), [])
    }),
  )
})
