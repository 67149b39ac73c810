import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { isTailraceError } from '../../src/errors.ts'
import { LiveRows, readDeletedRows, withLiveRows } from '../../src/sinks/delta/files/live-rows.ts'
import { writeCheckpoint } from '../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import type { TableState } from '../../src/sinks/delta/log/state.ts'
import { checkAppendable } from '../../src/sinks/delta/protocol/features.ts'
import { readTable } from '../../src/sinks/delta/query/read-table.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine, sqlIdentifier, sqlString } from '../../src/sinks/encoding/engine.ts'

const run = promisify(execFile)

/** What is not read, and the words that say why. */
const refused: Readonly<Record<string, RegExp>> = {
  'canonicalized-paths-special-a': /outside of its directory/,
  'data-reader-timestamp_ntz-id-mode': /columnMapping \(mode id\)/,
  'data-reader-timestamp_ntz-name-mode': /columnMapping \(mode name\)/,
  'deltalog-invalid-protocol-version': /reader version 99/,
  'deltalog-state-reconstruction-without-metadata': /no metaData action/,
  'deltalog-state-reconstruction-without-protocol': /no protocol action/,
  'dv-with-columnmapping': /columnMapping \(mode name\)/,
  'spark-variant-checkpoint': /variantType-preview/,
  'table-with-columnmapping-mode-name': /columnMapping \(mode name\)/,
  'table-with-geo': /feature geospatial/,
  'table-with-icebegCompatV2Enabled': /columnMapping \(mode id\)/,
  'versions-not-contiguous': /_delta_log\/0{19}1\.json is missing/,
}

/** What is read and not appended to, and the words that say why. */
const readOnly: Readonly<Record<string, RegExp>> = {
  'collations-table': /feature collations/,
  partitioned_with_materialize_feature: /feature materializePartitionColumns/,
}

/** Tables of which nobody states the rows, because their files do not exist. */
const withoutFiles = new Set([
  'checkpoint',
  'delete-re-add-same-file-different-transactions',
  'deltalog-commit-info',
  'deltalog-state-reconstruction-from-checkpoint-missing-metadata',
  'type-widening',
  'type-widening-nested',
])

interface Golden {
  readonly directory: string
  readonly engine: EmbeddedEngine
  readonly names: readonly string[]
}

/** The tables in a directory that goes away with the test. */
async function golden(t: TestContext): Promise<Golden> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-golden-'))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, '.spill') })
  t.after(async () => {
    await engine.close()
    await rm(directory, { recursive: true, force: true })
  })
  await run('tar', ['-xzf', join(import.meta.dirname, 'tables.tar.gz'), '-C', directory])
  const names = (await readdir(directory)).filter((name) => !name.startsWith('.')).sort()
  return { directory, engine, names }
}

/** How many rows a table and its expectation have, and how many of either are not in the other. */
async function compared(
  { directory, engine }: Golden,
  name: string,
): Promise<{ rows: number; surplus: number; missing: number }> {
  const storage = new LocalDeltaStorage(join(directory, name, 'delta'))
  const table = (await readTable(storage, engine))!
  const theirs = `read_parquet(${sqlString(join(directory, name, 'expected', '*.parquet'))})`
  const described = await engine.rows(`DESCRIBE FROM ${theirs}`)
  const types = new Map(described.map((row) => [String(row.column_name), String(row.column_type)]))
  const columns = table.columns.map((column) => column.name)
  const typed = (column: string, value: string | null | undefined) =>
    `${value ? sqlString(value) : 'NULL'}::${types.get(column)} AS ${sqlIdentifier(column)}`
  const branches = [`SELECT ${columns.map((column) => typed(column, null)).join(', ')} WHERE false`]
  const deleted = await readDeletedRows(storage, table.files)
  const rows = new LiveRows(engine, `deleted rows of ${name}`)
  for (const file of table.files) {
    const { path } = await storage.localFile(file.path)
    const own = table.partitionColumns.map(sqlString).join(', ')
    const values = table.partitionColumns.map((column) => typed(column, file.partitionValues[column]))
    // The log's values count, even where a writer put them into the files as well.
    const others = own === '' ? '*' : `COLUMNS(c -> c NOT IN (${own}))`
    const relation = await rows.relation([{ path, deleted: deleted.get(file.path) }])
    branches.push(`SELECT ${[others, ...values].join(', ')} FROM ${relation}`)
  }
  const names = columns.map(sqlIdentifier).join(', ')
  const cast = columns
    .map((column) => `CAST(${sqlIdentifier(column)} AS ${types.get(column)}) AS ${sqlIdentifier(column)}`)
    .join(', ')
  const ours = `SELECT ${cast} FROM (${branches.join(' UNION ALL BY NAME ')})`
  const expected = `SELECT ${names} FROM ${theirs}`
  const [counts] = await engine.rows(
    `SELECT (SELECT count(*) FROM (${expected}))::INTEGER AS rows,
      (SELECT count(*) FROM (${ours} EXCEPT ALL ${expected}))::INTEGER AS surplus,
      (SELECT count(*) FROM (${expected} EXCEPT ALL ${ours}))::INTEGER AS missing`,
  )
  return counts as { rows: number; surplus: number; missing: number }
}

