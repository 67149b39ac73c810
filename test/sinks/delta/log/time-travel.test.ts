import assert from 'node:assert/strict'
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { readHistory } from '../../../../src/sinks/delta/log/history.ts'
import { readableVersions } from '../../../../src/sinks/delta/log/listing.ts'
import { versionAt } from '../../../../src/sinks/delta/log/time-travel.ts'
import {
  commitPath,
  type DeltaAction,
  encodeActions,
  type MetaDataAction,
} from '../../../../src/sinks/delta/protocol/actions.ts'
import { schemaString } from '../../../../src/sinks/delta/protocol/schema.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { onEachStorage } from '../on-each-storage.ts'
import { columns, committerOf, encode, span, type Workbench, workbench } from '../support.ts'

const hour = 3_600_000
const start = Date.UTC(2026, 0, 1)

async function land(bench: Workbench, commits: number): Promise<void> {
  const committer = committerOf(bench)
  await committer.open()
  for (let index = 0; index < commits; index += 1) {
    const source = span('logs/pg', index * 10, index * 10 + 10)
    await committer.land([source], await encode(bench, source, [{ offset: source.start, seed: index }]))
  }
  await committer.close()
}

/** Gives commit files their times, in hours from the start. */
async function setTimes(bench: Workbench, hours: readonly number[]): Promise<void> {
  for (const [version, at] of hours.entries()) {
    const time = new Date(start + at * hour)
    await utimes(join(bench.table, commitPath(version)), time, time)
  }
}

const at = (bench: Workbench, hours: number) => versionAt(bench.storage, start + hours * hour)

const isUnavailable = (message: RegExp) => (error: unknown) =>
  isTailraceError(error, 'TABLE_VERSION_UNAVAILABLE') && message.test(error.message)

onEachStorage('every version is the table as it was after that many batches', async (bench) => {
  await land(bench, 5)
  const committer = committerOf(bench)
  await committer.open()
  await committer.replace(span('logs/pg', 0, 20), [])
  for (const version of [0, 1, 3, 5]) {
    const contents = await readTable(bench.storage, bench.engine, version)
    assert.deepEqual([contents?.tableVersion, contents?.files.length], [version, version])
  }
  assert.equal((await readTable(bench.storage, bench.engine, 6))?.files.length, 3)
  await assert.rejects(
    readTable(bench.storage, bench.engine, 7),
    isUnavailable(/Version 7 cannot be read: the log of .* has 0 to 6\./),
  )
})

onEachStorage('a log whose beginning is gone has versions from its first checkpoint on', async (bench) => {
  await land(bench, 43)
  for (let version = 0; version < 20; version += 1) await bench.storage.remove(commitPath(version))
  for (const version of [20, 27, 40, 43]) {
    assert.equal((await readTable(bench.storage, bench.engine, version))?.files.length, version)
  }
  await assert.rejects(readTable(bench.storage, bench.engine, 19), isUnavailable(/has 20 to 43\./))
  const history = await readHistory(bench.storage, 3)
  assert.deepEqual(
    [history?.firstVersion, history?.lastVersion, history?.commits.map(({ version }) => version)],
    [20, 43, [43, 42, 41]],
  )
})

test('a hole in the log begins it anew behind the next checkpoint', () => {
  const checkpoint = (version: number) => ({ version, names: [], format: 'parquet' as const })
  const range = (commits: number[], ...checkpoints: number[]) =>
    readableVersions({ commits, checkpoints: checkpoints.map(checkpoint) })
  assert.equal(range([]), undefined)
  assert.deepEqual(range([0, 1, 2]), { first: 0, last: 2 })
  assert.deepEqual(range([0, 1, 3, 4, 5], 4), { first: 4, last: 5 })
  assert.deepEqual(range([0, 1, 3, 4, 5], 2), { first: 2, last: 5 })
  assert.deepEqual(range([3, 4, 5], 7, 2), { first: 7, last: 7 })
  assert.equal(range([3, 4, 5]), undefined)
})

test('a time stands for the newest version of that time or before, by the times of the files', async (t) => {
  const bench = await workbench(t)
  await land(bench, 3)
  await setTimes(bench, [0, 1, 2, 3])
  assert.equal(await at(bench, 0), 0)
  assert.equal(await at(bench, 1.5), 1)
  assert.equal(await at(bench, 2), 2)
  assert.equal(await at(bench, 1000), 3)
  await assert.rejects(
    at(bench, -1),
    isUnavailable(/at 2025-12-31T23:00:00.000Z .* has from version 0, of 2026-01-01T00:00:00.000Z, on\./),
  )
  const history = await readHistory(bench.storage, 10)
  for (const { version, timeMs } of history?.commits ?? []) {
    assert.equal(await versionAt(bench.storage, timeMs), version, 'a listed time leads to its version')
  }
})

