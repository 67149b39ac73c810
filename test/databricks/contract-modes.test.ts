import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { Span } from '../../src/records.ts'
import { CommitFencedError } from '../../src/sinks/commit-fence.ts'
import { RangeRows } from '../../src/sinks/databricks/loading/range-rows.ts'
import { ReplaceWhereLoader } from '../../src/sinks/databricks/loading/replace-where-loader.ts'
import { BatchFiles } from '../../src/sinks/databricks/staging/batch-files.ts'
import { StagedFiles } from '../../src/sinks/databricks/staging/staged-files.ts'
import { stagingBelow } from '../../src/sinks/databricks/staging/staging-below.ts'
import { UnitFiles, unitsFolder } from '../../src/sinks/databricks/staging/unit-files.ts'
import { liveColumnNames } from '../../src/sinks/databricks/tables/live-table.ts'
import { readTableFacts } from '../../src/sinks/databricks/tables/table-facts.ts'
import { readTableHistory } from '../../src/sinks/databricks/tables/table-history.ts'
import { OffsetsTable } from '../../src/sinks/databricks/transactions/offsets-table.ts'
import { TransactionCommitter } from '../../src/sinks/databricks/transactions/transaction-committer.ts'
import { fencedState } from '../../src/sinks/databricks/transactions/transaction-sql.ts'
import { Turns } from '../../src/sinks/databricks/transactions/turns.ts'
import type { WrittenUnit } from '../../src/sinks/table-committer.ts'
import { qualifiedName } from '../../src/tables/spark-sql.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'
import type { ContractBench } from './contract-bench.ts'
import { contractSpan, type RowEncoder, rowEncoder, rowTexts } from './contract-rows.ts'
import { contractTest, skipContract } from './contract-sentence.ts'
import { catalogCommits, createdTable, rowsOf } from './contract-table.ts'
import { contractTargets } from './contract-targets.ts'

// The assumptions of the modes transaction and replace-where about a workspace; contract.test.ts has those of the others.
for (const target of contractTargets(process.env)) {
  const contract = (
    sentence: string,
    check: (setup: Setup, t: TestContext) => Promise<void>,
    { isManaged = true } = {},
  ): void => {
    contractTest(target, sentence, async (bench, t) => check(await setUp(bench, t, isManaged), t))
  }
  skipContract(target, 'the modes of the contract hold')

  contract('a transaction moves rows and offsets together, and reads staged files', async (setup, t) => {
    const { open, encode, rows, bench, name } = setup
    const committer = await open()
    await committer.land([contractSpan(0, 200)], await encode(contractSpan(0, 200)))
    await committer.land([contractSpan(200, 300)], await encode(contractSpan(200, 300)))
    assert.deepEqual(await rows(), rowTexts(contractSpan(0, 300)))
    const next = await open()
    assert.equal(next.landed().get(contractSpan(0, 0)), 300, 'another process reads the offset')
    const { removedRows } = await next.replace(contractSpan(100, 200), [
      await encode(contractSpan(100, 150), 'changed'),
    ])
    assert.equal(removedRows, 10)
    assert.deepEqual(await rows(), [
      ...rowTexts(contractSpan(0, 100)),
      ...rowTexts(contractSpan(100, 150), 'changed'),
      ...rowTexts(contractSpan(200, 300)),
    ])
    const { removals, isUntouched } = await readTableHistory(bench.warehouse, name, 0)
    assert.deepEqual([removals, isUntouched], [[], false], 'its own versions are no removals')
    t.diagnostic(`statements in a transaction: see the query history of ${qualifiedName(name)}`)
  })

  contract('a transaction that fails at its end leaves no row of what it has added', async (setup) => {
    const { bench, name, open, encode, rows } = setup
    const committer = await open()
    await committer.land([contractSpan(0, 100)], await encode(contractSpan(0, 100)))
    const table = qualifiedName(name)
    await assert.rejects(
      bench.warehouse.execute({
        label: 'fail in a transaction',
        sql: `BEGIN ATOMIC
DELETE FROM ${table} WHERE source_offset >= 50;
SIGNAL SQLSTATE '${fencedState}' SET MESSAGE_TEXT = 'the contract';
END`,
        repeatable: false,
      }),
      (error) => {
        assert.ok(isTailraceError(error, 'STATEMENT_FAILED'), String(error))
        assert.equal(error.context.sqlState, fencedState)
        return true
      },
    )
    assert.deepEqual(await rows(), rowTexts(contractSpan(0, 100)))
  })

  contract('of two transactions that land the same range at once, one adds its rows', async (setup) => {
    const { open, encode, rows } = setup
    for (const [from, to] of [
      [0, 100],
      [100, 200],
    ] as const) {
      const both = [await open(), await open()]
      const encoded = [await encode(contractSpan(from, to)), await encode(contractSpan(from, to))]
      const outcomes = await Promise.allSettled(
        both.map((committer, index) => committer.land([contractSpan(from, to)], encoded[index]!)),
      )
      const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
      assert.equal(refused.length, 1, `${from} to ${to}`)
      assert.ok(refused[0] instanceof CommitFencedError, String(refused[0]))
      assert.deepEqual(await rows(), rowTexts(contractSpan(0, to)))
    }
  })

  contract('files of units are landed in one transaction, and not a second time', async (setup) => {
    const { open, writeUnit, rows } = setup
    const units = [await writeUnit(100, 200), await writeUnit(0, 100)]
    const receipt = await (await open()).landUnits(units)
    assert.deepEqual(receipt.outcomes, ['landed', 'landed'])
    const again = await (await open()).landUnits(units)
    assert.deepEqual(again.outcomes, ['landed-before', 'landed-before'])
    assert.deepEqual(await rows(), rowTexts(contractSpan(0, 200)))
  })

  contract(
    'REPLACE WHERE leaves the same rows when it is sent twice, and says how many it has added',
    async (setup) => {
      const { encode, rows } = setup
      const loader = replaceWhereLoader(setup)
      await loader.open()
      for (const span of [contractSpan(0, 200), contractSpan(0, 200), contractSpan(100, 300)])
        await loader.add({ spans: [span], encoded: await encode(span) }, undefined, async () => {})
      assert.deepEqual(await rows(), rowTexts(contractSpan(0, 300)))
      const changed = await encode(contractSpan(100, 150), 'changed')
      assert.equal(await loader.replace(contractSpan(100, 200), [changed]), 10)
      assert.deepEqual(await rows(), [
        ...rowTexts(contractSpan(0, 100)),
        ...rowTexts(contractSpan(100, 150), 'changed'),
        ...rowTexts(contractSpan(200, 300)),
      ])
    },
    { isManaged: false },
  )

  contract(
    'REPLACE WHERE changes nothing where a row of the table lies across the start or the end of a range',
    async (setup) => {
      const { encode, rows } = setup
      const loader = replaceWhereLoader(setup)
      await loader.open()
      const add = async (span: Span): Promise<void> =>
        loader.add({ spans: [span], encoded: await encode(span) }, undefined, async () => {})
      await add(contractSpan(0, 300))
      for (const span of [contractSpan(200, 295), contractSpan(295, 320)]) {
        await assert.rejects(
          add(span),
          (error) => error instanceof CommitFencedError && error.fenced[0]?.landedTo === 300,
        )
      }
      assert.deepEqual(await rows(), rowTexts(contractSpan(0, 300)))
    },
    { isManaged: false },
  )

  contract('a table tells its id, its catalog-managed commits, and that nothing is hidden', async (setup) => {
    const facts = await readTableFacts(setup.bench.warehouse, setup.name)
    assert.match(facts.id ?? '', /^[\da-f-]{36}$/)
    const { hasCatalogCommits, hasRowFilter, maskedColumns } = facts
    assert.deepEqual([hasCatalogCommits, hasRowFilter, maskedColumns], [true, false, []])
  })
}

