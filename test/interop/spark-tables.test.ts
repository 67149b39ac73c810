import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import { optimize, vacuum } from '../sinks/delta/maintenance/support.ts'
import { committerOf, encode, span } from '../sinks/delta/support.ts'
import { inOneFile } from './reshape.ts'
import { blob, SharedTable } from './shared-table.ts'
import { Spark, sparkTest } from './spark/spark.ts'

const spark = new Spark()
after(() => spark.close())

const columnsSql = `event_time TIMESTAMP, source_blob STRING, source_generation STRING, source_offset BIGINT,
  query_id BIGINT, pid INT, duration_ms DOUBLE, is_slow BOOLEAN, day DATE, message STRING, event_date DATE`

/** A table as Spark makes it. */
function create(
  table: SharedTable,
  layout: string,
  properties: Readonly<Record<string, string>> = {},
  definitions = columnsSql,
) {
  const listed = Object.entries(properties).map(([name, value]) => `'${name}' = '${value}'`)
  const clause = listed.length === 0 ? '' : ` TBLPROPERTIES (${listed.join(', ')})`
  return table.spark((name) => `CREATE TABLE ${name} (${definitions}) USING delta ${layout}${clause}`)
}

/** Three commits of Spark's own, two rows each. */
async function insertThrice(table: SharedTable): Promise<void> {
  for (let index = 0; index < 3; index += 1) {
    await table.change(
      (name) => `INSERT INTO ${name} (source_blob, source_offset, message, event_date)
        VALUES ('logs/spark', ${index}, 'theirs é${index}', DATE '2026-01-0${index + 1}'), ('logs/spark', ${index + 10}, NULL, NULL)`,
    )
  }
}

/** Leaves a log without what lies before its newest checkpoint, and returns that one's name. */
async function keepOnlyNewestCheckpoint(table: SharedTable): Promise<string> {
  const log = join(table.bench.table, '_delta_log')
  const names = (await readdir(log)).sort()
  const checkpoint = names.filter((name) => name.includes('.checkpoint.')).at(-1)
  assert.ok(checkpoint)
  for (const name of names) {
    const version = /^\d{20}/.exec(name)?.[0]
    if (version === undefined) continue
    // The sums that Spark writes beside its commits would answer in place of the checkpoint.
    if (version < checkpoint.slice(0, 20) || name.endsWith('.crc')) await rm(join(log, name))
  }
  return checkpoint
}

/** One layout of checkpoints that Spark writes. */
interface Layout {
  readonly title: string
  readonly layout: string
  readonly properties: Readonly<Record<string, string>>
  /** Settings of the session that writes the checkpoint. */
  readonly settings?: Readonly<Record<string, string>>
  /** What the names of its checkpoints look like. */
  readonly checkpoint: RegExp
  /** The version of the newest checkpoint when four batches were landed on version 3. Default 6. */
  readonly landedCheckpoint?: number
  readonly partitioned: boolean
}

const layouts: readonly Layout[] = [
  {
    title: 'partitioned, for appends only, with a classic checkpoint',
    layout: 'PARTITIONED BY (event_date)',
    properties: {
      'delta.appendOnly': 'true',
      'delta.logRetentionDuration': 'interval 7 days',
      'delta.dataSkippingNumIndexedCols': '5',
    },
    checkpoint: /\d\.checkpoint\.parquet$/,
    partitioned: true,
  },
  {
    title: 'partitioned, with a checkpoint in parts whose statistics are columns',
    layout: 'PARTITIONED BY (event_date)',
    properties: {
      'delta.checkpoint.writeStatsAsJson': 'false',
      'delta.checkpoint.writeStatsAsStruct': 'true',
      'delta.dataSkippingStatsColumns': 'source_offset,message,event_time',
    },
    settings: { 'spark.databricks.delta.checkpoint.partSize': '4' },
    checkpoint: /\.checkpoint\.\d{10}\.\d{10}\.parquet$/,
    // This writer states statistics as JSON alone, and leaves such a table's checkpoints to Spark.
    landedCheckpoint: 3,
    partitioned: true,
  },
  {
    title: 'clustered, with times in its commits and a v2 checkpoint in JSON',
    layout: 'CLUSTER BY (source_offset)',
    properties: { 'delta.checkpointPolicy': 'v2', 'delta.enableInCommitTimestamps': 'true' },
    checkpoint: /\.checkpoint\.[0-9a-f-]{36}\.json$/,
    partitioned: false,
  },
  {
    title: 'with deletion vectors allowed and a v2 checkpoint in Parquet',
    layout: 'PARTITIONED BY (event_date)',
    properties: { 'delta.checkpointPolicy': 'v2', 'delta.enableDeletionVectors': 'true' },
    settings: { 'spark.databricks.delta.checkpointV2.topLevelFileFormat': 'parquet' },
    checkpoint: /\.checkpoint\.[0-9a-f-]{36}\.parquet$/,
    partitioned: true,
  },
]