/** Everything a checkpoint must carry over. */
function contentOf({ version, protocol, metaData, transactions, domains, files }: TableState) {
  const { schemaString, partitionColumns, configuration = {}, id } = metaData
  return {
    version,
    protocol: definedOnly(protocol),
    metaData: { schemaString, partitionColumns, configuration, id },
    transactions: new Map(Array.from(transactions).sort()),
    domains: new Map(Array.from(domains).sort()),
    files: new Map(
      Array.from(files ?? [], ([key, { path, partitionValues, size, stats, deletionVector }]) => {
        return [key, { path, partitionValues, size, stats, deletionVector }] as const
      }).sort(),
    ),
  }
}

/** An absent key and an undefined one mean the same. */
function definedOnly(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}

test('every golden table is read row by row, or refused by name', async (t) => {
  const tables = await golden(t)
  assert.ok(tables.names.length > 60)
  for (const name of tables.names) {
    await t.test(name, async () => {
      const storage = new LocalDeltaStorage(join(tables.directory, name, 'delta'))
      const reason = refused[name]
      if (reason !== undefined) {
        await assert.rejects(
          readTable(storage, tables.engine),
          (error) => isTailraceError(error) && error.code.startsWith('TABLE_') && reason.test(error.message),
        )
        return
      }
      const table = await readTable(storage, tables.engine)
      if (name === 'no-delta-log-folder') return assert.equal(table, undefined)
      if (withoutFiles.has(name)) return assert.ok(table && table.files.length > 0)
      const { surplus, missing } = await compared(tables, name)
      assert.deepEqual({ surplus, missing }, { surplus: 0, missing: 0 })
    })
  }
})

test('a golden table is the same when all of it is in a checkpoint that was written here', async (t) => {
  const tables = await golden(t)
  const stagingDirectory = join(tables.directory, '.staging')
  await mkdir(stagingDirectory)
  const context = { stagingDirectory, engine: tables.engine }
  let checked = 0
  for (const name of tables.names) {
    const root = join(tables.directory, name, 'delta')
    const storage = new LocalDeltaStorage(root)
    const state = await loadState(storage, tables.engine, { keepFiles: true }).catch((error: unknown) => {
      if (!isTailraceError(error)) throw error
    })
    if (!state) continue
    await t.test(name, async () => {
      const { version, protocol, metaData, transactions, domains, checkpointVersion } = state
      const reason = readOnly[name]
      if (reason !== undefined) {
        assert.throws(
          () => checkAppendable(protocol, metaData),
          (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && reason.test(error.message),
        )
        return
      }
      // Statistics in columns only would be lost: no checkpoint is made of such a table.
      if (metaData.configuration?.['delta.checkpoint.writeStatsAsJson'] === 'false') return
      const before = contentOf(state)
      const plan = { version, protocol, metaData, previous: checkpointVersion }
      await writeCheckpoint(
        { ...plan, transactions: transactions.size, domains: domains.size },
        { ...context, storage },
        Date.now(),
      )
      const written = `${String(version).padStart(20, '0')}.checkpoint.parquet`
      for (const entry of await readdir(join(root, '_delta_log'))) {
        if (entry !== written) await rm(join(root, '_delta_log', entry), { recursive: true })
      }
      assert.deepEqual(contentOf((await loadState(storage, tables.engine, { keepFiles: true }))!), before)
      if (existsSync(join(tables.directory, name, 'expected')) && refused[name] === undefined) {
        const { surplus, missing } = await compared(tables, name)
        assert.deepEqual({ surplus, missing }, { surplus: 0, missing: 0 })
      }
      checked += 1
    })
  }
  assert.ok(checked > 45)
})

test('a deletion vector of every kind of container that Spark writes is read', async (t) => {
  const { directory, engine } = await golden(t)
  await run('tar', ['-xzf', join(import.meta.dirname, 'deletion-vector-containers.tar.gz'), '-C', directory])
  const storage = new LocalDeltaStorage(join(directory, 'deletion-vector-containers', 'delta'))
  const { files } = (await readTable(storage, engine))!
  const { path } = files[0]!
  const source = {
    path: (await storage.localFile(path)).path,
    deleted: (await readDeletedRows(storage, files)).get(path),
  }
  // What was deleted: a run, every third of a container, three single rows, a whole container, the last row.
  const [row] = await withLiveRows(engine, [source], (relation) =>
    engine.rows(`SELECT count(*)::INTEGER AS rows, (SELECT count(*) FROM range(400000) r(id)
      WHERE NOT (id BETWEEN 1000 AND 30000 OR (id BETWEEN 65536 AND 131071 AND id % 3 = 0)
        OR id IN (131072, 131079, 190000, 399999) OR id BETWEEN 262144 AND 327679)
      AND id NOT IN (SELECT id FROM ${relation}))::INTEGER AS missing
    FROM ${relation}`),
  )
  // The number is Spark's own.
  assert.deepEqual(row, { rows: 283_614, missing: 0 })
})
