import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { isTailraceError, TailraceError } from '../../../../src/errors.ts'
import type { DeltaCommitter } from '../../../../src/sinks/delta/committer.ts'
import { mayHoldRowsOf } from '../../../../src/sinks/delta/files/rewrite.ts'
import { commitPath } from '../../../../src/sinks/delta/protocol/actions.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { FaultyStorage } from '../faulty-storage.ts'
import { committerOf, encode, placesOf, rowsOf, span, type Workbench, workbench } from '../support.ts'

const blob = 'logs/pg'

async function land(bench: Workbench, committer: DeltaCommitter, name: string, start: number, end: number) {
  const source = span(name, start, end)
  const rows = []
  for (let offset = start; offset < end; offset += 10) rows.push({ offset, seed: offset })
  await committer.land([source], await encode(bench, source, rows))
}

/** 60 rows of one blob in three commits, and 20 of another. */
async function filled(bench: Workbench, committer = committerOf(bench)): Promise<DeltaCommitter> {
  await committer.open()
  for (const start of [0, 200, 400]) await land(bench, committer, blob, start, start + 200)
  await land(bench, committer, 'logs/other', 0, 200)
  return committer
}

const range = span(blob, 150, 320)

/** Five rows for `range`, in new places. */
function replacement(bench: Workbench) {
  return encode(
    bench,
    range,
    [150, 155, 160, 200, 319].map((offset) => ({ offset, seed: 1000 + offset })),
  )
}

test('replacing a range changes its rows and no other, and leaves the offsets', async (t) => {
  const bench = await workbench(t)
  const committer = await filled(bench)
  const before = await rowsOf(bench)
  const offsets = [...committer.landed()]

  const receipt = await committer.replace(range, [await replacement(bench)])
  assert.deepEqual(receipt, { tableVersion: 5, removedRows: 17 })
  assert.deepEqual([...committer.landed()], offsets)
  const after = new Set(await rowsOf(bench))
  const outside = before.filter((line) => {
    const { source_blob, source_offset } = JSON.parse(line) as { source_blob: string; source_offset: number }
    return source_blob !== blob || source_offset < 150 || source_offset >= 320
  })
  assert.equal(after.size, outside.length + 5)
  assert.ok(outside.every((line) => after.has(line)))

  const reopened = committerOf(bench)
  await reopened.open()
  assert.deepEqual([...reopened.landed()], offsets)
  await land(bench, committer, blob, 600, 620)
})

test('replacing twice is replacing once', async (t) => {
  const bench = await workbench(t)
  const committer = await filled(bench)
  await committer.replace(range, [await replacement(bench)])
  const once = await rowsOf(bench)
  assert.equal((await committer.replace(range, [await replacement(bench)])).removedRows, 5)
  assert.deepEqual(await rowsOf(bench), once)
})

test('a replacement without rows removes the range, and removing a range without rows makes no version', async (t) => {
  const bench = await workbench(t)
  const committer = await filled(bench)
  assert.deepEqual(await committer.replace(span(blob, 0, 600), []), { tableVersion: 5, removedRows: 60 })
  assert.deepEqual(await committer.replace(span(blob, 0, 600), []), { tableVersion: 5, removedRows: 0 })
  assert.equal((await placesOf(bench)).length, 20)
  assert.deepEqual(await readdir(bench.staging, { recursive: true }).then(parquetOnly), [])
})

test('the remaining rows of a large file are written in small row groups, because they may be wide', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  const source = span(blob, 0, 25_000)
  const rows = Array.from({ length: 25_000 }, (_, offset) => ({ offset, seed: 3 }))
  await committer.land([source], await encode(bench, source, rows))
  assert.equal((await committer.replace(span(blob, 0, 10), [])).removedRows, 10)
  const files = (await readTable(bench.storage, bench.engine))!.files
  assert.equal(files.length, 1)
  const path = sqlString(join(bench.table, files[0]!.path))
  const [facts] = await bench.engine.rows(
    `SELECT num_rows::INTEGER AS num_rows, num_row_groups::INTEGER AS groups FROM parquet_file_metadata(${path})`,
  )
  assert.deepEqual(facts, { num_rows: 24_990, groups: 3 })
})

