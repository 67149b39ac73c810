import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { OffsetFile } from '../../src/offsets/offset-file.ts'
import { OffsetFileWriter } from '../../src/offsets/offset-file-writer.ts'
import { VirtualClock } from '../streams/virtual-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

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
    const writer = new OffsetFileWriter({
      file: { write: async (_offsets, notes) => void written.push(notes?.tableVersion) },
      marks: [],
      clock,
    })
    const offsets = offsetsOf(blobCount)
    for (let version = 1; version <= 5; version += 1) {
      clock.advance(1_000)
      await writer.mirror(offsets, version)
    }
    assert.equal(written.length, writesWanted)
    await writer.flush()
    assert.equal(written.at(-1), 5)
    await writer.flush()
    assert.equal(written.length, writesWanted + (blobCount === 10 ? 0 : 1))
    clock.advance(30_000)
    await writer.mirror(offsets, 6)
    assert.equal(written.at(-1), 6)
  }
})

test('writes that are asked for at once follow each other, and the last one says what is under way', async (t) => {
  const stateDirectory = await temporaryDirectory(t)
  const store = new OffsetFile({ stateDirectory, pipeline: 'primary', table: 't' })
  const writer = new OffsetFileWriter({ file: store, marks: [], clock: new VirtualClock() })
  const intent = { id: 'b', mode: 'copy-into' as const, spans: [], files: [] }
  for (let round = 0; round < 20; round += 1) {
    await Promise.all([
      writer.record(offsetsOf(50), undefined),
      writer.flush(),
      writer.record(offsetsOf(100), intent),
      writer.flush(),
    ])
    const file = await store.read()
    assert.equal(file?.offsets.blobCount, 100)
    assert.deepEqual(file.intent, intent)
  }
})