function replaceWhereLoader(setup: Setup): ReplaceWhereLoader {
  const { bench, name, declaration, files, stagedFiles, unitFiles } = setup
  return new ReplaceWhereLoader({
    warehouse: bench.warehouse,
    declaration,
    rows: new RangeRows(bench.warehouse, name),
    files,
    stagedFiles,
    unitFiles,
    markOf: () => undefined,
    ensureTable: () => liveColumnNames(bench.warehouse, name),
    outwaitLoads: async () => {},
    nowMs: () => Date.now(),
  })
}

interface Setup {
  readonly bench: ContractBench
  readonly declaration: TableDeclaration
  readonly name: TableDeclaration['name']
  readonly files: BatchFiles
  readonly stagedFiles: StagedFiles
  readonly unitFiles: UnitFiles
  readonly encode: RowEncoder['encode']
  /** Stores rows as a process does that writes one unit. */
  writeUnit(start: number, end: number): Promise<WrittenUnit>
  /** Opens the table as a process does that lands by transactions. */
  open(): Promise<TransactionCommitter>
  rows(): Promise<readonly string[]>
}

async function setUp(bench: ContractBench, t: TestContext, isManaged: boolean): Promise<Setup> {
  const properties: Readonly<Record<string, string>> = isManaged ? catalogCommits : {}
  const declaration = await createdTable(bench, { properties })
  const { name } = declaration
  const { encode } = await rowEncoder(t)
  const staging = bench.staging('files-api', bench.folder())
  const clock = systemClock
  const stagedFiles = new StagedFiles({
    staging,
    retentionMs: undefined,
    held: () => [],
    clock,
    onFailed: () => {},
  })
  const unitFiles = new UnitFiles({
    staging: stagingBelow(staging, unitsFolder),
    expired: stagedFiles,
    clock,
  })
  bench.forgetOffsetsOf(name)
  return {
    bench,
    declaration,
    name,
    files: new BatchFiles(staging, clock),
    stagedFiles,
    unitFiles,
    encode,
    writeUnit: async (start, end) => {
      const encoded = await encode(contractSpan(start, end))
      return {
        spans: [contractSpan(start, end)],
        files: await unitFiles.store([encoded]),
        rows: encoded.rows,
      }
    },
    open: async () => {
      const warehouse = bench.anotherWarehouse()
      const offsets = new OffsetsTable(warehouse, name, 'contract')
      await offsets.create()
      const committer = new TransactionCommitter({
        location: 'contract',
        warehouse,
        declaration,
        offsets,
        turns: new Turns(),
        rows: new RangeRows(warehouse, name),
        files: new BatchFiles(staging, clock),
        stagedFiles,
        unitFiles,
        copiedOffsets: [],
        earlierOffsets: async () => [],
        maxOrphanMs: 0,
        landsBlob: () => true,
        markOf: () => undefined,
        onMark: () => {},
        clock,
        close: async () => {},
      })
      await committer.open()
      return committer
    },
    rows: () => rowsOf(bench, declaration),
  }
}