for (const {
  title,
  layout,
  properties,
  settings = {},
  checkpoint,
  landedCheckpoint = 6,
  partitioned,
} of layouts) {
  test(
    `a table that Spark created ${title} is landed on and read by both, also from checkpoints alone`,
    sparkTest,
    async (t) => {
      const table = await SharedTable.none(t, spark)
      await create(table, layout, { ...properties, 'delta.checkpointInterval': '3' })
      for (const [name, value] of Object.entries(settings)) await spark.sql(`SET ${name} = ${value}`)
      await insertThrice(table)
      for (const name of Object.keys(settings)) await spark.sql(`RESET ${name}`)
      assert.match(await keepOnlyNewestCheckpoint(table), checkpoint)

      const committer = committerOf(table.bench, { partitionColumns: partitioned ? ['event_date'] : [] })
      await committer.open()
      const reshape = async (batch: EncodedBatch) => (partitioned ? batch : inOneFile(table.bench, batch))
      await table.land(committer, 0, 200, reshape)
      await table.assertSame(26)
      await table.land(committer, 200, 400, reshape)
      await committer.close()

      const newest = await keepOnlyNewestCheckpoint(table)
      assert.equal(Number(newest.slice(0, 20)), landedCheckpoint)
      await spark.forget()
      await table.assertSame(46)
      assert.ok((await table.assertNothingLostBySkipping(1)).includes('source_offset'))
      await insertThrice(table)
      await table.assertSame(52)

      if (properties['delta.appendOnly'] === 'true') {
        await assert.rejects(committer.replace(span(blob, 0, 100), []), {
          code: 'TABLE_UNSUPPORTED',
          message: /property delta\.appendOnly/,
        })
      }
      if (properties['delta.enableInCommitTimestamps'] === 'true') {
        const history = await table.spark((name) => `DESCRIBE HISTORY ${name}`)
        const times = history
          .map(([version, time]) => [Number(version), Date.parse(String(time))] as const)
          .sort(([left], [right]) => left - right)
        for (const [index, [, time]] of times.entries()) assert.ok(index === 0 || time > times[index - 1]![1])
      }
    },
  )
}

/** A rule of a table that an append cannot keep, and what its owner runs to be rid of it. */
interface Refused {
  readonly title: string
  readonly properties?: Readonly<Record<string, string>>
  /** Default those that a landing has. */
  readonly definitions?: string
  /** Run after the table is made. */
  readonly statement?: string
  readonly refusal: RegExp
  /** What the refusal advises; missing where Delta 4.0 cannot do it. */
  readonly remedy?: readonly string[]
}

const refused: readonly Refused[] = [
  {
    title: 'a CHECK constraint',
    statement: 'ADD CONSTRAINT places CHECK (source_offset >= 0)',
    refusal: /feature checkConstraints \(delta\.constraints\.places\).*DROP CONSTRAINT places/,
    remedy: ['DROP CONSTRAINT places'],
  },
  {
    title: 'a column default',
    properties: { 'delta.feature.allowColumnDefaults': 'supported' },
    statement: 'ALTER COLUMN pid SET DEFAULT 7',
    refusal: /feature allowColumnDefaults \(column pid\).*ALTER COLUMN … DROP DEFAULT/,
    remedy: ['ALTER COLUMN pid DROP DEFAULT'],
  },
  {
    title: 'a column that must not be NULL',
    definitions: columnsSql.replace('source_offset BIGINT', 'source_offset BIGINT NOT NULL'),
    refusal: /column source_offset is NOT NULL/,
    remedy: ['ALTER COLUMN source_offset DROP NOT NULL'],
  },
  {
    title: 'row tracking',
    properties: { 'delta.enableRowTracking': 'true' },
    refusal: /feature rowTracking.*'delta\.enableRowTracking' = 'false'.*DROP FEATURE rowTracking/,
  },
  {
    title: 'columns that are mapped by name',
    properties: { 'delta.columnMapping.mode': 'name' },
    refusal: /feature columnMapping \(mode name\).*'delta\.columnMapping\.mode' = 'none'/,
    remedy: ["SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')"],
  },
]

