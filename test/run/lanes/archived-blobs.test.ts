import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ArchivedOffset, maxSoughtBlobs } from '../../../src/offsets/archived-offsets.ts'
import type { CommitterArchive } from '../../../src/sinks/table-committer.ts'
import { eventually } from '../../support/eventually.ts'
import { Landing, schedule } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

/** An archive of some offsets, whose recalled ones go to a landing. */
class Archive implements CommitterArchive {
  readonly hasOwn = true
  readonly sought: number[] = []
  forgotten = 0
  readonly #offsets: ReadonlyMap<string, ArchivedOffset>
  readonly #landing: Landing

  constructor(offsets: readonly ArchivedOffset[], landing: Landing) {
    this.#offsets = new Map(offsets.map((one) => [one.blob, one]))
    this.#landing = landing
  }

  mayHave(): boolean {
    return true
  }

  async find(blobs: readonly string[]): Promise<readonly ArchivedOffset[]> {
    this.sought.push(blobs.length)
    return blobs.flatMap((blob) => this.#offsets.get(blob) ?? [])
  }

  async recall(blobs: readonly string[]): Promise<void> {
    for (const { blob, generation, offset } of await this.find(blobs))
      this.#landing.begin({ blob, generation, start: offset, end: offset })
  }

  async forget(): Promise<void> {
    this.forgotten += 1
  }
}

test('of thousands of archived blobs, only those that grew or were replaced are read, from their offsets on', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const offsets: ArchivedOffset[] = []
  const landing = new Landing()
  for (let blob = 10_000; blob < 16_000; blob += 1) reader.append(`p/${blob}`, 1)
  for (let marker: string | undefined; ; ) {
    const { blobs, next } = await reader.listPage({ prefix: 'p/', marker })
    for (const { name, createdAt: generation, bytes: offset } of blobs)
      offsets.push({ blob: `logs/${name}`, generation, offset, mark: undefined })
    if (next === undefined) break
    marker = next
  }
  reader.append('p/11000', 1, 'grown')
  reader.append('p/99999', 1, 'new')
  const archive = new Archive(offsets, landing)
  const lanes = schedule(reader, landing, { archive, follow: false, blockMs: 0 })
  await lanes.run()
  assert.deepEqual([...new Set(reader.reads)].sort(), ['p/11000', 'p/99999'])
  assert.match(landing.textOf('p/11000'), /^\{"grown":\d+\}\n$/)
  assert.match(landing.textOf('p/99999'), /^\{"new":\d+\}\n$/)
  assert.ok(archive.sought.every((count) => count <= maxSoughtBlobs))
  assert.ok(archive.sought.length < 10, `${archive.sought.length} look-ups`)
  assert.equal(archive.forgotten, 1)
})

test('the lag of an archived blob that has grown counts its new bytes alone, also before it is read', async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  reader.append('p/old', 100)
  const { blobs } = await reader.listPage({ prefix: 'p/' })
  const { createdAt: generation, bytes: offset } = blobs[0]!
  reader.append('p/old', 1, 'grown')
  const [{ bytes } = blobs[0]!] = (await reader.listPage({ prefix: 'p/' })).blobs
  const archive = new Archive([{ blob: 'logs/p/old', generation, offset, mark: undefined }], landing)
  let release = (): void => {}
  const isHeld = new Promise<void>((resolve) => {
    release = resolve
  })
  const recall = archive.recall.bind(archive)
  archive.recall = async (names) => {
    await isHeld
    await recall(names)
  }
  const lanes = schedule(reader, landing, { archive, follow: false, blockMs: 0 })
  const running = lanes.run()
  await eventually(async () => lanes.laneCount > 0, 'its lane')
  assert.equal(lanes.lagBytes, bytes - offset)
  assert.deepEqual(
    lanes.knownBlobs(1).map((blob) => [blob.offset, blob.bytes]),
    [[offset, bytes]],
  )
  release()
  await running
  assert.equal(lanes.lagBytes, 0)
})

test('the lag of an archived blob that is overwritten in place counts all its new bytes', async () => {
  const reader = new MemoryContainer()
  const before = new Landing()
  reader.append('p/old', 100)
  await schedule(reader, before, { follow: false, blockMs: 0 }).run()
  const offsets = [...before.offsets].map((one) => ({ ...one, mark: before.mirror.markOf(one) }))
  reader.replace('p/old', '{"other":0}\n'.repeat(200), true)
  const landing = new Landing(before.marks)
  landing.isHeld = true
  const lanes = schedule(reader, landing, {
    archive: new Archive(offsets, landing),
    follow: false,
    blockMs: 0,
  })
  await lanes.run()
  const bytes = reader.content('p/old').length
  assert.equal(landing.lastTextOf('p/old').length, bytes)
  assert.equal(lanes.lagBytes, bytes)
  assert.deepEqual(
    lanes.knownBlobs(1).map((blob) => [blob.offset, blob.bytes]),
    [[0, bytes]],
  )
})
