import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import { isTailraceError } from '../../../src/errors.ts'
import type { GenerationMark } from '../../../src/records.ts'
import { Landing, schedule, until } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

/** `TAILRACE_SEED=7` runs that history alone, `TAILRACE_SCHEDULES=1000` so many. */
const { TAILRACE_SEED: onlySeed, TAILRACE_SCHEDULES: histories = 25 } = process.env
const seeds = onlySeed === undefined ? range(1, Number(histories)) : [Number(onlySeed)]

const line = (number: number): string => `{"line":${number}}\n`

/** What a writer puts around the elements of its document: before, between and behind. */
const styles = [
  ['{"records":[', ',', ']}'],
  ['{"records":[\n', ',\n', '\n]}\n'],
  ['\ufeff{ "records" : [\r\n  ', '\r\n  , ', '\r\n],\r\n"count": 1 }\r\n\r\n'],
] as const

const elements = [
  (n: number) => `{"n":${n},"text":"},{\\"records\\":[${'x'.repeat(n % 300)}"}`,
  (n: number) => `{"n":${n},"deep":[{"records":[{},{}]},[]]}`,
  (n: number) => `{"n":${n}}`,
]

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

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

test('wherever the first write of a blob ends, its framing is told by what comes after', {
  timeout: 60_000,
}, async () => {
  const gzip = gzipSync(line(0))
  const document = Buffer.from('\ufeff{\n "records": [{"line":0}]}\n')
  for (const [name, content, lastCut] of [
    ['p/a.gz', gzip, 3],
    ['p/a.json', document, 20],
  ] as const)
    for (let cut = 1; cut <= lastCut; cut += 1) {
      const reader = new MemoryContainer()
      const landing = new Landing()
      reader.appendText(name, content.subarray(0, cut))
      const lanes = schedule(reader, landing)
      const running = lanes.run()
      await until(() => lanes.hasFoundBlobs, 'the blob is found')
      reader.appendText(name, content.subarray(cut))
      await until(() => landing.textOf(name) === line(0), `${name}, cut at ${cut}, is landed`)
      lanes.stop()
      await running
    }
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
  // As written, without the line breaks.
  const textOf = (record: unknown) => JSON.stringify(record, undefined, 1).replaceAll(/\n */g, '')
  const expected = records.map((record) => `${textOf(record)}\n`).join('')
  assert.equal(landing.textOf('p/doc.json'), expected)
  assert.equal(
    landing.order.filter(({ blob, start, end }) => blob.endsWith('doc.json') && end > start).length,
    1,
  )
  assert.equal(landing.textOf('p/lines.json'), reader.content('p/lines.json').toString())
  assert.deepEqual(await unitFiles(), before)
})

test('a blob that is no log is refused with its reason and does not stop its neighbors', {
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

test('of a document that is rewritten with more records each lands once, through kills and lost offset files', async (t) => {
  for (const seed of seeds) {
    await t.test(`seed ${seed}`, async () => {
      const random = seededRandom(seed)
      const [opening, between, closing] = styles[random.between(0, styles.length - 1)]!
      const reader = new MemoryContainer()
      const earlier = range(1, random.between(0, 2)).map((n) => `${opening}{"early":${n}}${closing}`)
      // A byte order mark is for the blob's first byte alone.
      const prefix = earlier.map((one, index) => (index === 0 ? one : one.replace('\ufeff', ''))).join('')
      const records: string[] = []
      const expected = (): string =>
        [...earlier.map((_one, index) => `{"early":${index + 1}}`), ...records]
          .map((one) => `${one}\n`)
          .join('')
      let landing = new Landing()
      let olderMarks = landing.marks
      let isForgotten = true
      let isCopied = false
      for (let version = 1; version <= 5; version += 1) {
        for (let more = random.between(1, 4); more > 0; more -= 1)
          records.push(elements[random.between(0, elements.length - 1)]!(records.length))
        const document = `${prefix === '' ? opening : opening.replace('\ufeff', '')}${records.join(between)}${closing}`
        const keepsInstant: boolean = isForgotten || random.next() < 0.8
        isCopied ||= !keepsInstant
        reader.replace('p/doc.json', prefix + document, keepsInstant)
        const isKilled = random.next() < 0.3
        landing.isHeld = isKilled
        await schedule(reader, landing, { follow: false, blockMs: 0 }).run()
        // A process that was killed between a commit and its mirror leaves older marks; a lost file leaves none.
        const chance = random.next()
        const { marks } = landing
        const kept: readonly GenerationMark[] =
          chance < 0.2 && !isCopied ? [] : chance < 0.4 && !isForgotten ? olderMarks : marks
        landing = landing.afterKill(kept)
        olderMarks = marks
        // Then nothing but the creation instant tells that it is the same blob.
        isForgotten = kept.every(({ tail }) => tail === undefined)
        if (!isKilled) assert.equal(landing.textOf('p/doc.json'), expected(), `version ${version}`)
      }
      landing.isHeld = false
      await schedule(reader, landing, { follow: false, blockMs: 0 }).run()
      assert.equal(landing.textOf('p/doc.json'), expected())
      assert.equal(landing.generationsOf('p/doc.json').length, 1)
    })
  }
})

test('a document that grows while it is followed lands its new records alone', async () => {
  const reader = new MemoryContainer()
  const landing = new Landing()
  const documentOf = (count: number): string =>
    JSON.stringify({ records: range(1, count).map((n) => ({ n })) })
  reader.replace('p/doc.json', documentOf(2), false)
  const lanes = schedule(reader, landing, { blockMs: 0 })
  const running = lanes.run()
  for (const count of [2, 3, 7]) {
    reader.replace('p/doc.json', documentOf(count), true)
    const expected = range(1, count).map((n) => `{"n":${n}}\n`)
    await until(() => landing.textOf('p/doc.json') === expected.join(''), `${count} records are landed`)
  }
  lanes.stop()
  await running
  assert.equal(landing.generationsOf('p/doc.json').length, 1)
})
