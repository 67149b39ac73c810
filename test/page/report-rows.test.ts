import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordPage } from '../../src/page/api.ts'
import type { Report } from '../../src/page/api-report.ts'
import { exploreParameters } from '../../src/page/ui/state/record-filter.ts'
import { landAll, openBench } from '../commands/command-fixture.ts'
import { linesAsBytes } from '../support/log-lines.ts'
import { servePage } from './served-page.ts'

test('a row of the report without a server, user, database or SQLSTATE leads to its own records alone', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ main: { blob: 'logs/' } })
  const at = Date.UTC(2026, 10, 24, 9)
  const lines = Array.from({ length: 60 }, (_, number) => {
    const time = new Date(at + number * 1_000).toISOString()
    return JSON.stringify({
      timestamp: `${time.slice(0, 10)} ${time.slice(11, 23)} UTC`,
      ...(number % 2 === 0 ? {} : { user: 'app' }),
      ...(number % 3 === 0 ? {} : { dbname: 'shop' }),
      pid: 7,
      session_id: `6565a1${String(number % 5).padStart(2, '0')}.7`,
      line_num: number + 1,
      error_severity: 'ERROR',
      ...(number % 4 === 0 ? {} : { state_code: '22012' }),
      message: 'division by zero',
      statement: 'select 1 / 0',
      backend_type: 'client backend',
    })
  })
  // Of some records, the path of the blob tells the server.
  const named =
    'logs/resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/PG/a'
  await bench.storage.append('logs/unnamed', linesAsBytes(lines.slice(0, 40)))
  await bench.storage.append(named, linesAsBytes(lines.slice(40)))
  await landAll(config)
  const page = await servePage(t, config)
  const { sections } = await page.json<Report>('/api/report')

  const rows = sections.flatMap((section) =>
    section.tables.flatMap(({ id, columns, rows: some }) => {
      const counted = columns.findIndex((column) => column.id === 'count')
      return ['by_sqlstate', 'events'].includes(id) ? some.map((row) => ({ id, counted, ...row })) : []
    }),
  )
  assert.ok(rows.some(({ cells }) => cells[0] === 'unknown') && rows.some(({ cells }) => cells[0] === 'pg'))
  for (const { id, counted, cells, records } of rows) {
    const query = exploreParameters(records!, { fromMs: undefined, toMs: undefined })
    const found = await page.json<RecordPage>(`/api/records?limit=200&${query}`)
    assert.equal(found.records.length, cells[counted], `${id}: ${query}`)
  }
  const none = await page.json<RecordPage>('/api/records?limit=200&server=&user=&database=')
  assert.ok(none.records.every(({ server, user, database }) => !server && !user && !database))
  assert.equal(none.records.length, lines.slice(0, 40).filter((_, number) => number % 6 === 0).length)
})
