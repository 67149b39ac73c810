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

/** A file that notes its writes and fails when it is told to. */
function notingFile() {
  const writes: { readonly version: number | undefined; readonly intent: string | undefined }[] = []
  const state = { fails: false, duringWrite: (): void => {} }
  const write: OffsetFile['write'] = async (_offsets, notes) => {
    state.duringWrite()
    await turn()
    if (state.fails) throw new Error('no space')
    writes.push({ version: notes?.tableVersion, intent: notes?.intent?.id })
  }
  return { writes, state, file: { write } }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a file of up to 2,000 blobs is written with each commit, and a larger one every 30 s, or when the clock was set back', async () => {
  for (const [blobCount, waitMs, expected] of [
    [2_000, 1, 2],
    [2_001, 29_999, 1],
    [2_001, 30_000, 2],
    [2_001, -3_600_000, 2],
  ] as const) {
    const { writes, file } = notingFile()
    const clock = new VirtualClock()
    const writer = new OffsetFileWriter({ file, marks: [], clock })
    await writer.mirror(offsetsOf(blobCount), 1)
    clock.advance(waitMs)
    await writer.mirror(offsetsOf(blobCount), 2)
    assert.equal(writes.length, expected, `${blobCount} blobs after ${waitMs} ms`)
  }
})

test('a record that fails leaves the earlier load, and its offsets for the next write', async () => {
  const { writes, state, file } = notingFile()
  const earlier = { id: 'earlier', mode: 'copy-into' as const, spans: [], files: [] }
  const writer = new OffsetFileWriter({ file, marks: [], intent: earlier, clock: new VirtualClock() })
  assert.equal(writer.intent, earlier)
  state.fails = true
  await assert.rejects(writer.record(offsetsOf(1), { ...earlier, id: 'later' }), /no space/)
  assert.equal(writer.intent, earlier)
  state.fails = false
  await writer.flush()
  assert.deepEqual(writes, [{ version: undefined, intent: 'earlier' }])
  await writer.record(offsetsOf(1), { ...earlier, id: 'later' })
  assert.equal(writer.intent?.id, 'later')
  await writer.record(offsetsOf(1), undefined)
  assert.equal(writer.intent, undefined)
  assert.deepEqual(
    writes.map(({ intent }) => intent),
    ['earlier', 'later', undefined],
  )
})

test('offsets that come during a write are written by the next one', async () => {
  const { writes, state, file } = notingFile()
  const writer = new OffsetFileWriter({ file, marks: [], clock: new VirtualClock() })
  let mirrored: Promise<void> | undefined
  state.duringWrite = () => {
    mirrored ??= writer.mirror(offsetsOf(3), 2)
  }
  await writer.mirror(offsetsOf(3), 1)
  await mirrored
  await writer.flush()
  assert.deepEqual(
    writes.map(({ version }) => version),
    [1, 2],
  )
})

test('a write has the marks of the opened file and those recorded since', async () => {
  const marks: unknown[] = []
  const mark = {
    blob: 'logs/0',
    generation,
    createdAt: generation,
    head: 'h',
    tail: undefined,
    closing: undefined,
  }
  const writer = new OffsetFileWriter({
    file: {
      write: async (offsets, notes) => void marks.push(...[...offsets].map((one) => notes?.markOf?.(one))),
    },
    marks: [mark],
    clock: new VirtualClock(),
  })
  await writer.mirror(offsetsOf(1), 1)
  const later = { ...mark, tail: 't' }
  writer.recordMark(later)
  await writer.mirror(offsetsOf(1), 2)
  assert.deepEqual(marks, [mark, later])
})
