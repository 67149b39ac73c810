import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { LandedOffset } from '../../src/offsets/landed-offsets.ts'
import { OffsetFile } from '../../src/offsets/offset-file.ts'
import { generationKey } from '../../src/records.ts'
import { watchFileCalls } from '../support/faults/file-calls.ts'

async function openStore(t: TestContext): Promise<OffsetFile> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-offsets-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return new OffsetFile({
    stateDirectory: join(directory, 'state'),
    pipeline: 'primary',
    table: 'logs.public.server',
    clock: { ...systemClock, now: () => 1_795_510_020_000 },
  })
}

test('the offsets that are written are read again, for any blobs, generations and offsets', async (t) => {
  const store = await openStore(t)
  const offset = fc.record(
    {
      blob: fc.oneof(fc.constantFrom('a', 'b', '__proto__'), fc.string()).map((name) => `logs/${name}`),
      generation: fc.constantFrom('20261124T084700Z', '20261125T000000Z'),
      offset: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    },
    { noNullPrototype: true },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(offset, { selector: generationKey, maxLength: 8 }),
      fc.option(fc.nat(), { nil: undefined }),
      async (offsets: LandedOffset[], tableVersion) => {
        await store.write(offsets, { tableVersion })
        const file = await store.read()
        assert.equal(file?.tableVersion, tableVersion)
        const byKey = (all: Iterable<LandedOffset>): Map<string, LandedOffset> =>
          new Map([...all].map((one): [string, LandedOffset] => [generationKey(one), one]).sort())
        assert.deepEqual(byKey(file?.offsets ?? []), byKey(offsets))
      },
    ),
    { numRuns: 50 },
  )
})

test('the file is readable text, names its pipeline and table, and no other file is beside it', async (t) => {
  const store = await openStore(t)
  await store.write(
    [
      { blob: 'logs/b', generation: 'g', offset: 2 },
      { blob: 'logs/a', generation: 'g', offset: 1 },
    ],
    { tableVersion: 7 },
  )
  assert.deepEqual(JSON.parse(await readFile(store.path, 'utf8')), {
    formatVersion: 1,
    pipeline: 'primary',
    table: 'logs.public.server',
    tableVersion: 7,
    updatedAt: '2026-11-24T08:47:00.000Z',
    blobs: { 'logs/a': [{ generation: 'g', offset: 1 }], 'logs/b': [{ generation: 'g', offset: 2 }] },
  })
  assert.deepEqual(await readdir(dirname(store.path)), ['primary.offset.json'])
})

test('the blobs of a file are in the order of their names', async (t) => {
  const store = await openStore(t)
  await store.write(['b', 'c', 'a'].map((blob) => ({ blob, generation: 'g', offset: 1 })))
  const { blobs } = JSON.parse(await readFile(store.path, 'utf8')) as { blobs: object }
  assert.deepEqual(Object.keys(blobs), ['a', 'b', 'c'])
})

test('an intent is read as it was written, and is removed by a write without one', async (t) => {
  const store = await openStore(t)
  const intent = {
    id: '5f0c',
    mode: 'copy-into' as const,
    spans: [{ blob: 'logs/a', generation: 'g', start: 0, end: 10 }],
    files: [{ name: 'x.parquet', bytes: 7, rows: 1 }],
  }
  for (const one of [
    intent,
    {
      ...intent,
      replaces: {
        oldRows: 'removed' as const,
        ingestedFrom: '2026-11-24 08:47:00',
        ingestedTo: '2026-11-24 08:47:01',
      },
    },
  ]) {
    await store.write([], { intent: one })
    assert.deepEqual((await store.read())?.intent, one)
  }
  await store.write([])
  assert.equal((await store.read())?.intent, undefined)
})

test('there is no file before the first write', async (t) => {
  assert.equal(await (await openStore(t)).read(), undefined)
})