test('a file that the engine cannot read ends a replacement with its code and leaves no staged file', async (t) => {
  const bench = await workbench(t)
  const committer = await filled(bench)
  for (const path of await bench.dataFiles()) await writeFile(join(bench.table, path), 'not Parquet')
  await assert.rejects(committer.replace(range, []), (error) => isTailraceError(error, 'TABLE_CORRUPT'))
  assert.equal(committer.tableVersion, 4)
  assert.deepEqual(await readdir(bench.staging, { recursive: true }).then(parquetOnly), [])
})

test('rows of another generation of the blob stay', async (t) => {
  const bench = await workbench(t)
  const committer = await filled(bench)
  const other = span(blob, 150, 320, '20270101T000000Z')
  assert.deepEqual(await committer.replace(other, []), { tableVersion: 4, removedRows: 0 })
})

test('a range that meanwhile got rows is computed again', async (t) => {
  const bench = await workbench(t)
  const storage = new FaultyStorage(bench.storage)
  const committer = await filled(bench, committerOf(bench, { storage }))
  const other = committerOf(bench)
  await other.open()
  const replaced = await replacement(bench)
  storage.beforePut.push(async () => {
    await other.replace(span(blob, 160, 170), [
      await encode(bench, span(blob, 160, 170), [{ offset: 165, seed: 7 }]),
    ])
  })
  // Had it gone on with what it knew, the row at 165 would remain beside the replacement.
  assert.deepEqual(await committer.replace(range, [replaced]), { tableVersion: 6, removedRows: 17 })
  const places = (await placesOf(bench)).filter(
    ([name, offset]) => name === blob && offset >= 150 && offset < 320,
  )
  assert.deepEqual(
    places.map(([, offset]) => offset),
    [150, 155, 160, 200, 319],
  )
})

test('commits that do not touch the range only move the replacement to a later version', async (t) => {
  const bench = await workbench(t)
  const storage = new FaultyStorage(bench.storage)
  const committer = await filled(bench, committerOf(bench, { storage }))
  const other = committerOf(bench)
  await other.open()
  let rewrites = 0
  storage.beforePut.push(
    () => land(bench, other, blob, 600, 640),
    async () => {
      rewrites += 1
    },
  )
  assert.deepEqual(await committer.replace(range, [await replacement(bench)]), {
    tableVersion: 6,
    removedRows: 17,
  })
  assert.equal(rewrites, 1)
  assert.equal((await placesOf(bench)).length, 60 - 17 + 5 + 20 + 4)
})

test('a replacement that fails leaves the table and the staged files as they were', async (t) => {
  const bench = await workbench(t)
  const storage = new FaultyStorage(bench.storage)
  const committer = await filled(bench, committerOf(bench, { storage }))
  const [rows, files] = [await rowsOf(bench), await bench.dataFiles()]
  const replaced = await replacement(bench)
  storage.failNext(new TailraceError('DISK_FULL', 'No space left.'))
  await assert.rejects(committer.replace(range, [replaced]), (error) => isTailraceError(error, 'DISK_FULL'))
  assert.deepEqual(await rowsOf(bench), rows)
  assert.deepEqual(await bench.dataFiles(), files)
  assert.deepEqual(await committer.replace(range, [replaced]), { tableVersion: 5, removedRows: 17 })
})

test('a file outside of the table is refused for replacement and query', async (t) => {
  const bench = await workbench(t)
  const committer = await filled(bench)
  const add = {
    path: '/elsewhere/x.parquet',
    partitionValues: { event_date: '2026-01-01' },
    size: 1,
    modificationTime: 1,
    dataChange: true,
  }
  await writeFile(join(bench.table, commitPath(5)), `${JSON.stringify({ add })}\n`)
  const refused = (error: unknown) =>
    isTailraceError(error, 'TABLE_UNSUPPORTED') && /x\.parquet/.test(error.message)
  await assert.rejects(committer.replace(range, []), refused)
  await assert.rejects(readTable(bench.storage, bench.engine), refused)
})

