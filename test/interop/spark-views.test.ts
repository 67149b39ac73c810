import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { sqlString } from '../../src/sinks/encoding/engine.ts'
import { withEngine } from '../../src/sinks/encoding/engine-session.ts'
import { logViews } from '../../src/tables/postgres/views/log-views.ts'
import { createViewStatements } from '../../src/tables/view-statements.ts'
import { createLogViews } from '../tables/postgres/views/create-log-views.ts'
import { Spark, sparkTest } from './spark/spark.ts'

const options = { ...sparkTest, timeout: 1_200_000 }
const spark = new Spark()
after(() => spark.close())

/** Lines of a sample log: all but the many timed statements, of which the first ones are kept. */
function shortLog(role: string): string {
  const log = gunzipSync(readFileSync(new URL(`../../sample/logs/${role}.ndjson.gz`, import.meta.url)))
  const timed = /"message":"duration: [0-9.]+ ms {2}(?:parse|bind|execute|statement)/
  let kept = 0
  return log
    .toString()
    .split('\n')
    .filter((line) => !timed.test(line) || kept++ < 2_000)
    .join('\n')
}

test('Spark computes the rows of every view as the embedded engine does', options, async () => {
  const roles = ['primary', 'replica'] as const
  await withEngine(async (engine, directory) => {
    const parts: string[] = []
    for (const role of roles) {
      const lines = join(directory, `${role}.ndjson`)
      await writeFile(lines, shortLog(role))
      const rows = await createLogViews(engine, lines, role)
      parts.push(rows)
      const file = join(directory, `${role}.parquet`)
      await engine.run(`COPY (FROM ${rows}) TO ${sqlString(file)} (FORMAT parquet)`)
      await spark.sql(`CREATE TABLE spark_catalog.default.${role}_rows USING parquet LOCATION '${file}'`)
    }
    await engine.run(`CREATE OR REPLACE VIEW logs AS FROM ${parts[0]} UNION ALL BY NAME FROM ${parts[1]}`)

    const columns = (await engine.rows('SELECT column_name FROM (DESCRIBE FROM logs)')).map((row) => ({
      name: String(row.column_name),
    }))
    const [primary, replica] = roles.map((role) => ({
      name: { catalog: 'spark_catalog', schema: 'default', table: `${role}_rows` },
      columns,
    }))
    const views = new Set(logViews.views().map(({ name }) => name))
    for (const statement of createViewStatements(logViews, [primary!, replica!])) {
      await spark.sql(statement)
      const [, name = ''] = /^CREATE OR REPLACE VIEW \S*?(\w+)`?\n/.exec(statement) ?? []
      if (!views.delete(name)) continue
      const answer = join(directory, `${name}.spark`)
      await spark.write(`SELECT * FROM spark_catalog.default.${name}`, answer)
      const theirs = `read_parquet(${sqlString(`${answer}/*.parquet`)})`
      // Sums and means of doubles differ in the last digits, by the order in which they were added.
      const rounded = (from: string): string =>
        `SELECT * REPLACE (${doubles
          .get(name)
          ?.map((column) => `round(${column}, 6) AS ${column}`)
          .join(', ')}) FROM ${from}`
      const same = (from: string): string =>
        doubles.get(name) === undefined ? `FROM ${from}` : rounded(from)
      const [differing] = await engine.rows(`SELECT
        (SELECT count(*) FROM (${same(name)} EXCEPT ALL ${same(theirs)})) AS missing,
        (SELECT count(*) FROM (${same(theirs)} EXCEPT ALL ${same(name)})) AS added`)
      assert.deepEqual({ name, ...differing }, { name, missing: '0', added: '0' })
      // The views behind it read the rows that were compared: Spark plans views inside of views for minutes.
      await spark.sql(`DROP VIEW spark_catalog.default.${name}`)
      await spark.sql(`CREATE TABLE spark_catalog.default.${name} USING parquet LOCATION '${answer}'`)
    }
    assert.deepEqual([...views], [], 'views without a statement')
  })
})

const doubles = new Map([
  ['statements', ['total_ms', 'mean_ms', 'p50_ms', 'p95_ms', 'p99_ms', 'parse_ms', 'bind_ms']],
])
