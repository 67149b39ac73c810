import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LandedOffsets } from '../../src/landed-offsets.ts'
import { OffsetMirror } from '../../src/offsets/offset-mirror.ts'
import { VirtualClock } from '../streams/virtual-clock.ts'

const generation = '20261124T084700Z'

function offsetsOf(blobCount: number): LandedOffsets {
  const offsets = new LandedOffsets()
  for (let blob = 0; blob < blobCount; blob += 1) offsets.set({ blob: `logs/${blob}`, generation, offset: 1 })
  return offsets
}

test('a small file follows every commit, a large one only now and then, and a flush brings what is missing', async () => {
  for (const [blobCount, writesWanted] of [
    [10, 5],
    [3_000, 1],
  ] as const) {
    const written: (number | undefined)[] = []
    const clock = new VirtualClock()
    const mirror = new OffsetMirror({
      store: { write: async (_offsets, version) => void written.push(version) },
      marks: [],
      clock,
    })
    const offsets = offsetsOf(blobCount)
    for (let version = 1; version <= 5; version += 1) {
      clock.advance(1_000)
      await mirror.write(offsets, version)
    }
    assert.equal(written.length, writesWanted)
    await mirror.flush()
    assert.equal(written.at(-1), 5)
    await mirror.flush()
    assert.equal(written.length, writesWanted + (blobCount === 10 ? 0 : 1))
    clock.advance(30_000)
    await mirror.write(offsets, 6)
    assert.equal(written.at(-1), 6)
  }
})
