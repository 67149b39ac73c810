import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../../src/errors.ts'
import { commitPath, decodeCommit } from '../../../src/sinks/delta/delta-action.ts'
import { sqlString } from '../../../src/sinks/duckdb.ts'
import { committerOf, encode, placesOf, span, type Workbench, workbench } from './support.ts'

/** A table of six versions. */
async function filled(bench: Workbench): Promise<void> {
  const committer = committerOf(bench)
  await committer.open()
  for (let start = 0; start < 50; start += 10) {
    const source = span('logs/pg', start, start + 10)
    await committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
  }
}

function corrupt(pattern: RegExp) {
  return (error: unknown) => isTailraceError(error, 'TABLE_CORRUPT') && pattern.test(error.message)
}

test('a missing version is named, wherever it is', async (t) => {
  for (const version of [0, 3]) {
    const bench = await workbench(t)
    await filled(bench)
    await rm(join(bench.table, commitPath(version)))
    await assert.rejects(committerOf(bench).open(), corrupt(new RegExp(`${commitPath(version)} is missing`)))
  }
})

test('a half-written version is named, wherever it is cut', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  const path = join(bench.table, commitPath(5))
  const whole = await readFile(path)
  for (const bytes of [0, 1, 40, whole.length - 2]) {
    await writeFile(path, whole.subarray(0, bytes))
    await assert.rejects(committerOf(bench).open(), corrupt(/Line \d of _delta_log\/0{19}5\.json/))
  }
})

test('a log without protocol is no table', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  const path = join(bench.table, commitPath(0))
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => !line.includes('"protocol"'))
  await writeFile(path, lines.join('\n'))
  await assert.rejects(committerOf(bench).open(), corrupt(/No protocol action/))
})

test('statistics and numbers beyond 2^53 come out of the log as they went in', () => {
  const stats = '{"numRecords":1,"maxValues":{"q":-6883023751393440299}}'
  const lines = [
    `{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"stats":${JSON.stringify(stats)}}}`,
    '{"txn":{"appId":"x","version":9007199254740993}}',
    '{"commitInfo":{"txnId":"id"}}',
    '{"unheardOf":{}}',
  ]
  const commit = decodeCommit(7, Buffer.from(lines.join('\n')))
  assert.equal(commit.txnId, 'id')
  assert.equal(commit.actions.length, 2)
  const [first, second] = commit.actions
  assert.ok(first && 'add' in first && first.add.stats === stats)
  assert.ok(second && 'txn' in second && second.txn.version === 9007199254740993n)
})

/** Writes a classic checkpoint of version 3 the way other writers do, and deletes the commits before it. */
async function checkpointAt3(bench: Workbench, extra = ''): Promise<void> {
  const commits = [0, 1, 2, 3].map((version) => sqlString(join(bench.table, commitPath(version))))
  const target = join(bench.table, '_delta_log', '00000000000000000003.checkpoint.parquet')
  const types = `{
    txn: 'STRUCT("appId" VARCHAR, "version" BIGINT, "lastUpdated" BIGINT)',
    add: 'STRUCT("path" VARCHAR, "partitionValues" MAP(VARCHAR, VARCHAR), "size" BIGINT, "modificationTime" BIGINT, "dataChange" BOOLEAN, "stats" VARCHAR)',
    metaData: 'STRUCT("id" VARCHAR, "format" STRUCT("provider" VARCHAR), "schemaString" VARCHAR, "partitionColumns" VARCHAR[], "configuration" MAP(VARCHAR, VARCHAR))',
    protocol: 'STRUCT("minReaderVersion" INTEGER, "minWriterVersion" INTEGER)'
  }`
  await bench.engine.run(
    `COPY (SELECT *${extra} FROM read_json([${commits.join(', ')}], format = 'newline_delimited', columns = ${types})
      WHERE coalesce(txn.appId, add.path, metaData.id, protocol.minReaderVersion::VARCHAR) IS NOT NULL
      -- Only the newest offset of the one blob belongs into a checkpoint.
      AND (txn IS NULL OR txn.version = 30)) TO ${sqlString(target)} (FORMAT parquet)`,
  )
  for (const version of [0, 1, 2]) await rm(join(bench.table, commitPath(version)))
}

test('a table whose first versions are only in a classic checkpoint opens, queries and grows', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  const before = await placesOf(bench)
  await checkpointAt3(bench)
  assert.deepEqual(await placesOf(bench), before)
  const committer = committerOf(bench)
  await committer.open()
  assert.equal(committer.tableVersion, 5)
  assert.equal(committer.committed().get('logs/pg@20261124T084700Z')?.offset, 50)
  assert.deepEqual(await committer.replace(span('logs/pg', 0, 25), []), { tableVersion: 6, removedRows: 3 })
  assert.deepEqual(
    (await placesOf(bench)).map(([, offset]) => offset),
    [30, 40],
  )

  await rm(join(bench.table, commitPath(4)))
  await assert.rejects(committerOf(bench).open(), corrupt(/0{19}4\.json is missing/))
})

test('a table that can only be read from a checkpoint in parts is unsupported, not corrupt', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  const part = '00000000000000000003.checkpoint.0000000001.0000000002.parquet'
  await writeFile(join(bench.table, '_delta_log', part), '')
  await committerOf(bench).open()
  for (const version of [0, 1, 2]) await rm(join(bench.table, commitPath(version)))
  await assert.rejects(committerOf(bench).open(), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
  for (const version of [3, 4, 5]) await rm(join(bench.table, commitPath(version)))
  await assert.rejects(committerOf(bench).open(), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
})

test('a table of which only a checkpoint is left opens and grows', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  await checkpointAt3(bench)
  for (const version of [3, 4, 5]) await rm(join(bench.table, commitPath(version)))
  const committer = committerOf(bench)
  await committer.open()
  assert.equal(committer.tableVersion, 3)
  const source = span('logs/pg', 30, 40)
  assert.deepEqual(await committer.land([source], await encode(bench, source, [{ offset: 30, seed: 1 }])), {
    tableVersion: 4,
  })
})

test('a checkpoint that cannot be read, or has another layout, is named', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  await checkpointAt3(bench, ', {version: 3} AS checkpointMetadata')
  await assert.rejects(committerOf(bench).open(), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
  await writeFile(join(bench.table, '_delta_log', '00000000000000000003.checkpoint.parquet'), 'PAR1')
  await assert.rejects(committerOf(bench).open(), corrupt(/0{19}3\.checkpoint\.parquet cannot be read/))
})
