import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import { isTailraceError } from '../../../../src/errors.ts'
import { LiveRows, withLiveRows } from '../../../../src/sinks/delta/files/live-rows.ts'
import { readRoaringBitmap } from '../../../../src/sinks/delta/protocol/roaring-bitmap.ts'
import { EmbeddedEngine, parquetSql, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { encodeRoaring } from '../deletion-vectors.ts'

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

/** How many masks the engine holds, and in how many tables. */
async function heldMasks(engine: EmbeddedEngine) {
  const [held] = await engine.rows(
    'SELECT count(*)::INTEGER AS tables, coalesce(sum(estimated_size), 0)::INTEGER AS masks FROM duckdb_tables()',
  )
  return held
}

test('files without deleted rows are read as they are', async (t) => {
  const { engine } = await twoFiles(t)
  const rows = new LiveRows(engine, 'none')
  assert.equal(
    await rows.relation([{ path: 'a' }, { path: 'b', deleted: setOf([]) }]),
    "read_parquet(['a', 'b'], hive_partitioning = false, union_by_name = true)",
  )
  assert.deepEqual(await heldMasks(engine), { tables: 0, masks: 0 })
})

test('many scattered deletions need no long statement, and none of the deleted rows remains', async (t) => {
  const { engine, paths } = await twoFiles(t)
  const rowCount = 64 * 25_000
  await engine.run(`COPY (SELECT i AS id FROM range(${rowCount}) rows(i) ORDER BY i)
    TO ${sqlString(paths[0])} (FORMAT parquet)`)
  const words = Array.from({ length: 25_000 }, (_, index) => index)
  const deleted = { words, masks: words.map(() => 0x8000_0000_0000_0001n), count: 50_000 }
  await withLiveRows(
    engine,
    [
      { path: paths[0], deleted },
      { path: paths[1], deleted: setOf([0]) },
    ],
    async (relation) => {
      assert.ok(relation.length < 2_000)
      assert.deepEqual(await heldMasks(engine), { tables: 1, masks: 25_001 })
      const [row] = await engine.rows(
        `SELECT count(*)::INTEGER AS rows, count(*) FILTER (WHERE id % 64 IN (0, 63) AND more IS NULL)::INTEGER AS wrong
        FROM (SELECT * FROM ${relation})`,
      )
      assert.deepEqual(row, { rows: rowCount - 50_000 + rowsInFile - 1, wrong: 0 })
    },
  )
  assert.deepEqual(await heldMasks(engine), { tables: 0, masks: 0 })
  await assert.rejects(
    withLiveRows(engine, [{ path: paths[1], deleted: setOf([0]) }], () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.deepEqual(await heldMasks(engine), { tables: 0, masks: 0 })
})

test('several relations of one name keep apart what is deleted in each', async (t) => {
  const { engine, paths } = await twoFiles(t)
  const rows = new LiveRows(engine, 'both')
  const relations: string[] = []
  for (const [index, path] of paths.entries()) {
    relations.push(await rows.relation([{ path, deleted: setOf([index, 100 + index]) }]))
  }
  for (const [index, relation] of relations.entries()) {
    const gone = await engine.rows(`SELECT (id - ${index * 10_000})::INTEGER AS row
      FROM (SELECT id FROM ${parquetSql([paths[index]!])} EXCEPT SELECT id FROM ${relation}) ORDER BY row`)
    assert.deepEqual(
      gone.map(({ row }) => row),
      [index, 100 + index],
    )
  }
})

test("a path's characters stand for themselves", async (t) => {
  const { engine, paths } = await twoFiles(t)
  const names = ['a?c', 'abc', 'a*c', 'a[b]c', 'a[!b]c', 'a]c', 'a\\c', 'a**c']
  const marked = names.map((name) => join(dirname(paths[0]), name, 'x.parquet'))
  for (const [index, path] of marked.entries()) {
    await mkdir(dirname(path))
    await writeFile(path, '')
    // The engine writes to the path as it is.
    await engine.run(
      `COPY (SELECT ${index} AS file, i AS id FROM range(3) rows(i)) TO ${sqlString(path)} (FORMAT parquet)`,
    )
  }
  for (const [index, path] of marked.entries()) {
    const plain = await engine.rows(`SELECT file::INTEGER AS file FROM ${parquetSql([path])}`)
    assert.deepEqual(plain, [{ file: index }, { file: index }, { file: index }], path)
    const left = await withLiveRows(engine, [{ path, deleted: setOf([1]) }], (relation) =>
      engine.rows(`SELECT file::INTEGER AS file, id::INTEGER AS id FROM ${relation} ORDER BY id`),
    )
    assert.deepEqual(left, [
      { file: index, id: 0 },
      { file: index, id: 2 },
    ])
  }
  const sources = marked.map((path, index) => ({ path, deleted: setOf([index % 3]) }))
  const all = await withLiveRows(engine, sources, (relation) =>
    engine.rows(
      `SELECT file::INTEGER AS file, list(id ORDER BY id)::INTEGER[] AS ids FROM ${relation} GROUP BY file ORDER BY file`,
    ),
  )
  assert.deepEqual(
    all,
    names.map((_, file) => ({ file, ids: [0, 1, 2].filter((id) => id !== file % 3) })),
  )
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
      const rows = new LiveRows(engine, 'any')
      await rows.drop()
      const source = await rows.relation([
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

test('a file that has a column of a name that counts its rows is refused rather than misread', async (t) => {
  const { engine, paths } = await twoFiles(t)
  const rows = new LiveRows(engine, 'refused')
  for (const name of ['file_row_number', 'File_Index']) {
    await engine.run(`COPY (SELECT 1 AS x, 7 AS ${name}) TO ${sqlString(paths[0])} (FORMAT parquet)`)
    await assert.rejects(
      rows.relation([
        { path: paths[1], deleted: setOf([1]) },
        { path: paths[0], deleted: setOf([7]) },
      ]),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes(` ${name},`),
    )
    assert.deepEqual(await engine.rows(`FROM ${await rows.relation([{ path: paths[0] }])}`), [
      { x: 1, [name]: 7 },
    ])
  }
})

test('the columns are those of the files and no more', async (t) => {
  const { engine, paths } = await twoFiles(t)
  const sources = [{ path: paths[0] }, { path: paths[1], deleted: setOf([1]) }]
  const described = await withLiveRows(engine, sources, (relation) =>
    engine.rows(`DESCRIBE FROM ${relation}`),
  )
  assert.deepEqual(
    described.map((row) => row.column_name),
    ['id', 'more'],
  )
})
