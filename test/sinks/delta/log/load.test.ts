import assert from 'node:assert/strict'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { commitPath, decodeCommit } from '../../../../src/sinks/delta/protocol/actions.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { committerOf, encode, placesOf, span, type Workbench, workbench } from '../support.ts'

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
  await assert.rejects(committerOf(bench).open(), corrupt(/no protocol action/))
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
  assert.equal(committer.landed().get({ blob: 'logs/pg', generation: '20261124T084700Z' }), 50)
  assert.deepEqual(await committer.replace(span('logs/pg', 0, 25), []), { tableVersion: 6, removedRows: 3 })
  assert.deepEqual(
    (await placesOf(bench)).map(([, offset]) => offset),
    [30, 40],
  )

  await rm(join(bench.table, commitPath(4)))
  await assert.rejects(committerOf(bench).open(), corrupt(/0{19}4\.json is missing/))
})

/** Moves the classic checkpoint of version 3 into files of other names, SQL deciding which rows go where. */
async function splitCheckpoint(
  bench: Workbench,
  parts: readonly { readonly name: string; readonly select: string; readonly options?: string }[],
): Promise<void> {
  const log = join(bench.table, '_delta_log')
  const classic = join(log, '00000000000000000003.checkpoint.parquet')
  await mkdir(join(log, '_sidecars'), { recursive: true })
  for (const { name, select, options = 'FORMAT parquet' } of parts) {
    const source = `read_parquet(${sqlString(classic)})`
    await bench.engine.run(
      `COPY (${select.replace('checkpoint', source)}) TO ${sqlString(join(log, name))} (${options})`,
    )
  }
  await rm(classic)
}

const partOf = (index: number) => `00000000000000000003.checkpoint.000000000${index}.0000000002.parquet`
const uuid = '80a083e8-7026-4e79-81be-64bd76c43a11'
const sidecar = '016ae953-37a9-438e-8683-9a9a4a79a395.parquet'
const metadataRow = 'SELECT {version: 3} AS checkpointMetadata'
const sidecarRow = `SELECT {path: '${sidecar}', sizeInBytes: 1, modificationTime: 1} AS sidecar`

/** Every form of a checkpoint but the classic one. */
const otherForms = {
  'in two parts': [
    { name: partOf(1), select: 'FROM checkpoint WHERE add IS NULL' },
    { name: partOf(2), select: 'SELECT add FROM checkpoint WHERE add IS NOT NULL' },
  ],
  'of version 2, in one Parquet file': [
    {
      name: `00000000000000000003.checkpoint.${uuid}.parquet`,
      select: `FROM checkpoint UNION ALL BY NAME ${metadataRow}`,
    },
  ],
  'of version 2, in a Parquet file with a sidecar': [
    { name: `_sidecars/${sidecar}`, select: 'SELECT add FROM checkpoint WHERE add IS NOT NULL' },
    {
      name: `00000000000000000003.checkpoint.${uuid}.parquet`,
      select: `FROM checkpoint WHERE add IS NULL UNION ALL BY NAME ${metadataRow} UNION ALL BY NAME ${sidecarRow}`,
    },
  ],
  'of version 2, in a JSON file with a sidecar': [
    { name: `_sidecars/${sidecar}`, select: 'SELECT add FROM checkpoint WHERE add IS NOT NULL' },
    {
      name: `00000000000000000003.checkpoint.${uuid}.json`,
      select: `FROM checkpoint WHERE add IS NULL UNION ALL BY NAME ${metadataRow} UNION ALL BY NAME ${sidecarRow}`,
      options: 'FORMAT json',
    },
  ],
} as const

for (const [form, parts] of Object.entries(otherForms)) {
  test(`a table whose first versions are only in a checkpoint ${form} opens, queries and grows`, async (t) => {
    const bench = await workbench(t)
    await filled(bench)
    const before = await placesOf(bench)
    await checkpointAt3(bench)
    await splitCheckpoint(bench, parts)
    assert.deepEqual(await placesOf(bench), before)
    const committer = committerOf(bench)
    await committer.open()
    const source = span('logs/pg', 50, 60)
    await committer.land([source], await encode(bench, source, [{ offset: 50, seed: 1 }]))
    assert.equal(committer.tableVersion, 6)
  })
}

