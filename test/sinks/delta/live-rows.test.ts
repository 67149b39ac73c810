import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import { liveRowsSql } from '../../../src/sinks/delta/live-rows.ts'
import { readRoaringBitmap } from '../../../src/sinks/delta/roaring-bitmap.ts'
import { EmbeddedEngine, sqlString } from '../../../src/sinks/duckdb.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { encodeRoaring } from './deletion-vectors.ts'

const rowsInFile = 5_000

function setOf(rows: readonly number[]) {
  return readRoaringBitmap(encodeRoaring(rows), rows.length)
}

/** Two files of three row groups each, whose columns differ; `id` is the row number, from 10,000 on in the second. */
async function twoFiles(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(() => engine.close())
  const paths = ["it's one.parquet", 'two.parquet'].map((name) => join(directory, name))
  for (const [index, path] of paths.entries()) {
    const more = index === 0 ? '' : ", 'more' AS more"
    await engine.run(`COPY (SELECT ${index * 10_000} + i AS id${more} FROM range(${rowsInFile}) rows(i) ORDER BY i)
      TO ${sqlString(path)} (FORMAT parquet, ROW_GROUP_SIZE 2048)`)
  }
  return { engine, paths: paths as [string, string] }
}

test('files without deleted rows are read as they are', () => {
  const plain = "read_parquet(['a', 'b'], hive_partitioning = false, union_by_name = true)"
  assert.equal(liveRowsSql([{ path: 'a' }, { path: 'b', deleted: setOf([]) }]), plain)
})

test('exactly the rows that are not deleted are read, whatever is asked of them', async (t) => {
  const { engine, paths } = await twoFiles(t)
  const anyRows = fc
    .array(fc.tuple(fc.nat(rowsInFile - 1), fc.constantFrom(1, 1, 3, 64, 2_100)), { maxLength: 6 })
    .map((runs) => {
      const rows = new Set(
        runs.flatMap(([first, count]) => Array.from({ length: count }, (_, more) => first + more)),
      )
      return [...rows].filter((row) => row < rowsInFile).sort((a, b) => a - b)
    })
  const anyId = fc.nat(15_000)
  await fc.assert(
    fc.asyncProperty(anyRows, anyRows, anyId, anyId, async (first, second, low, high) => {
      const source = liveRowsSql([
        { path: paths[0], deleted: setOf(first) },
        { path: paths[1], deleted: setOf(second) },
      ])
      const gone = new Set([...first, ...second.map((row) => row + 10_000)])
      const expected = [0, 10_000]
        .flatMap((from) => Array.from({ length: rowsInFile }, (_, index) => from + index))
        .filter((id) => !gone.has(id))
      const [all] = await engine.rows(
        `SELECT list(id ORDER BY id)::INTEGER[] AS ids, count(more)::INTEGER AS more FROM ${source}`,
      )
      assert.deepEqual(all?.ids ?? [], expected)
      assert.equal(all?.more, rowsInFile - second.length)
      const some = await engine.rows(
        `SELECT id::INTEGER AS id FROM ${source} WHERE id BETWEEN ${low} AND ${high} ORDER BY id`,
      )
      assert.deepEqual(
        some.map(({ id }) => id),
        expected.filter((id) => id >= low && id <= high),
      )
    }),
    { numRuns: 40 },
  )
})

test('a file that has a column of the name that counts its rows is refused rather than misread', async (t) => {
  const { engine, paths } = await twoFiles(t)
  await engine.run(`COPY (SELECT 1 AS x, 7 AS file_row_number) TO ${sqlString(paths[0])} (FORMAT parquet)`)
  await assert.rejects(
    engine.rows(`FROM ${liveRowsSql([{ path: paths[0], deleted: setOf([7]) }])}`),
    /file_row_number/,
  )
  assert.deepEqual(await engine.rows(`FROM ${liveRowsSql([{ path: paths[0] }])}`), [
    { x: 1, file_row_number: 7 },
  ])
})

test('the columns are those of the files and no more', async (t) => {
  const { engine, paths } = await twoFiles(t)
  const sources = [{ path: paths[0] }, { path: paths[1], deleted: setOf([1]) }]
  const described = await engine.rows(`DESCRIBE FROM ${liveRowsSql(sources)}`)
  assert.deepEqual(
    described.map((row) => row.column_name),
    ['id', 'more'],
  )
})
