import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { checkpointPath } from '../../src/sinks/delta/log/checkpoint-reader.ts'
import { writeCheckpoint } from '../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { parquetSql } from '../../src/sinks/encoding/engine.ts'
import { withEngine } from '../../src/sinks/encoding/engine-session.ts'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { Spark, shortJob, sparkTest } from './spark/spark.ts'

const spark = new Spark()
after(() => spark.close())

const delta = [
  'spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension',
  'spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog',
  'spark.ui.enabled=false',
  'spark.sql.shuffle.partitions=1',
  'spark.databricks.delta.snapshotPartitions=1',
  'spark.sql.sources.parallelPartitionDiscovery.parallelism=1',
  'spark.sql.codegen.wholeStage=false',
  'spark.sql.codegen.factoryMode=NO_CODEGEN',
  'spark.sql.adaptive.enabled=false',
]

/** What the job prints. */
interface Merged {
  readonly clustered: boolean
  readonly where: string
  readonly filesBefore: number
  readonly filesRemoved: number
  readonly filesAdded: number
}

/** Runs the job to its end. */
async function optimizeBySpark(table: string, ...args: readonly string[]) {
  const script = join(projectRoot, 'deploy/spark/tailrace_optimize.py')
  const job = spawn(process.env.TAILRACE_INTEROP_SPARK!, [script, '--table', table, ...args], {
    env: {
      ...process.env,
      ...shortJob,
      PYSPARK_SUBMIT_ARGS: `--master local[1] ${delta.map((one) => `--conf ${one}`).join(' ')} pyspark-shell`,
    },
  })
  let [output, log] = ['', '']
  job.stdout.on('data', (text) => (output += text))
  job.stderr.on('data', (text) => (log += text))
  const code = await new Promise<number | null>((resolve) => job.once('close', resolve))
  return { code, log, merged: () => JSON.parse(output) as Merged }
}

const blobs = Array.from({ length: 8 }, (_, index) => `p/${index}.json`)

/**
 * A table that two shards land in while every blob grows.
 *
 * @param overrides properties of the pipeline, as source text
 */
async function landingTable(t: TestContext, overrides: string) {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    // Two shards that ask for eight blobs ten times a second would leave Spark little of the machine.
    pipelines: { primary: { blobs: 'p/', pollMs: 1_000, discoverMs: 1_000, maxPollMs: 1_000 } },
    // Few files, each of which Spark reads and writes again, on a machine that has other work.
    batch: { maxAgeMs: 4_000 },
  })
  const config = join(directory, 'optimized.config.mjs')
  await writeFile(
    config,
    `import base from './pipeline.config.mjs'
    const { primary } = base.pipelines
    export default { ...base, pipelines: { primary: { ...primary, ${overrides} } } }`,
  )
  let line = 0
  const append = async (count: number) => {
    for (const name of blobs)
      await storage.append(name, linesAsBytes(Array.from({ length: count }, () => jsonlogLine(line++))))
  }
  const tailrace = (...args: readonly string[]) => runTailrace(t, [...args, '--config', config])
  const table = project.tableDirectory('primary')
  const contents = () => Promise.all(blobs.map((name) => storage.content(name)))
  return {
    table,
    tailrace,
    append,
    /** Lets two shards run while `work` goes on and the blobs grow, then until all is landed. */
    whileLanding: async (work: () => Promise<void>) => {
      const shards = [0, 1].map((index) =>
        startTailrace(t, ['start', '--config', config, '--shard', `${index}/2`]),
      )
      const state = { works: true }
      const appending = (async () => {
        while (state.works) {
          await append(5)
          await delay(1_000)
        }
      })()
      try {
        await work()
      } finally {
        state.works = false
        await appending
      }
      const bytes = (await contents()).reduce((sum, { length }) => sum + length, 0)
      await eventually(async () => {
        const rows = await readTable(table)
        return rows.reduce((sum, { length }) => sum + length, 0) === bytes
      }, 'everything has landed')
      for (const shard of shards) {
        shard.kill('SIGTERM')
        assert.equal((await shard.exited).code, 143, shard.stderr.slice(-4_000))
      }
    },
    assertExact: async () => {
      const rows = await readTable(table)
      for (const [index, content] of (await contents()).entries())
        assertLandedOnce(blobs[index]!, content, rows)
      const { code, stdout } = await tailrace('verify')
      assert.equal(code, 0, stdout)
    },
  }
}

