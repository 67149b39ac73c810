import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { commitPath } from '../../src/sinks/delta/protocol/actions.ts'
import { optimize, vacuum } from '../sinks/delta/maintenance/support.ts'
import { columns, committerOf, encode, span } from '../sinks/delta/support.ts'
import { withoutColumns } from './reshape.ts'
import { blob, SharedTable } from './shared-table.ts'
import { Spark, sparkTest } from './spark/spark.ts'

const spark = new Spark()
after(() => spark.close())

/** The columns whose values differ from file to file in what `SharedTable.land` lands. */
const bounded = [
  'event_time',
  'source_offset',
  'query_id',
  'pid',
  'duration_ms',
  'day',
  'message',
  'event_date',
]

test(
  'Spark reads many appends row for row, also when only a checkpoint has the beginning, and loses no row to skipping',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 2_200)
    await committer.close()
    await table.assertSame(220)
    const past = await table.spark((name) => `SELECT count(*) FROM ${name} VERSION AS OF 3`)
    assert.deepEqual(past, [['30']])

    for (let version = 0; version < 20; version += 1) await rm(join(table.bench.table, commitPath(version)))
    await spark.forget()
    await table.assertSame(220)
    assert.deepEqual(await table.assertNothingLostBySkipping(2), bounded)
  },
)

test(
  'columns that are added by this writer, and by Spark, are read by both and landed on',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    const added = ['query_id', 'message', 'pid']
    const first = committerOf(table.bench, { columns: columns.filter(({ name }) => !added.includes(name)) })
    await first.open()
    await table.land(first, 0, 200, (batch) => withoutColumns(table.bench, batch, added.join(', ')))
    const evolving = committerOf(table.bench, { evolve: true })
    await evolving.open()
    await table.land(evolving, 200, 400)
    await table.assertSame(40)
    const described = await table.spark((name) => `DESCRIBE ${name}`)
    assert.deepEqual(
      described.find(([name]) => name === 'message'),
      ['message', 'string', 'A text.'],
    )

    await table.spark((name) => `ALTER TABLE ${name} ADD COLUMN (their_note STRING, their_count INT)`)
    await table.spark(
      (name) => `INSERT INTO ${name} (source_blob, their_note) VALUES ('logs/spark', 'noted')`,
    )
    await table.expected.change(`INSERT INTO ${table.expected.table} (source_blob) VALUES ('logs/spark')`)
    await table.land(evolving, 400, 600)
    await table.assertSame(61)
    const reopened = committerOf(table.bench)
    await reopened.open()
    await table.land(reopened, 600, 700)
    await table.assertSame(71)
    const answers = await table.spark(
      (name) => `SELECT count(their_note), count_if(query_id IS NULL), count_if(message >= '') FROM ${name}`,
    )
    const [nulls, texts] = [
      await table.expected.count('query_id IS NULL'),
      await table.expected.count("message >= ''"),
    ]
    assert.deepEqual(answers, [['1', String(nulls), String(texts)]])
  },
)

test(
  'Spark compacts, deletes, updates and merges between landings, and this writer replays, merges and vacuums what it left',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 500)

    await table.spark((name) => `OPTIMIZE ${name}`)
    await table.land(committer, 500, 600)
    await table.change((name) => `DELETE FROM ${name} WHERE source_offset < 50`)
    await table.land(committer, 600, 700)
    // A row moves to another partition, too.
    await table.change(
      (
        name,
      ) => `UPDATE ${name} SET message = concat('updated é ', pid), event_date = DATE '2026-02-01', day = NULL
      WHERE query_id % 4 = 0`,
    )
    await table.land(committer, 700, 800)
    await table.change(
      (name) => `MERGE INTO ${name} AS t
      USING (SELECT 600 AS place UNION ALL SELECT 610 UNION ALL SELECT 620 UNION ALL SELECT 9000) AS s
      ON t.source_offset = s.place AND t.source_blob = '${blob}'
      WHEN MATCHED AND s.place = 600 THEN DELETE
      WHEN MATCHED THEN UPDATE SET message = 'merged', duration_ms = 1e300
      WHEN NOT MATCHED THEN INSERT (source_blob, source_offset, message) VALUES ('logs/spark', s.place, 'inserted')`,
    )
    await table.land(committer, 800, 900)
    await table.assertSame(85)

    // The whole rows of the range and nothing beside them, in files of both writers.
    const range = span(blob, 350, 750)
    const rows = Array.from({ length: 40 }, (_, index) => ({ offset: 350 + index * 10, seed: 700 + index }))
    const batch = await encode(table.bench, range, rows)
    await table.expected.change(
      `DELETE FROM ${table.expected.table} WHERE source_blob = '${blob}' AND source_offset BETWEEN 350 AND 749`,
    )
    await table.expected.add(batch)
    await committer.replace(range, [batch])
    await table.assertSame(86)

    await table.land(committer, 900, 1_000)
    await optimize(table.bench)
    await table.assertSame(96)
    await vacuum(table.bench)
    await table.assertSame(96)
    await table.land(committer, 1_000, 1_200)
    await committer.close()
    await spark.forget()
    await table.assertSame(116)
    const skippedBy = await table.assertNothingLostBySkipping(1)
    assert.deepEqual(skippedBy, bounded)

    const history = await table.spark((name) => `DESCRIBE HISTORY ${name}`)
    const operations = new Set(history.map((row) => row[4]))
    for (const name of [
      'CREATE TABLE',
      'STREAMING UPDATE',
      'OPTIMIZE',
      'DELETE',
      'UPDATE',
      'MERGE',
      'WRITE',
    ]) {
      assert.ok(operations.has(name), name)
    }
  },
)

test(
  'nothing is left for Spark to vacuum after this writer did, and Spark vacuums nothing that is live',
  sparkTest,
  async (t) => {
    const table = await SharedTable.none(t, spark)
    const committer = committerOf(table.bench)
    await committer.open()
    await table.land(committer, 0, 300)
    await committer.close()
    await optimize(table.bench)
    await vacuum(table.bench)
    const files = await table.bench.dataFiles()
    // Below its floor nothing that is live may go either.
    await spark.sql('SET spark.databricks.delta.retentionDurationCheck.enabled = false')
    await table.spark((name) => `VACUUM ${name} RETAIN 0 HOURS`)
    await spark.sql('RESET spark.databricks.delta.retentionDurationCheck.enabled')
    assert.deepEqual(await table.bench.dataFiles(), files)
    await table.assertSame(30)
  },
)