test('statistics rule a file out only when they prove that it has no row of the span', () => {
  const stats = (min: object, max: object) => ({
    stats: JSON.stringify({ numRecords: 9, minValues: min, maxValues: max }),
  })
  const source = span('b', 100, 200, 'g')
  const provenance = { source_blob: 'b', source_generation: 'g' }
  const cases: [object, object, boolean][] = [
    [{}, {}, true],
    [{ ...provenance, source_offset: 0 }, { ...provenance, source_offset: 99 }, false],
    [{ ...provenance, source_offset: 0 }, { ...provenance, source_offset: 100 }, true],
    [{ ...provenance, source_offset: 199 }, { ...provenance, source_offset: 300 }, true],
    [{ ...provenance, source_offset: 200 }, { ...provenance, source_offset: 300 }, false],
    [{ source_blob: 'a' }, { source_blob: 'c' }, true],
    [{ source_blob: 'ba' }, { source_blob: 'c' }, false],
    [{ source_blob: 'a' }, { source_blob: 'a\x7f' }, false],
    [{ source_generation: 'h' }, { source_generation: 'h' }, false],
  ]
  for (const [min, max, may] of cases) assert.equal(mayHoldRowsOf(source, stats(min, max)), may)
  assert.equal(mayHoldRowsOf(source, {}), true)
})

type Step =
  | { readonly kind: 'land'; readonly blob: string; readonly rows: number }
  | {
      readonly kind: 'replace'
      readonly blob: string
      readonly from: number
      readonly to: number
      readonly rows: number
    }
  | { readonly kind: 'reopen' }

test('any sequence of landings and replacements by two writers leaves the rows of a simple model', async (t) => {
  const name = fc.constantFrom('logs/a', 'logs/b')
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('land' as const), blob: name, rows: fc.nat(8) }),
    fc.record({
      kind: fc.constant('replace' as const),
      blob: name,
      from: fc.nat(10),
      to: fc.nat(10),
      rows: fc.nat(5),
    }),
    fc.record({ kind: fc.constant('reopen' as const) }),
  )
  const steps = fc.array(fc.tuple(fc.nat(1), step), { minLength: 3, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const bench = await workbench(t)
      const writers = [committerOf(bench), committerOf(bench)]
      for (const writer of writers) await writer.open()
      const model = new Map<string, Map<number, number>>([
        ['logs/a', new Map()],
        ['logs/b', new Map()],
      ])
      const ends = new Map([
        ['logs/a', 0],
        ['logs/b', 0],
      ])
      let seed = 0
      for (const [index, action] of sequence) {
        if (action.kind === 'reopen') {
          writers[index] = committerOf(bench)
          await writers[index].open()
          continue
        }
        const writer = writers[index]!
        const end = ends.get(action.blob)!
        const offsets = model.get(action.blob)!
        const source =
          action.kind === 'land'
            ? span(action.blob, end, end + 10)
            : span(
                action.blob,
                Math.floor((end * Math.min(action.from, action.to)) / 10),
                Math.floor((end * Math.max(action.from, action.to)) / 10),
              )
        const count = Math.min(action.rows, source.end - source.start)
        const firstSeed = seed
        const rows = Array.from({ length: count }, (_, row) => ({
          offset: source.start + row,
          seed: firstSeed + row,
        }))
        seed += count
        const encoded = await encode(bench, source, rows)
        if (action.kind === 'land') {
          // Replacing nothing reads what the other writer did.
          await writer.replace(span('logs/none', 0, 0), [])
          await writer.land([source], encoded)
          ends.set(action.blob, source.end)
        } else {
          // Without a refresh: what another writer did meanwhile must be noticed.
          await writer.replace(source, [encoded])
          for (const offset of offsets.keys())
            if (offset >= source.start && offset < source.end) offsets.delete(offset)
        }
        for (const row of rows) offsets.set(row.offset, row.seed)
      }
      const expected = Array.from(model, ([blobName, offsets]) =>
        Array.from(offsets, ([offset, value]) => [blobName, offset, value] as const).sort(
          ([, a], [, b]) => a - b,
        ),
      ).flat()
      assert.deepEqual(await placesOf(bench), expected)
    }),
    { numRuns: 15 },
  )
})

function parquetOnly(names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith('.parquet'))
}
