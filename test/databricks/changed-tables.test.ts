import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { status } from '../../src/commands/status.ts'
import { isTailraceError } from '../../src/errors.ts'
import { createLogger } from '../../src/reporting/logger.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { outputOf } from '../commands/command-fixture.ts'
import { elsewhere, plainColumnsSql } from './plain-table.ts'
import {
  appendLines,
  catalog,
  openWorkspaceBench,
  schema,
  tableSql,
  type WorkspaceBench,
} from './workspace-bench.ts'

const table = `${catalog}.${schema}.primary_logs`

/** @returns the warnings of a run that lands everything */
async function warningsOf(
  bench: WorkspaceBench,
  mode: DatabricksSinkConfig['mode'],
): Promise<readonly Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger({
    level: 'warn',
    pretty: false,
    output: { write: (line) => void lines.push(JSON.parse(line)) },
  })
  const run = await Tailrace.open({
    config: bench.config({ mode }),
    follow: false,
    clock: systemClock,
    logger,
  })
  await run.run()
  return lines
}

/** @returns what status says about changes of the table */
async function statusOf(
  bench: WorkspaceBench,
  mode: DatabricksSinkConfig['mode'],
): Promise<readonly string[]> {
  const config = bench.config({ mode })
  const { text } = await outputOf(config, (context) => status(context, undefined, true))
  return JSON.parse(text).pipelines[0].tableChanges
}

const changed = /somebody has changed or restored the table/

for (const mode of ['transaction', 'replace-where', 'copy-into'] as const) {
  test(`a table that somebody restored is reported once by the next start in mode ${mode}, with the operation and the user`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await appendLines(bench, 0, 10)
    await warningsOf(bench, mode)
    await appendLines(bench, 10, 5)
    assert.deepEqual(await warningsOf(bench, mode), [], 'what it did itself is nothing to report')
    await bench.warehouse.changedByOthers(table, 'RESTORE', `DELETE FROM ${tableSql} WHERE source_offset > 0`)
    await appendLines(bench, 15, 5)
    const [told] = await statusOf(bench, mode)
    assert.match(told ?? '', /^RESTORE by somebody@example\.com in version \d+ may have removed landed rows/)
    const [warning] = await warningsOf(bench, mode)
    assert.match(String(warning?.msg), changed)
    assert.deepEqual(await statusOf(bench, mode), [])
    const [removal] = (warning?.removals ?? []) as readonly Record<string, unknown>[]
    assert.deepEqual([removal?.operation, removal?.userName], ['RESTORE', 'somebody@example.com'])
    await appendLines(bench, 20, 5)
    assert.deepEqual(await warningsOf(bench, mode), [])
  })

  test(`a table that somebody dropped and created again stops the next start in mode ${mode}`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await appendLines(bench, 0, 10)
    await warningsOf(bench, mode)
    const definition = bench.warehouse.tableDefinition(table)!
    const properties = [...definition.properties].map(([key, value]) => `'${key}' = '${value}'`)
    const columns = plainColumnsSql(bench.config().pipelines.primary!.table)
    const options = properties.length === 0 ? '' : ` TBLPROPERTIES (${properties.join(', ')})`
    await bench.warehouse.execute(`DROP TABLE ${table}`, elsewhere)
    await bench.warehouse.execute(`CREATE TABLE ${table} (${columns})${options}`, elsewhere)
    await appendLines(bench, 10, 5)
    assert.match((await statusOf(bench, mode))[0] ?? '', /^the table was dropped and created again/)
    await assert.rejects(warningsOf(bench, mode), (error) => {
      assert.ok(isTailraceError(error, 'TABLE_MISSING'), String(error))
      assert.match(error.message, /was dropped and created again/)
      return true
    })
  })
}

test('a row filter turns transactions off, and a pipeline without a mode says so and counts on the list of loaded files', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 10)
  await warningsOf(bench, 'auto')
  bench.warehouse.restrict(table, { rowFilter: 'source_offset < 0' })
  await appendLines(bench, 10, 5)
  const warnings = await warningsOf(bench, 'auto')
  assert.ok(warnings.some(({ msg }) => /rows of the table may be hidden/.test(String(msg))))
  await assert.rejects(warningsOf(bench, 'transaction'), (error) =>
    isTailraceError(error, 'TABLE_UNSUPPORTED'),
  )
  await assert.rejects(warningsOf(bench, 'merge'), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
  const [count] = await bench.warehouse.rows(
    `SELECT count(*)::INTEGER AS n, count(DISTINCT source_offset)::INTEGER AS places FROM ${tableSql}`,
  )
  assert.deepEqual([count?.n, count?.places], [15, 15])
})
