import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Deadline, systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { LoadIntent } from '../../src/offsets/load-intent.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { CopyInto, copyIntoSql, isMissingStagedFile } from '../../src/sinks/databricks/loading/copy-into.ts'
import { MergeLoader } from '../../src/sinks/databricks/loading/merge-loader.ts'
import { RangeRows } from '../../src/sinks/databricks/loading/range-rows.ts'
import type { VolumeStaging } from '../../src/sinks/databricks/staging/volume-staging.ts'
import { databricksTypes, type TableLayout } from '../../src/sinks/databricks/tables/definition.ts'
import { ensureTable, inspectTable } from '../../src/sinks/databricks/tables/live-table.ts'
import { DriverSession } from '../../src/sinks/databricks/warehouse/driver-session.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { qualifiedName } from '../../src/tables/spark-sql.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'
import { type ContractBench, uploads } from './contract-bench.ts'
import { contractSpan, intentOf, type RowEncoder, rowBytes, rowEncoder, rowTexts } from './contract-rows.ts'
import { contractTest, skipContract } from './contract-sentence.ts'
import { createdTable, rowsOf } from './contract-table.ts'
import { contractTargets } from './contract-targets.ts'

// What Tailrace takes for granted of a workspace, asked of the one that the environment names, and of the emulated one
// that all other tests rest on: docs/databricks.md says how to run it.
for (const target of contractTargets(process.env)) {
  const contract = (
    sentence: string,
    check: (bench: ContractBench, t: TestContext) => Promise<void>,
  ): void => {
    contractTest(target, sentence, check)
  }
  skipContract(target, 'all of the contract holds')

  contract('parameters arrive with their types and to their last digit', async ({ warehouse }) => {
    const text = `it's \\ "größer" \${x} 📚\n:text ? --`
    const [row] = await warehouse.execute({
      label: 'echo',
      sql: 'SELECT :text AS text, CAST(:wide AS STRING) AS wide, CAST(:wide + 1 AS STRING) AS more, :yes AS yes, :half AS half, :nothing AS nothing, coalesce(:nothing, :text) AS given',
      parameters: { text, wide: 9_007_199_254_740_993n, yes: true, half: 0.5, nothing: null },
      repeatable: true,
    })
    assert.deepEqual(
      { ...row },
      {
        text,
        wide: '9007199254740993',
        more: '9007199254740994',
        yes: true,
        half: 0.5,
        nothing: null,
        given: text,
      },
    )
  })

  contract('a parameter of a mebibyte arrives whole', async ({ warehouse }) => {
    const text = '📚'.repeat(2 ** 18)
    const [row] = await warehouse.execute({
      label: 'echo',
      sql: 'SELECT :text AS text',
      parameters: { text },
      repeatable: true,
    })
    assert.equal(row?.text === text, true)
  })

  contract('a statement takes 200 parameters, as many as ranges are counted with', async (bench) => {
    const declaration = await createdTable(bench)
    const rows = new RangeRows(bench.warehouse, declaration.name)
    const spans = Array.from({ length: 51 }, (_, index) => contractSpan(index, index + 1))
    assert.equal(await rows.count(spans), 0)
  })

  contract(
    'a session is in UTC, whatever the workspace is in, and does not end with another one',
    async (bench) => {
      const utc = "SELECT TIMESTAMP '2026-11-24 09:00:00' = TIMESTAMP '2026-11-24T09:00:00Z' AS is_utc"
      assert.equal((await bench.query(utc))[0]?.is_utc, true)
      const other = bench.anotherWarehouse()
      await other.execute({ label: 'open a session', sql: 'SELECT 1 AS one', repeatable: true })
      await other.close()
      assert.equal((await bench.query(utc))[0]?.is_utc, true)
    },
  )

  contract('a statement that takes too long is ended, and known to have had no effect', async (bench) => {
    const endless =
      bench.workspace.hold === undefined
        ? 'SELECT sum(a.id * b.id % 7) AS s FROM range(0, 10000000) AS a CROSS JOIN range(0, 10000000) AS b'
        : 'SELECT 1 AS endless'
    bench.workspace.hold?.(/endless/)
    const hurried = bench.anotherWarehouse({ statementMs: 1000, retry: { policy: { maxAttempts: 1 } } })
    await assert.rejects(
      hurried.execute({ label: 'take long', sql: endless, repeatable: false }),
      (error) => {
        assert.ok(isTailraceError(error, 'WAREHOUSE_UNAVAILABLE'), String(error))
        assert.equal(error.context.executed, 'failed')
        return true
      },
    )
  })

  contract('a statement that is wrong is refused with its class, and is not sent again', async (bench) => {
    const missing = qualifiedName(bench.table())
    await assert.rejects(bench.query(`SELECT * FROM ${missing}`), (error) => {
      assert.ok(isTailraceError(error, 'STATEMENT_FAILED'), String(error))
      assert.equal(error.context.errorClass, 'TABLE_OR_VIEW_NOT_FOUND')
      assert.equal(error.context.sqlState, '42P01')
      return true
    })
  })

  contract('the cache of earlier statements can be cleared', async ({ warehouse }) => {
    await warehouse.execute({ label: 'clear the cache', sql: 'CLEAR CACHE', repeatable: true })
  })

  const layouts: readonly TableLayout[] = [
    { clusterBy: 'auto' },
    // Of the first 32 columns, which are those that statistics are kept of.
    { clusterBy: ['event_time', 'severity'] },
    { partitionBy: ['event_date'] },
  ]
  for (const layout of layouts) {
    contract(
      `a table laid out by ${JSON.stringify(layout)} is created, and found as it was declared`,
      async (bench) => {
        const { catalog, schema, table } = bench.table()
        const declaration = postgresLogs(`${catalog}.${schema}.${table}`)
        const options = {
          warehouse: bench.warehouse,
          layout,
          properties: { 'delta.enableChangeDataFeed': 'true' },
          create: true,
          hasLanded: async () => false,
        }
        assert.deepEqual(await inspectTable({ ...options, declaration }), { kind: 'missing' })
        await ensureTable({ ...options, declaration, evolve: false })
        assert.deepEqual(await inspectTable({ ...options, declaration }), {
          kind: 'there',
          lacks: [],
          collated: [],
        })
        const wider = postgresLogs(`${catalog}.${schema}.${table}`, {
          extraColumns: [{ name: 'tenant', type: 'long', from: 'tenant', comment: "It's new." }],
        })
        await ensureTable({ ...options, declaration: wider, evolve: true })
        assert.deepEqual(await inspectTable({ ...options, declaration: wider }), {
          kind: 'there',
          lacks: [],
          collated: [],
        })
      },
    )
  }

  contract(
    "the catalog tells a table's kind, its columns' types in full and what may be NULL",
    async (bench) => {
      const { name, columns } = await createdTable(bench)
      const where = `WHERE table_schema = '${name.schema}' AND table_name = '${name.table}'`
      const schema = `\`${name.catalog}\`.information_schema`
      const [kind] = await bench.query(`SELECT table_type, data_source_format FROM ${schema}.tables ${where}`)
      assert.deepEqual({ ...kind }, { table_type: 'MANAGED', data_source_format: 'DELTA' })
      const found = await bench.query(
        `SELECT column_name, full_data_type, is_nullable, comment FROM ${schema}.columns ${where} ORDER BY ordinal_position`,
      )
      assert.deepEqual(
        // A workspace may leave out the collation of texts that it has by itself.
        found.map((row) => [
          row.column_name,
          String(row.full_data_type).toUpperCase().replace(' COLLATE UTF8_BINARY', ''),
          row.comment,
        ]),
        columns.map(({ name: column, type, comment }) => [column, databricksTypes[type], comment]),
      )
      const types = ['STRING', 'BIGINT', 'INT', 'DOUBLE', 'BOOLEAN', 'DATE', 'TIMESTAMP', 'STRING']
      assert.deepEqual(
        found.slice(-types.length).map((row) => String(row.full_data_type).toUpperCase()),
        types,
      )
      const nullable = found.filter((row) => row.is_nullable === 'YES').map((row) => row.column_name)
      assert.deepEqual(nullable, ['text', 'wide', 'narrow', 'broken', 'yes', 'day', 'instant', 'nothing'])
    },
  )

  for (const upload of uploads) {
    contract(`files are put, replaced, measured, listed and removed by ${upload}`, async (bench) => {
      const staging = bench.staging(upload, bench.folder())
      assert.deepEqual(await staging.list(''), { files: [], folders: [] })
      assert.equal(await staging.sizeOf('a.parquet'), undefined)
      await staging.remove('a.parquet')
      await staging.put('a.parquet', await bench.localFile('one'))
      await staging.put('a.parquet', await bench.localFile('another'))
      await staging.put('day/much', await bench.localFile(Buffer.alloc(5_000_000, 'abcdefg')))
      assert.equal(await staging.sizeOf('a.parquet'), 7)
      assert.equal(await staging.sizeOf('day/much'), 5_000_000)
      const { files, folders } = await staging.list('')
      assert.deepEqual(
        files.map(({ name, bytes }) => [name, bytes]),
        [['a.parquet', 7]],
      )
      const ageMs = Date.now() - (files[0]?.modifiedAtMs ?? 0)
      assert.ok(Math.abs(ageMs) < 600_000, `modified ${ageMs} ms ago`)
      assert.deepEqual(folders, ['day'])
      await staging.remove('a.parquet')
      assert.equal(await staging.sizeOf('a.parquet'), undefined)
    })

    contract(`a file staged by ${upload} is loaded once, with the values it holds`, async (bench, t) => {
      const declaration = await createdTable(bench)
      const encoder = await rowEncoder(t)
      const { copy, intent } = await stagedLoad(bench, encoder, declaration, upload)
      assert.equal(await copy.load(intent), 30)
      assert.equal(await copy.load(intent), 0)
      assert.deepEqual(await rowsOf(bench, declaration), rowTexts(contractSpan(0, 300)))
    })
  }

  contract('a missing file is distinguished from every other failure', async (bench, t) => {
    const declaration = await createdTable(bench)
    const encoder = await rowEncoder(t)
    const { copy, intent, staging } = await stagedLoad(bench, encoder, declaration, 'files-api')
    for (const { name } of intent.files) await staging.remove(name)
    await assert.rejects(copy.load(intent), (error) => {
      assert.ok(
        isMissingStagedFile(error),
        `${String(error)} ${isTailraceError(error) && error.context.errorClass}`,
      )
      return true
    })
  })

  contract('a loaded file that was removed since is told as missing, or adds nothing', async (bench, t) => {
    const declaration = await createdTable(bench)
    const encoder = await rowEncoder(t)
    const { copy, intent, staging } = await stagedLoad(bench, encoder, declaration, 'files-api')
    await copy.load(intent)
    for (const { name } of intent.files) await staging.remove(name)
    const added = await copy.load(intent).catch((error: unknown) => {
      assert.ok(
        isMissingStagedFile(error),
        `${String(error)} ${isTailraceError(error) && error.context.errorClass}`,
      )
      return 0
    })
    assert.equal(added, 0)
    assert.deepEqual(await rowsOf(bench, declaration), rowTexts(contractSpan(0, 300)))
  })

  contract('a load whose client is gone is not doubled by the same load of another', async (bench, t) => {
    const declaration = await createdTable(bench)
    const encoder = await rowEncoder(t)
    const { intent, staging } = await stagedLoad(bench, encoder, declaration, 'files-api')
    const held = bench.workspace.hold?.(/^COPY INTO/)
    await sendAndVanish(
      bench,
      copyIntoSql(declaration, { folder: staging.folder, files: intent.files.map(({ name }) => name) }),
    )
    await held?.reached
    const refusals: unknown[] = []
    const again = new CopyInto({
      warehouse: bench.anotherWarehouse(),
      declaration,
      stagingFolder: staging.folder,
      retry: {
        policy: { maxAttempts: 6 },
        clock: held?.clock ?? systemClock,
        onRetry: ({ error }) => void refusals.push(error),
      },
    })
    const added = await again.load(intent)
    assert.ok(added === 0 || added === 30, String(added))
    assert.ok(refusals.every((error) => isTailraceError(error, 'COMMIT_CONTENDED')))
    if (held !== undefined) assert.equal(refusals.length > 0, true)
    t.diagnostic(`the second load added ${added} rows after ${refusals.length} refusals`)
    assert.deepEqual(await rowsOf(bench, declaration), rowTexts(contractSpan(0, 300)))
  })

  contract(
    'merged rows are added once and replaced in one step, with the values they hold',
    async (bench, t) => {
      const declaration = await createdTable(bench)
      const encoder = await rowEncoder(t)
      const merge = new MergeLoader({
        outwaitLoads: async () => {},
        warehouse: bench.warehouse,
        declaration,
        rows: new RangeRows(bench.warehouse, declaration.name),
        ensureTable: async () => {},
        nowMs: () => Date.now(),
        engine: encoder.engine,
      })
      for (const part of [contractSpan(0, 200), contractSpan(100, 300)]) {
        await merge.add({ spans: [part], encoded: await encoder.encode(part) })
      }
      assert.deepEqual(await rowsOf(bench, declaration), rowTexts(contractSpan(0, 300)))
      const changed = contractSpan(100, 150)
      const removed = await merge.replace(contractSpan(100, 200), [await encoder.encode(changed, 'changed')])
      assert.equal(removed, 10)
      assert.deepEqual(await rowsOf(bench, declaration), [
        ...rowTexts(contractSpan(0, 100)),
        ...rowTexts(changed, 'changed'),
        ...rowTexts(contractSpan(200, 300)),
      ])
    },
  )

  contract(
    'the rows of ranges are counted, removed with their number, and tell how far they go',
    async (bench, t) => {
      const declaration = await createdTable(bench)
      const encoder = await rowEncoder(t)
      const { copy, intent } = await stagedLoad(bench, encoder, declaration, 'files-api')
      await copy.load(intent)
      const rows = new RangeRows(bench.warehouse, declaration.name)
      const never = { ingestedFrom: '1999-01-01 00:00:00', ingestedTo: '1999-01-01 00:00:00' }
      assert.equal(await rows.count([contractSpan(0, 50), contractSpan(290, 400)]), 6)
      assert.equal(await rows.remove(contractSpan(100, 300), never), 20)
      assert.equal(await rows.remove(contractSpan(100, 300), never), 0)
      const { blob, generation } = contractSpan(0, 0)
      assert.deepEqual(await rows.ends(), [{ blob, generation, offset: 100 }])
    },
  )
}

