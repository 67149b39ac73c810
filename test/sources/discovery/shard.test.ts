import assert from 'node:assert/strict'
import test from 'node:test'
import { type PodPlace, parseShard, placeShard, shardTest } from '../../../src/sources/discovery/shard.ts'

const names = Array.from({ length: 2_000 }, (_, index) => `server-${index % 50}/h=${index}/PT1H.json`)
const ownerOf = (name: string, count: number): number[] =>
  Array.from({ length: count }, (_, index) => index).filter((index) => shardTest({ index, count })(name))

test('each blob belongs to exactly one shard, and shards have equal parts', () => {
  for (const count of [1, 2, 3, 4, 12, 100]) {
    const sizes = new Array<number>(count).fill(0)
    for (const name of names) {
      const owners = ownerOf(name, count)
      assert.equal(owners.length, 1, `${name} of ${count}: ${owners}`)
      sizes[owners[0]!]! += 1
    }
    const total = sizes.reduce((sum, size) => sum + size)
    // Six standard deviations of a fair division.
    const allowed = 6 * Math.sqrt(total / count)
    for (const size of sizes) assert.ok(Math.abs(size - total / count) < allowed, `${count}: ${sizes}`)
  }
})

test('one more shard takes its part from all others, and no blob moves between those', () => {
  for (const count of [1, 3, 11]) {
    let moved = 0
    for (const name of names) {
      const [before, after] = [ownerOf(name, count)[0], ownerOf(name, count + 1)[0]]
      if (before === after) continue
      moved += 1
      assert.equal(after, count, name)
    }
    const expected = names.length / (count + 1)
    assert.ok(
      Math.abs(moved - expected) < expected / 3,
      `${moved} of ${names.length} moved to shard ${count}`,
    )
  }
})

test('the shard of a name is the same in every release', () => {
  const known = ['a', 'primary/2026/11/24/00.json', 'größe/ü.ndjson', '']
  assert.deepEqual(
    known.map((name) => [2, 4, 12].map((count) => ownerOf(name, count)[0])),
    [
      [0, 0, 6],
      [1, 1, 5],
      [1, 1, 10],
      [0, 3, 3],
    ],
  )
})

test('auto is the index of the pod of an Indexed Job, or the ordinal of that of a StatefulSet', () => {
  const placed = (text: string, pod: Partial<PodPlace>) =>
    placeShard(text, { completionIndex: undefined, hostName: 'laptop', ...pod })
  assert.equal(placed('auto/4', { hostName: 'tailrace-3' }), '3/4')
  assert.equal(placed('auto/12', { hostName: 'logs-2-11.tailrace.svc' }), '11/12')
  assert.equal(placed('auto/4', { completionIndex: '2', hostName: 'job-2-7' }), '2/4')
  assert.equal(placed('1/4', { hostName: 'tailrace-3' }), '1/4')
  assert.equal(placed('auto/4', {}), 'auto/4')
})

test('a shard is i/n, and anything else is refused with what was expected', () => {
  assert.deepEqual(parseShard('0/1'), { index: 0, count: 1 })
  assert.deepEqual(parseShard('99/100'), { index: 99, count: 100 })
  for (const wrong of ['', '4', '4/4', '0/0', '-1/4', '0/101', '1/4/2', 'a/4', '0/4 ', '1.0/4', 'auto'])
    assert.match(String(parseShard(wrong)), /^expected i\/n, such as 0\/4/, wrong)
  assert.match(String(parseShard('auto/4')), /neither JOB_COMPLETION_INDEX nor the end of the host name/)
})