test(
  'a Spark job takes over the merging of a table from Tailrace, and hands it back, while two shards land: each row once',
  sparkTest,
  async (t) => {
    const { table, tailrace, append, whileLanding, assertExact } = await landingTable(t, '')
    await append(20)
    assert.equal((await tailrace('start', '--once')).code, 0)
    const refused = await optimizeBySpark(table)
    assert.equal(refused.code, 2, refused.log.slice(-4_000))
    assert.match(refused.log, /merged by tailrace\. Run with --take/)

    await whileLanding(async () => {
      const taken = await optimizeBySpark(table, '--take')
      assert.equal(taken.code, 0, taken.log.slice(-4_000))
      assert.equal(taken.merged().where, '`event_date` < current_date()')
      assert.ok(taken.merged().filesRemoved > taken.merged().filesAdded)
      const left = await tailrace('optimize')
      assert.match(left.stdout, /primary: not merged, its small files are left to spark/)
    })
    await assertExact()

    const released = await optimizeBySpark(table, '--release')
    assert.equal(released.code, 0, released.log.slice(-4_000))
    const { stdout } = await tailrace('optimize', '--json')
    const [report] = JSON.parse(stdout) as { partitions: { filesBefore: number; filesAfter: number }[] }[]
    assert.ok(report!.partitions.every(({ filesBefore, filesAfter }) => filesAfter < filesBefore))
    assert.ok(report!.partitions.length > 0, stdout)
    await assertExact()
  },
)

test(
  'two shards land in a table that Spark clusters meanwhile: each row once, statistics of the clustering column in each file, and no merge by Tailrace',
  sparkTest,
  async (t) => {
    const { table, tailrace, append, whileLanding, assertExact } = await landingTable(
      t,
      'table: { ...primary.table, partitionColumns: [] }',
    )
    await append(20)
    assert.equal((await tailrace('start', '--once')).code, 0)
    await spark.sql(`ALTER TABLE delta.\`${table}\` CLUSTER BY (event_time)`)
    await whileLanding(async () => {
      const clustered = await optimizeBySpark(table)
      assert.equal(clustered.code, 0, clustered.log.slice(-4_000))
      assert.ok(clustered.merged().clustered)
      assert.ok(clustered.merged().filesRemoved > clustered.merged().filesAdded)
    })
    await assertExact()
    const { stdout } = await tailrace('optimize')
    assert.match(
      stdout,
      /primary: not merged, its small files are left to the engine that clusters the table/,
    )

    // Other writers rely on bounds of the clustering column in every file, and Spark knows its own files by their tags, which
    // checkpoints of Tailrace keep.
    await append(1)
    assert.equal((await tailrace('start', '--once')).code, 0)
    const { files, tagged, bounded } = await withEngine(async (engine, stagingDirectory) => {
      const storage = new LocalDeltaStorage(table)
      const state = (await loadState(storage, engine, { keepFiles: true }))!
      const { version, checkpointVersion: previous, protocol, metaData, domains } = state
      const plan = { version, previous, protocol, metaData, domains: domains.size }
      const context = { storage, engine, stagingDirectory }
      await writeCheckpoint({ ...plan, transactions: state.transactions.size }, context, Date.now())
      const path = join(table, checkpointPath(version))
      const [row] = await engine.rows(
        `SELECT count(*) FILTER (WHERE "add".clusteringProvider = 'liquid') AS tagged FROM ${parquetSql([path])}`,
      )
      const adds = [...state.files!.values()]
      return {
        files: adds.length,
        tagged: Number(row?.tagged),
        bounded: adds.filter(({ stats = '{}' }) => JSON.parse(stats).minValues?.event_time !== undefined)
          .length,
      }
    })
    assert.ok(tagged > 0)
    assert.equal(bounded, files)
    await assertExact()
  },
)