test('a checkpoint of which a part or a sidecar is missing does not count, as long as the commits are there', async (t) => {
  for (const [form, missing] of [
    ['in two parts', partOf(2)],
    ['of version 2, in a JSON file with a sidecar', `_sidecars/${sidecar}`],
  ] as const) {
    const bench = await workbench(t)
    await filled(bench)
    const before = await placesOf(bench)
    const commits = [0, 1, 2].map((version) => join(bench.table, commitPath(version)))
    const saved = await Promise.all(commits.map((path) => readFile(path)))
    await checkpointAt3(bench)
    await splitCheckpoint(bench, otherForms[form])
    await rm(join(bench.table, '_delta_log', missing))
    await assert.rejects(placesOf(bench), corrupt(/is missing|cannot be read/))
    for (const [index, path] of commits.entries()) await writeFile(path, saved[index]!)
    assert.deepEqual(await placesOf(bench), before)
  }
})

test('a hint that is wrong, old or torn changes nothing, nor do files that are no part of the log', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  await checkpointAt3(bench)
  const before = await placesOf(bench)
  const log = join(bench.table, '_delta_log')
  await mkdir(join(log, '_staged_commits'))
  const strangers = [
    '00000000000000000004.crc',
    '00000000000000000004.00000000000000000009.compacted.json',
    '00000000000000000009.json.part',
    `_staged_commits/00000000000000000006.${uuid}.json`,
    'readme.txt',
  ]
  for (const name of strangers) await writeFile(join(log, name), '{"not": "read"')
  for (const hint of [
    '{"version":3,"size":9,"checksum":"0123456789abcdef"}',
    '{"version":99,"size":1}',
    '{"version":3,"size":1,"parts":7}',
    '{"vers',
    '',
  ]) {
    await writeFile(join(log, '_last_checkpoint'), hint)
    assert.deepEqual(await placesOf(bench), before)
  }
})

test('a table with in-commit timestamps gets a later one with every commit, whatever the clock says', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  const storage = new LocalDeltaStorage(bench.table)
  const { metaData } = (await loadState(storage, bench.engine, { keepFiles: false }))!
  const future = Date.now() + 3_600_000
  const enabling = [
    { commitInfo: { inCommitTimestamp: future, operation: 'SET TBLPROPERTIES' } },
    { protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['inCommitTimestamp'] } },
    {
      metaData: {
        ...metaData,
        configuration: { ...metaData.configuration, 'delta.enableInCommitTimestamps': 'true' },
      },
    },
  ]
  await writeFile(
    join(bench.table, commitPath(6)),
    enabling.map((action) => `${JSON.stringify(action)}\n`).join(''),
  )
  const land = async (start: number) => {
    const committer = committerOf(bench)
    await committer.open()
    const source = span('logs/pg', start, start + 10)
    await committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
    await committer.close()
    return committer.tableVersion
  }
  const infoOf = async (version: number) => {
    const [first] = (await readFile(join(bench.table, commitPath(version)), 'utf8')).split('\n')
    return (JSON.parse(first!) as { commitInfo: { inCommitTimestamp: number } }).commitInfo
  }
  for (const [index, start] of [50, 60].entries()) {
    assert.equal((await infoOf(await land(start))).inCommitTimestamp, future + index + 1)
  }

  // The newest timestamp may be older than everything that an opening reads.
  const state = (await loadState(storage, bench.engine, { keepFiles: false }))!
  const { version, protocol, transactions, domains } = state
  await writeCheckpoint(
    {
      version,
      protocol,
      metaData: state.metaData,
      previous: -1,
      transactions: transactions.size,
      domains: domains.size,
    },
    { storage, engine: bench.engine, stagingDirectory: bench.staging },
    Date.now(),
  )
  for (let old = 0; old < version; old += 1) await rm(join(bench.table, commitPath(old)))
  assert.equal((await infoOf(await land(70))).inCommitTimestamp, future + 3)
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

test('a checkpoint that cannot be read is named when the commits before it are gone', async (t) => {
  const bench = await workbench(t)
  await filled(bench)
  await checkpointAt3(bench)
  await writeFile(join(bench.table, '_delta_log', '00000000000000000003.checkpoint.parquet'), 'PAR1')
  await assert.rejects(committerOf(bench).open(), corrupt(/0{19}3\.checkpoint\.parquet cannot be read/))
})
