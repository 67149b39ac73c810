import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { isTailraceError } from '../../src/errors.ts'
import { Landing, schedule, until } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

const line = (number: number): string => `{"line":${number}}\n`

test('a blob of gzip members lands member by member, whole ones only, and goes on at a member after a restart', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  const members = [0, 1, 2].map((index) => gzipSync(line(2 * index) + line(2 * index + 1)))
  const half = members[2]!.length - 5
  reader.appendText('p/a.gz', Buffer.concat([members[0]!, members[1]!, members[2]!.subarray(0, half)]))
  await schedule(reader, landing, { follow: false }).run()
  assert.equal(landing.textOf('p/a.gz'), [0, 1, 2, 3].map(line).join(''))
  const end = members[0]!.length + members[1]!.length
  assert.deepEqual(
    landing.order.filter(({ start, end }) => end > start).map((span) => span.end),
    [members[0]!.length, end],
  )

  const lanes = schedule(reader, landing)
  const running = lanes.run()
  reader.appendText('p/a.gz', members[2]!.subarray(half))
  await until(() => landing.textOf('p/a.gz').endsWith(line(5)), 'the last member is landed')
  lanes.stop()
  await running
  assert.equal(landing.textOf('p/a.gz'), [0, 1, 2, 3, 4, 5].map(line).join(''))
})

test('a records document over many lines lands in one piece, also when it is larger than memory is to hold', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  const records = Array.from({ length: 30_000 }, (_, number) => ({ number, text: 'x'.repeat(100) }))
  reader.appendText('p/doc.json', JSON.stringify({ records }, undefined, 1))
  reader.append('p/lines.json', 3)
  const unitFiles = async (): Promise<string[]> =>
    (await readdir(tmpdir())).filter((name) => name.endsWith('.unit'))
  const before = await unitFiles()
  await schedule(reader, landing, { follow: false }).run()
  const expected = records.map((record) => `${JSON.stringify(record)}\n`).join('')
  assert.equal(landing.textOf('p/doc.json'), expected)
  assert.equal(
    landing.order.filter(({ blob, start, end }) => blob.endsWith('doc.json') && end > start).length,
    1,
  )
  assert.equal(landing.textOf('p/lines.json'), reader.content('p/lines.json').toString())
  assert.deepEqual(await unitFiles(), before)
})

test('what is no log is refused with its reason and does not stop its neighbors', {
  timeout: 60_000,
}, async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  reader.appendText('p/a.zst', Buffer.from('28b52ffd0000', 'hex'))
  reader.appendText('p/b.gz', Buffer.concat([gzipSync(line(1)), Buffer.from('this is no gzip any more')]))
  reader.append('p/c.json', 5)
  const lanes = schedule(reader, landing, { follow: false })
  await lanes.run()
  assert.equal(landing.textOf('p/c.json'), reader.content('p/c.json').toString())
  assert.equal(landing.textOf('p/b.gz'), line(1))
  const reasons = lanes.setAside.map(({ blob, code, reason }) => [blob, code, reason]).sort()
  assert.deepEqual(
    reasons.map(([blob, code]) => [blob, code]),
    [
      ['p/a.zst', 'SOURCE_UNSUPPORTED'],
      ['p/b.gz', 'SOURCE_UNSUPPORTED'],
    ],
  )
  assert.match(String(reasons[0]?.[2]), /zstd/)
  assert.match(String(reasons[1]?.[2]), /p\/b\.gz/)

  const alone = schedule(reader, new Landing(), { blobs: 'p/a.zst' })
  await assert.rejects(alone.run(), (error) => isTailraceError(error, 'SOURCE_UNSUPPORTED'))
})