for (const { title, properties, definitions, statement, refusal, remedy } of refused) {
  test(
    `a table that Spark gave ${title} is refused by name${remedy === undefined ? '' : ', and landed on once that is gone'}`,
    sparkTest,
    async (t) => {
      const table = await SharedTable.none(t, spark)
      await create(table, 'PARTITIONED BY (event_date)', properties, definitions)
      await insertThrice(table)
      if (statement !== undefined) await table.spark((name) => `ALTER TABLE ${name} ${statement}`)
      await assert.rejects(committerOf(table.bench).open(), { message: refusal })

      if (remedy === undefined) return
      for (const change of remedy) await table.spark((name) => `ALTER TABLE ${name} ${change}`)
      const committer = committerOf(table.bench)
      await committer.open()
      await table.land(committer, 0, 100)
      await table.assertSame(16)
    },
  )
}

test(
  'a constraint that Spark adds between two landings stops the next one, and nothing of it is seen',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 100)
    await table.spark((name) => `ALTER TABLE ${name} ADD CONSTRAINT places CHECK (source_offset < 100)`)
    const source = span(blob, 100, 200)
    const batch = await encode(table.bench, source, [{ offset: 100, seed: 1 }])
    await assert.rejects(committer.land([source], batch), {
      code: 'TABLE_UNSUPPORTED',
      message: /delta\.constraints\.places/,
    })
    await table.assertSame(10)
    await table.spark((name) => `ALTER TABLE ${name} DROP CONSTRAINT places`)
    const reopened = committerOf(table.bench)
    await reopened.open()
    await table.land(reopened, 100, 200)
    await table.assertSame(20)
  },
)

test(
  'Spark lists what was landed in a table with a change feed, whose rows cannot be replaced',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    await create(table, 'PARTITIONED BY (event_date)', { 'delta.enableChangeDataFeed': 'true' })
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 100)
    await table.change((name) => `DELETE FROM ${name} WHERE source_offset = 50`)
    await table.land(committer, 100, 200)
    await table.assertSame(19)
    const changes = await spark.sql(
      `SELECT _change_type, count(*) FROM table_changes_by_path('${table.bench.table}', 1)
      GROUP BY _change_type ORDER BY _change_type`,
    )
    assert.deepEqual(changes, [
      ['delete', '1'],
      ['insert', '20'],
    ])
    await assert.rejects(committer.replace(span(blob, 0, 100), []), {
      code: 'TABLE_UNSUPPORTED',
      message: /property delta\.enableChangeDataFeed/,
    })
  },
)

test(
  'rows that Spark deletes by deletion vectors stay deleted through landings, a replay, a merge and a vacuum',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    await create(table, 'PARTITIONED BY (event_date)', { 'delta.enableDeletionVectors': 'true' })
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 300)
    await table.change((name) => `DELETE FROM ${name} WHERE source_offset IN (0, 30, 110, 120, 290)`)
    await table.land(committer, 300, 400)
    await table.change((name) => `UPDATE ${name} SET message = 'updated' WHERE source_offset IN (40, 310)`)
    assert.ok((await table.bench.dataFiles()).some((name) => name.includes('deletion_vector_')))
    await table.land(committer, 400, 500)
    await table.assertSame(45)

    await table.expected.change(`DELETE FROM ${table.expected.table} WHERE source_offset BETWEEN 100 AND 199`)
    assert.equal((await committer.replace(span(blob, 100, 200), [])).removedRows, 8)
    await table.assertSame(37)
    await table.change((name) => `DELETE FROM ${name} WHERE source_offset IN (50, 350)`)
    await optimize(table.bench)
    await table.assertSame(35)
    await table.change((name) => `DELETE FROM ${name} WHERE source_offset = 70`)
    await vacuum(table.bench)
    await table.land(committer, 500, 600)
    await spark.forget()
    await table.assertSame(44)
    await table.assertNothingLostBySkipping(1)
  },
)