/** Thirty rows in the volume, and what loads them. */
async function stagedLoad(
  bench: ContractBench,
  encoder: RowEncoder,
  declaration: TableDeclaration,
  upload: (typeof uploads)[number],
): Promise<{ readonly copy: CopyInto; readonly intent: LoadIntent; readonly staging: VolumeStaging }> {
  const span = contractSpan(0, 30 * rowBytes)
  const encoded = await encoder.encode(span)
  const intent = intentOf(span, encoded)
  const staging = bench.staging(upload, bench.folder())
  for (const [index, { name }] of intent.files.entries()) {
    await staging.put(name, encoded.files[index]?.path ?? '')
  }
  const copy = new CopyInto({
    warehouse: bench.warehouse,
    declaration,
    stagingFolder: staging.folder,
    retry: { policy: { maxAttempts: 1 } },
  })
  return { copy, intent, staging }
}

/** Sends a statement and cuts the connections, as the end of a process does: nobody cancels or closes anything. */
async function sendAndVanish({ workspace, tokens }: ContractBench, sql: string): Promise<void> {
  const deadline = new Deadline(systemClock, 'session', 900_000)
  const session = await DriverSession.open(
    {
      address: workspace.address,
      token: async () => (await tokens.token()).value,
      logger: silentLogger,
      socketMs: 120_000,
      configuration: {},
      queryTags: { pipeline: 'contract' },
    },
    deadline,
  )
  deadline.clear()
  await session.session.executeStatement(sql)
  session.destroy()
}