test('a file that is damaged, or of another pipeline, table or unknown format, is OFFSET_FILE_CORRUPT and names the reason', async (t) => {
  const store = await openStore(t)
  await store.write([{ blob: 'logs/a', generation: 'g', offset: 1 }], { tableVersion: 7 })
  const text = await readFile(store.path, 'utf8')
  const changes: [string, RegExp][] = [
    ['', /is not JSON/],
    [text.slice(0, -10), /is not JSON/],
    ['null', /is not an offset file/],
    ['[]', /is not an offset file/],
    [text.replace('"formatVersion": 1', '"formatVersion": 0'), /formatVersion/],
    [text.replace('"offset": 1', '"offset": -1'), /offset/],
    [text.replace('"offset": 1', '"offset": 1.5'), /offset/],
    [text.replace('"primary"', '"replica"'), /belongs to pipeline replica/],
    [text.replace('logs.public.server', 'logs.public.other'), /table logs\.public\.other/],
  ]
  for (const [content, reason] of changes) {
    await writeFile(store.path, content)
    await assert.rejects(
      store.read(),
      (error) => isTailraceError(error, 'OFFSET_FILE_CORRUPT') && reason.test(error.message),
    )
  }
})

test('a file of a newer format is FORMAT_TOO_NEW, also when only its marks are read', async (t) => {
  const store = await openStore(t)
  await store.write([])
  await writeFile(store.path, '{ "formatVersion": 3, "whatever": "a newer release needs" }')
  for (const read of [() => store.read(), () => store.readMarks()]) {
    await assert.rejects(read, (error) => isTailraceError(error, 'FORMAT_TOO_NEW'))
  }
})

test('a write that fails leaves the old file and no other', async (t) => {
  const store = await openStore(t)
  await mkdir(store.path, { recursive: true })
  await writeFile(join(store.path, 'in-the-way'), '')
  await assert.rejects(store.write([], { tableVersion: 1 }))
  assert.deepEqual(await readdir(dirname(store.path)), ['primary.offset.json'])
})

test('a file that is written is on disk before it takes its name, and its name before the write is done', async (t) => {
  const store = await openStore(t)
  await store.write([], { tableVersion: 1 })
  const steps: string[] = []
  await watchFileCalls(t, {
    after: ({ name, path }) => {
      const what = path === dirname(store.path) ? 'folder' : path === store.path ? 'file' : 'temporary'
      const step = `${name} ${what}`
      // A long file is written in pieces.
      const isNew = steps.at(-1) !== step
      if (isNew && ['file.writeFile', 'file.sync', 'rename'].includes(name)) steps.push(step)
    },
  })
  await store.write([], { tableVersion: 2 })
  assert.deepEqual(steps, [
    'file.writeFile temporary',
    'file.sync temporary',
    'rename file',
    'file.sync folder',
  ])
})

test('the marks of generations are read as they were written, and only if they say more than the generation', async (t) => {
  const store = await openStore(t)
  const source = { blob: 'logs/a', generation: '20261124T084700Z' }
  const instant = {
    ...source,
    createdAt: '20261124T084700Z',
    head: undefined,
    tail: undefined,
    closing: undefined,
  }
  const marks = [
    { ...instant, head: '0+3:aa' },
    { ...instant, generation: '20261124T084700Z.2', tail: '0+3:bb', closing: 3 },
    { ...instant, generation: '20261124T084700Z.3', createdAt: '20261125T000000Z' },
    { ...instant, generation: '20261124T084700Z.4' },
  ]
  await store.write(
    [...marks, { ...source, blob: 'logs/b' }].map((mark) => ({ ...mark, offset: 9 })),
    {
      markOf: (one) =>
        marks.find(({ blob, generation }) => generationKey(one) === generationKey({ blob, generation })),
    },
  )
  const text = await readFile(store.path, 'utf8')
  assert.equal(text.match(/createdAt/g)?.length, 1, 'an instant that the generation states is not repeated')
  const expected = marks.slice(0, 3)
  assert.deepEqual((await store.read())?.marks, expected)
  assert.deepEqual(await store.readMarks(), expected)
})

test('a missing or damaged file has no marks, and one that cannot be read is an error', async (t) => {
  const store = await openStore(t)
  assert.deepEqual(await store.readMarks(), [])
  await store.write([])
  await writeFile(store.path, 'x')
  assert.deepEqual(await store.readMarks(), [])
  await rm(store.path)
  await mkdir(store.path)
  await assert.rejects(store.readMarks(), (error) => isTailraceError(error, 'DIRECTORY_UNUSABLE'))
})
