import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../../../src/clock.ts'
import { resolveConfig } from '../../../../src/config/resolve.ts'
import type { LiveFile, TableContents } from '../../../../src/sinks/delta/files/live-files.ts'
import { FileSchemas } from '../../../../src/sinks/delta/query/file-schemas.ts'
import { FollowedTable } from '../../../../src/sinks/delta/query/followed-table.ts'
import { queryViews } from '../../../../src/sinks/delta/query/query.ts'
import { createViews } from '../../../../src/sinks/delta/query/views.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import { deltaTarget } from '../../../support/delta-target.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

/** What writers leave: files of one form in several partitions, and files of other forms beside them. */
const files: readonly (readonly [path: string, day: string | null, select: string])[] = [
  ['a/1.parquet', '2026-11-01', "1::BIGINT AS n, 'one' AS text"],
  ['b/1.parquet', '2026-11-02', "2::BIGINT AS n, 'two' AS text"],
  ['c/1.parquet', null, "3::BIGINT AS n, 'three' AS text"],
  // Its date is that of the log.
  ['a/2.parquet', '2026-11-01', "4::BIGINT AS n, 'four' AS text, DATE '1999-01-01' AS day"],
  ['b/2.parquet', '2026-11-02', '5::BIGINT AS n'],
  ['b/3.parquet', '2026-11-02', "'six' AS text, 6::INTEGER AS n"],
  // The engine would take it for the number of a file.
  ['c/2.parquet', '2026-11-03', "7::BIGINT AS n, 'seven' AS text, 1::BIGINT AS File_Index"],
  ['c/3.parquet', '2026-11-04', "8::BIGINT AS n, 'eight' AS text, {'a': 1} AS nested, [2] AS list"],
  ['a/3 [x]*.parquet', '2026-11-05', "9::BIGINT AS n, 'nine' AS text"],
]

test('rows of files with the same and with other columns have their own values, and those of their partition', async (t) => {
  const directory = await temporaryDirectory(t)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(() => engine.close())
  for (const [path, , select] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await engine.run(`COPY (SELECT ${select}) TO ${sqlString(join(directory, path))} (FORMAT parquet)`)
  }
  const live = files.map(([path, day]): LiveFile => ({ path, partitionValues: { day }, bytes: 1 }))
  const contents: TableContents = {
    tableVersion: 1,
    partitionColumns: ['day'],
    columns: [
      { name: 'n', type: 'long', sqlType: 'BIGINT' },
      { name: 'text', type: 'string', sqlType: 'VARCHAR' },
      { name: 'day', type: 'date', sqlType: 'DATE' },
    ],
    files: live,
  }
  const schemas = new FileSchemas()
  const { alike, others } = await schemas.groups(
    engine,
    live.map((file) => ({ file, path: join(directory, file.path) })),
  )
  assert.deepEqual(alike.map(({ length }) => length).sort(), [1, 1, 1, 4])
  assert.deepEqual(
    others.map(({ file }) => file.path),
    ['c/2.parquet', 'c/3.parquet'],
  )

  const config = resolveConfig(
    {
      pipelines: {
        mixed: {
          source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'pg' },
          table: postgresLogs('test.logs.mixed'),
          sink: { kind: 'delta', root: directory },
        },
      },
    },
    '/',
  )
  const storage = new LocalDeltaStorage(directory)
  const { views } = await createViews(engine, [deltaTarget(config, 'mixed')], async () => ({
    storage,
    contents,
    schemas,
  }))
  const rows: (readonly unknown[])[] = []
  const sql = 'SELECT n, text, day FROM test.logs.mixed ORDER BY n'
  // Twice: the second statement knows the files.
  for (const _ of [1, 2]) {
    rows.length = 0
    await queryViews(engine, views, sql, {
      take: async (batch) => {
        rows.push(...batch.rows)
        return true
      },
    })
    const texts = ['one', 'two', 'three', 'four', null, 'six', 'seven', 'eight', 'nine']
    assert.deepEqual(
      rows,
      files.map(([, day], index) => [String(index + 1), texts[index], day]),
    )
  }
})

test('a followed table reads the columns of a file once, and forgets those of files that its newest version lacks', async (t) => {
  const directory = await temporaryDirectory(t)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(() => engine.close())
  const commit = async (version: number, actions: readonly object[]): Promise<void> => {
    const name = `${String(version).padStart(20, '0')}.json`
    await writeFile(join(directory, '_delta_log', name), actions.map((one) => JSON.stringify(one)).join('\n'))
  }
  const add = (path: string): object => ({
    add: { path, partitionValues: {}, size: 1, modificationTime: 1, dataChange: true },
  })
  const fields = [{ name: 'n', type: 'long', nullable: true, metadata: {} }]
  await mkdir(join(directory, '_delta_log'))
  await commit(0, [
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    {
      metaData: {
        id: 'followed',
        format: { provider: 'parquet', options: {} },
        schemaString: JSON.stringify({ type: 'struct', fields }),
        partitionColumns: [],
        configuration: {},
      },
    },
    ...['old.parquet', 'kept.parquet'].map(add),
  ])
  const followed = new FollowedTable(new LocalDeltaStorage(directory), {
    moment: {},
    freshMs: 0,
    clock: systemClock,
  })
  const groups = (path: string): Promise<{ alike: readonly (readonly unknown[])[] }> =>
    followed.schemas.groups(engine, [{ file: { path }, path: join(directory, path) }])
  await followed.contents()
  for (const path of ['old.parquet', 'kept.parquet']) {
    await engine.run(`COPY (SELECT 1::BIGINT AS n) TO ${sqlString(join(directory, path))} (FORMAT parquet)`)
    await groups(path)
    await rm(join(directory, path))
    assert.equal((await groups(path)).alike.length, 1)
  }

  const remove = { path: 'old.parquet', deletionTimestamp: 1, dataChange: true }
  await commit(1, [{ remove }, add('new.parquet')])
  assert.equal((await followed.contents())?.tableVersion, 1)
  assert.equal((await groups('kept.parquet')).alike.length, 1)
  await assert.rejects(groups('old.parquet'), /old\.parquet/)
})