test('files that seem older than the commit before count as a millisecond younger than it', async (t) => {
  const bench = await workbench(t)
  await land(bench, 4)
  await setTimes(bench, [5, 1, 1, 9, 2])
  const history = await readHistory(bench.storage, 10)
  assert.deepEqual(
    history?.commits.map(({ timeMs }) => timeMs - start),
    [9 * hour + 1, 9 * hour, 5 * hour + 2, 5 * hour + 1, 5 * hour],
  )
  assert.equal(await at(bench, 5), 0)
  assert.equal(await at(bench, 8), 2)
})

test('a commit has the time that it states, and an earlier one without it that of its file', async (t) => {
  const bench = await workbench(t)
  await bench.storage.prepare()
  const metaData: MetaDataAction = {
    id: 'x',
    format: { provider: 'parquet', options: {} },
    schemaString: schemaString(columns),
    partitionColumns: ['event_date'],
    configuration: {},
  }
  const protocol = {
    minReaderVersion: 1,
    minWriterVersion: 7,
    writerFeatures: ['inCommitTimestamp'],
  }
  const info = (hours: number) =>
    ({
      commitInfo: { inCommitTimestamp: start + hours * hour, timestamp: 0, operation: 'SET' },
    }) as unknown as DeltaAction
  const configuration = { 'delta.enableInCommitTimestamps': 'true' }
  const commits: DeltaAction[][] = [
    [{ protocol }, { metaData }],
    [{ txn: { appId: 'a', version: 1 } }],
    [info(10), { metaData: { ...metaData, configuration } }],
    [info(20), { txn: { appId: 'a', version: 2 } }],
  ]
  for (const [version, actions] of commits.entries()) {
    await bench.storage.putIfAbsent(commitPath(version), encodeActions(actions))
  }
  await setTimes(bench, [1, 2, 99, 98])
  const found = await Promise.all([1, 2, 9, 10, 19, 20, 97].map((hours) => at(bench, hours)))
  assert.deepEqual(found, [0, 1, 1, 2, 2, 3, 3])
  const history = await readHistory(bench.storage, 10)
  assert.deepEqual(
    history?.commits.map(({ timeMs }) => (timeMs - start) / hour),
    [20, 10, 2, 1],
  )
})

test('the history says what each commit did, whoever made it', async (t) => {
  const bench = await workbench(t)
  await land(bench, 2)
  const foreign = [
    '{"commitInfo":{"operation":"OPTIMIZE","operationParameters":{"predicate":"[]","zOrderBy":["a"]}}}',
    '{"add":{"path":"x","partitionValues":{},"size":1,"modificationTime":1,"dataChange":false}}',
    '{"remove":{"path":"y","deletionTimestamp":1,"dataChange":false}}',
  ].join('\n')
  await bench.storage.putIfAbsent(commitPath(3), Buffer.from(foreign))
  await bench.storage.putIfAbsent(commitPath(4), Buffer.from('{"txn":{"appId":"a","version":1}}'))
  const { commits } = (await readHistory(bench.storage, 4))!
  const [bare, optimized, landed] = commits.map(({ timeMs, ...rest }) => rest)
  assert.deepEqual(bare, {
    version: 4,
    operation: '',
    parameters: {},
    engine: '',
    addedFiles: 0,
    removedFiles: 0,
    addedRows: 0,
  })
  assert.deepEqual(optimized, {
    version: 3,
    operation: 'OPTIMIZE',
    parameters: { predicate: '[]', zOrderBy: ['a'] },
    engine: '',
    addedFiles: 1,
    removedFiles: 1,
    addedRows: undefined,
  })
  assert.equal(landed?.operation, 'STREAMING UPDATE')
  assert.match(landed?.engine ?? '', /^tailrace\//)
  assert.deepEqual(
    [landed?.addedFiles, landed?.removedFiles, landed?.addedRows, commits.length],
    [1, 0, 1, 4],
  )
})

test('a location without a table has no history and no version', async (t) => {
  const bench = await workbench(t)
  assert.equal(await readHistory(bench.storage, 5), undefined)
  assert.equal(await versionAt(bench.storage, 0), undefined)
  assert.equal(await readTable(bench.storage, bench.engine, 3), undefined)
})
