import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { choosePipeline } from '../../src/config/choose-pipelines.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { ContainerStorage } from '../../src/run/container-storage.ts'
import { replay } from '../../src/run/replay.ts'
import { commitUnits } from '../../src/run/units/commit-units.ts'
import { planUnits } from '../../src/run/units/plan-units.ts'
import { type Manifest, manifestText, parseManifest } from '../../src/run/units/unit-files.ts'
import { writeUnit } from '../../src/run/units/write-unit.ts'
import { openWorkspace } from '../../src/sinks/databricks/open-workspace.ts'
import { type DatabricksSinkConfig, databricksOptions } from '../../src/sinks/databricks/options.ts'
import { rowsOnceName } from '../../src/sinks/databricks/zerobus/rows-once.ts'
import { ZerobusLoader } from '../../src/sinks/databricks/zerobus/zerobus-loader.ts'
import type { BlobReader } from '../../src/sources/blob-reader.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { qualifiedName } from '../../src/tables/spark-sql.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce, expectedRows } from '../support/landed-once.ts'
import { badLines, jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { containerName, startStorage } from '../support/storage.ts'
import { landedRow, landedRowsSql } from '../support/table-rows.ts'
import type { ContractBench } from './contract-bench.ts'
import { contractSpan, type RowEncoder, rowEncoder, rowTexts } from './contract-rows.ts'
import { contractTest, skipContract } from './contract-sentence.ts'
import { catalogCommits, createdTable, rowsOf } from './contract-table.ts'
import { contractTargets } from './contract-targets.ts'
import { landAll } from './workspace-bench.ts'

const blob = 'primary.ndjson'
const process = { clock: systemClock, logger: silentLogger }

// Whole pipelines in each mode, with their units, and what mode zerobus takes for granted.
for (const target of contractTargets(globalThis.process.env)) {
  skipContract(target, 'pipelines land each line once in every mode')
  const { name, zerobusSkip } = target
  if (target.skip === false) skipContract({ name, skip: zerobusSkip }, 'Zerobus takes rows')

  for (const sink of [
    { mode: 'transaction', upload: 'files-api' },
    { mode: 'replace-where', upload: 'files-api' },
    { mode: 'copy-into', upload: 'put' },
    { mode: 'copy-into', upload: 'files-api' },
    { mode: 'merge' },
  ] as const) {
    const by = Object.values(sink).join(' and ')
    contractTest(
      target,
      `a blob's lines are rows once, after a second run and a replay too, by ${by}`,
      async (bench, t) => {
        const { config, append, assertLanded, reader } = await openPipeline(bench, t, sink)
        const appended = await append(0)
        await landAll(config)
        await append(500)
        await landAll(config)
        await assertLanded()
        const receipt = await replay({
          config,
          pipeline: 'contract',
          blob,
          from: 0,
          to: appended,
          reader: await reader(),
          ...process,
        })
        assert.deepEqual([receipt.rows, receipt.removedRows], [504, 504])
        await assertLanded()
      },
    )
  }

  for (const mode of ['transaction', 'replace-where', 'copy-into'] as const) {
    contractTest(
      target,
      `units that are planned, written and committed twice are rows once, before a run and after it, by ${mode}`,
      async (bench, t) => {
        const { config, append, assertLanded, reader } = await openPipeline(bench, t, { mode })
        const pipeline = choosePipeline(config, 'contract')
        const landUnits = async (): Promise<readonly Manifest[]> => {
          const { units } = await planUnits({ config, ...process }, { targetBytes: 40_000 })
          assert.ok(units.length > 1, 'several units')
          const manifests: Manifest[] = []
          for (const unit of units) {
            const written = await writeUnit({ config, unit, pipeline, reader: await reader(), ...process })
            manifests.push(parseManifest(manifestText(written), 'the manifest'))
          }
          assert.deepEqual(await commit(manifests), [units.length, 0, []])
          return manifests
        }
        const commit = async (manifests: readonly Manifest[]): Promise<readonly unknown[]> => {
          const named = manifests.map((manifest, index) => ({ ...manifest, origin: `manifest ${index}` }))
          const [receipt] = await commitUnits({ config, ...process }, named)
          return [receipt?.landed, receipt?.landedBefore, receipt?.refused]
        }
        await append(0)
        const manifests = await landUnits()
        await assertLanded()
        assert.deepEqual(await commit(manifests), [0, manifests.length, []])
        await append(500)
        await landAll(config)
        await append(1_000)
        await landUnits()
        await assertLanded()
      },
    )
  }

  contractTest(
    target,
    "a blob's lines are rows once in the view after everything was sent twice, by zerobus",
    async (bench, t) => {
      const zerobus = { ...bench.workspace.zerobus, mode: 'zerobus', volume: undefined } as const
      const { config, append, assertLanded, content, table } = await openPipeline(bench, t, zerobus)
      await append(0)
      await landAll(config)
      await rm(config.stateDirectory, { recursive: true })
      await append(500)
      await landAll(config)
      const rows = 504 + expectedRows(await content()).length
      await showing(bench, table, rows)
      await assertLanded(rowsOnceName(table))
    },
    zerobusSkip,
  )

  for (const layout of [
    { clusterBy: 'auto' },
    { clusterBy: ['instant'] },
    { partitionBy: ['day'] },
  ] as const) {
    contractTest(
      target,
      `a table laid out by ${JSON.stringify(layout)} shows the rows that Zerobus takes, with the values they hold`,
      async (bench, t) => {
        const declaration = await createdTable(bench, { layout })
        await sendByZerobus(bench, t, declaration)
        await showing(bench, declaration.name, 30)
        assert.deepEqual(await rowsOf(bench, declaration), rowTexts(contractSpan(0, 300)))
      },
      zerobusSkip,
    )
  }

  contractTest(
    target,
    'Zerobus refuses the rows of a table with catalog-managed commits',
    async (bench, t) => {
      const declaration = await createdTable(bench, { properties: catalogCommits })
      await assert.rejects(sendByZerobus(bench, t, declaration), (error) => {
        assert.ok(isTailraceError(error, 'STATEMENT_FAILED'), String(error))
        return true
      })
      assert.deepEqual(await rowsOf(bench, declaration), [])
    },
    zerobusSkip,
  )
}

interface ContractPipeline {
  readonly config: ResolvedConfig
  readonly table: TableDeclaration['name']
  /** Appends 504 lines. @param from the number of the first one @returns their bytes */
  append(from: number): Promise<number>
  content(): Promise<Buffer>
  /** Asserts that every line is a row once. @param relation default: the table */
  assertLanded(relation?: TableDeclaration['name']): Promise<void>
  reader(): Promise<BlobReader>
}

async function openPipeline(
  bench: ContractBench,
  t: TestContext,
  sink: Partial<DatabricksSinkConfig>,
): Promise<ContractPipeline> {
  const storage = await startStorage(t)
  const table = bench.table({ hasRowsOnce: sink.mode === 'zerobus' })
  bench.forgetOffsetsOf(table)
  const config = resolveConfig(
    {
      pipelines: {
        contract: {
          source: {
            storage: { kind: 'connection-string', connectionString: storage.connectionString },
            container: containerName,
            blobs: blob,
          },
          table: postgresLogs(Object.values(table).join('.')),
          sink: {
            kind: 'databricks',
            ...bench.workspace.sink,
            layout: { clusterBy: ['event_time'] },
            volume: bench.folder(),
            ...sink,
          },
        },
      },
      stateDirectory: `${bench.directory}/state`,
      disk: { minFreeBytes: 0 },
    },
    bench.directory,
  )
  return {
    config,
    table,
    append: async (from) => {
      const lines = Array.from({ length: 500 }, (_, index) => jsonlogLine(from + index))
      const bad = badLines.flatMap((line) => [line, Buffer.from('\n')])
      const bytes = Buffer.concat([linesAsBytes(lines), ...bad])
      await storage.append(blob, bytes)
      return bytes.length
    },
    content: () => storage.content(blob),
    assertLanded: async (relation = table) => {
      const rows = await bench.query(landedRowsSql(qualifiedName(relation)))
      assertLandedOnce(blob, await storage.content(blob), rows.map(landedRow))
    },
    reader: async () => {
      const containers = new ContainerStorage(config.stateDirectory, false, systemClock, silentLogger)
      t.after(() => containers.stop())
      return containers.reader(choosePipeline(config, 'contract').source)
    },
  }
}

/** Sends 30 rows with a value of each type to a table. */
async function sendByZerobus(
  bench: ContractBench,
  t: TestContext,
  declaration: TableDeclaration,
): Promise<void> {
  const encoder: RowEncoder = await rowEncoder(t)
  const sink = databricksOptions.parse({
    kind: 'databricks',
    ...bench.workspace.sink,
    ...bench.workspace.zerobus,
    mode: 'zerobus',
  })
  const opened = await openWorkspace(
    { name: 'contract', sink, table: declaration },
    { retry: { policy: { maxAttempts: 10 } }, ...process },
  )
  try {
    assert.ok(opened.zerobus !== undefined)
    const loader = new ZerobusLoader({
      client: opened.zerobus,
      declaration,
      engine: encoder.engine,
      ensureTable: async () => {},
    })
    await loader.add({ encoded: await encoder.encode(contractSpan(0, 300)) })
  } finally {
    await opened.close()
  }
}

/** Waits until a table shows as many rows: Zerobus answers seconds before. */
async function showing(bench: ContractBench, name: TableDeclaration['name'], count: number): Promise<void> {
  await eventually(async () => {
    const [found] = await bench.query(`SELECT count(*) AS n FROM ${qualifiedName(name)}`)
    return Number(found?.n) >= count
  }, `${count} rows in the table`)
}
