import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { withEngine } from '../../../../src/sinks/encoding/engine-session.ts'
import { logViews } from '../../../../src/tables/postgres/views/log-views.ts'
import { createLogViews } from './create-log-views.ts'
import { figureQueries, figureRelations } from './figures.ts'

type Figure = number | string | Readonly<Record<string, number | string>>

const figures: Readonly<Record<string, Readonly<Record<string, Figure>>>> = JSON.parse(
  readFileSync(new URL('figures.json', import.meta.url), 'utf8'),
)

const queries = [
  ...readFileSync(new URL('../../../../docs/tables.md', import.meta.url), 'utf8')
    .split(/^## /m)
    .find((section) => section.startsWith('Twelve queries'))!
    .matchAll(/```sql\n(.*?)```/gs),
].map(([, sql]) => String(sql))

for (const role of ['primary', 'replica'] as const) {
  test(`every figure of a report over the ${role}'s log comes out of the views`, async (t) => {
    const found = new Map<string, Figure>()
    await withEngine(async (engine, directory) => {
      const file = join(directory, 'lines.ndjson')
      const log = new URL(`../../../../sample/logs/${role}.ndjson.gz`, import.meta.url)
      await writeFile(file, gunzipSync(readFileSync(log)))
      await createLogViews(engine, file, role)
      // Each view is computed once for all figures: a temporary table hides the view.
      for (const { name } of logViews.views())
        await engine.run(`CREATE TEMP TABLE ${name} AS FROM memory.main.${name}`)
      for (const relation of figureRelations) await engine.run(relation)
      for (const query of figureQueries) {
        for (const row of await engine.rows(
          `SELECT key, to_json(value)::VARCHAR AS value FROM (${query}) AS q(key, value)`,
        )) {
          found.set(String(row.key), JSON.parse(String(row.value)))
        }
      }
      if (role === 'replica') return
      assert.equal(queries.length, 12)
      for (const sql of queries) assert.notDeepEqual(await engine.rows(sql), [], `no rows: ${sql}`)
    })
    const expected = figures[role]!
    const differing = Object.entries(expected).flatMap(([key, own]) => {
      try {
        assert.deepEqual(found.get(key), own)
        return []
      } catch {
        return [{ key, own, found: found.get(key) }]
      }
    })
    const count = Object.keys(expected).length
    t.diagnostic(`${count - differing.length} of ${count} figures of the ${role} are right`)
    assert.deepEqual(differing, [])
  })
}

test('docs/views.md lists every view with its columns', async () => {
  const page = readFileSync(new URL('../../../../docs/views.md', import.meta.url), 'utf8')
  await withEngine(async (engine, directory) => {
    const file = join(directory, 'lines.ndjson')
    await writeFile(file, '')
    await createLogViews(engine, file, 'primary')
    const listed = [...page.matchAll(/^\| `(\w+)` +\|[^|]*\| (.*?) *\|$/gm)].map(([, name, columns]) => [
      name,
      columns?.replaceAll('`', '').split(' '),
    ])
    const existing: unknown[] = []
    for (const { name } of logViews.views()) {
      const columns = await engine.rows(`SELECT column_name FROM (DESCRIBE FROM ${name})`)
      existing.push([name, columns.map((row) => row.column_name)])
    }
    assert.deepEqual(listed, existing)
  })
})

test('a session with two FATAL errors ended by the last one, whatever their SQLSTATEs', async () => {
  const line = (second: number, severity: string, sqlstate: string, message: string): string =>
    JSON.stringify({
      timestamp: `2026-11-24 09:10:0${second}.000 UTC`,
      pid: 7,
      session_id: '692423a0.7',
      line_num: second,
      session_start: '2026-11-24 09:10:00 UTC',
      error_severity: severity,
      state_code: sqlstate,
      message,
      backend_type: 'client backend',
    })
  const lines = [
    line(1, 'LOG', '00000', 'connection authorized: user=ann database=shop'),
    line(2, 'FATAL', '57P01', 'terminating connection due to administrator command'),
    line(3, 'FATAL', '08006', 'could not send data to client: Broken pipe'),
    line(4, 'ERROR', '99999', 'not the end'),
  ]
  await withEngine(async (engine, directory) => {
    const file = join(directory, 'lines.ndjson')
    await writeFile(file, `${lines.join('\n')}\n`)
    await createLogViews(engine, file, 'primary')
    assert.deepEqual(await engine.rows('SELECT end_reason, end_sqlstate FROM sessions'), [
      { end_reason: 'error', end_sqlstate: '08006' },
    ])
  })
})
