import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { report } from '../../src/commands/report.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import type { RecordPage } from '../../src/page/api.ts'
import type { Report, ReportFigure, ReportSection, ReportTable } from '../../src/page/api-report.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { landAll, openBench, outputOf } from '../commands/command-fixture.ts'
import { linesAsBytes } from '../support/log-lines.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { servePage } from './served-page.ts'

const servers = ['primary', 'replica'] as const
const folder = new URL('../../', import.meta.url)
const figures = JSON.parse(
  await readFile(new URL('test/tables/postgres/views/figures.json', folder), 'utf8'),
) as Record<(typeof servers)[number], Record<string, number | string>>

const hooks = sharedHooks()
const bench = await openBench(hooks)
const resolved = bench.config({ primary: {}, replica: {} })
const pipelines = servers.map((name) => {
  const table = postgresLogs(`test.logs.${name}`, { role: name })
  return [name, { ...resolved.pipelines[name]!, table }]
})
const config: ResolvedConfig = { ...resolved, pipelines: Object.fromEntries(pipelines) }
for (const name of servers) {
  const log = gunzipSync(await readFile(new URL(`sample/logs/${name}.ndjson.gz`, folder)))
  for (let at = 0; at < log.length; at += 3_000_000)
    await bench.storage.append(name, log.subarray(at, at + 3_000_000))
}
await landAll(config)
const page = await servePage(hooks, config)
const whole: Report = await page.json('/api/report')

function section(id: string, of: Report = whole): ReportSection {
  return of.sections.find((one) => one.id === id)!
}

function figure(sectionId: string, id: string): ReportFigure {
  return section(sectionId).figures.find((one) => one.id === id)!
}

function table(sectionId: string, id: string): ReportTable {
  return section(sectionId).tables.find((one) => one.id === id)!
}

test('the figures of the report are those that an independent program computed from the lines', () => {
  assert.deepEqual(
    whole.servers.map(({ id }) => id),
    ['primary', 'replica'],
  )
  const pairs: [section: string, figure: string, expected: string][] = [
    ['overview', 'lines', 'lines'],
    ['overview', 'severity.LOG', 'severity.LOG'],
    ['overview', 'severity.WARNING', 'severity.WARNING'],
    ['overview', 'severity.ERROR', 'severity.ERROR'],
    ['overview', 'severity.FATAL', 'severity.FATAL'],
    ['statements', 'calls', 'queries.count'],
    ['statements', 'total_ms', 'queries.total_ms(statement+execute)'],
    ['statements', 'distinct', 'statements.all'],
    ['errors', 'errors', 'events.count'],
    ['locks', 'acquired', 'locks.acquired.count'],
    ['locks', 'acquired_ms', 'locks.acquired.total_ms'],
    ['locks', 'deadlocks', 'deadlocks.errors_40P01'],
    ['autovacuum', 'vacuums', 'autovacuum.count'],
    ['autovacuum', 'analyzes', 'autoanalyze.count'],
    ['autovacuum', 'tuples_removed', 'autovacuum.tuples_removed'],
    ['temp_files', 'temp_files', 'temp_files.count'],
    ['temp_files', 'bytes', 'temp_files.bytes'],
    ['temp_files', 'max_bytes', 'temp_files.max_bytes'],
    ['checkpoints', 'checkpoints', 'checkpoints.checkpoint.complete'],
    ['sessions', 'ended', 'sessions.count'],
    ['sessions', 'duration_ms', 'sessions.total_ms'],
    ['sessions', 'peak', 'sessions.peak_concurrent'],
    ['sessions', 'received', 'connections.received'],
    ['changes', 'parameter_changes', 'parameter_changes'],
  ]
  for (const [sectionId, id, expected] of pairs) {
    const { values } = figure(sectionId, id)
    for (const [index, server] of servers.entries()) {
      const known = figures[server][expected]
      if (known === undefined) continue
      // The whole log has neither a sum nor a maximum where it has no row.
      const value = values[index] ?? 0
      assert.ok(
        Math.abs(value - Number(known)) < 0.01,
        `${server} ${sectionId}.${id}: ${value}, expected ${known}`,
      )
    }
  }
  const missing = pairs.filter(([, , expected]) => figures.primary[expected] === undefined)
  assert.deepEqual(missing, [])
})

test('the statements with the largest totals are in their order, with calls, mean and maximum', () => {
  const { columns, rows } = table('statements', 'by_total')
  const at = (id: string): number => columns.findIndex((column) => column.id === id)
  const ofPrimary = rows.filter(({ cells }) => cells[0] === 'primary')
  for (const [index, { cells }] of ofPrimary.slice(0, 5).entries()) {
    const key = `top_total.${String(index + 1).padStart(2, '0')}`
    for (const [column, expected] of [
      ['calls', 'calls'],
      ['total_ms', 'total_ms'],
      ['max_ms', 'max_ms'],
      ['mean_ms', 'mean_ms'],
      ['p95_ms', 'p95_cont_ms'],
    ] as const) {
      const known = Number(figures.primary[`${key}.${expected}`])
      assert.ok(Math.abs(Number(cells[at(column)]) - known) < 0.01, `${key}.${expected}`)
    }
  }
})

test('errors by SQLSTATE are those of the lines, and their records are found', {
  timeout: 60_000,
}, async () => {
  const { columns, rows, isCut } = table('errors', 'by_sqlstate')
  assert.equal(isCut, false)
  const at = (id: string): number => columns.findIndex((column) => column.id === id)
  for (const { cells } of rows) {
    const [server, severity, state] = [cells[0], cells[at('severity')], cells[at('sqlstate')]]
    if (state === null) continue
    const known = figures[server as 'primary'][`severity_sqlstate.${severity}.${state}`]
    if (known !== undefined) assert.equal(cells[at('count')], known, `${server} ${severity} ${state}`)
  }
  const { cells, records } = rows.find(({ cells: some }) => some[at('sqlstate')] === '40P01')!
  const query = Object.entries(records!).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}=${encodeURIComponent(String(value))}`),
  )
  const found = await page.json<RecordPage>(`/api/records?limit=1000&${query.join('&')}`)
  assert.equal(found.records.length, cells[at('count')])
})

test('an event has the words that Explore has for it, and leads to its records', () => {
  const { rows } = table('overview', 'events')
  const events = rows.map(({ cells }) => cells[1])
  assert.ok(events.includes('connection received'), events.join(', '))
  for (const event of events) assert.doesNotMatch(String(event), /_/)
  const { cells, records } = rows.find(({ cells: some }) => some[1] === 'connection received')!
  assert.deepEqual(records, { server: [cells[0]], event: ['connection_received'] })
})

test('a chart has the same sum as its figure', () => {
  const { series } = section('overview').charts[0]!
  for (const [index, { id }] of whole.servers.entries()) {
    const sum = series
      .filter(({ server }) => server === id)
      .flatMap(({ values }) => values)
      .reduce<number>((total, value) => total + (value ?? 0), 0)
    assert.equal(sum, figure('overview', 'lines').values[index])
  }
})

test('a report of a part is compared with the time before it', { timeout: 60_000 }, async () => {
  const from = whole.toMs - 45_000
  const to = from + 20_000
  const part = await page.json<Report>(
    `/api/report?section=overview&section=errors&compare=previous&fromMs=${from}&toMs=${to}`,
  )
  assert.deepEqual(
    part.sections.map(({ id }) => id),
    ['overview', 'errors'],
  )
  assert.deepEqual(part.compared, { fromMs: from - 20_000, toMs: from })
  const before = await page.json<Report>(`/api/report?section=overview&fromMs=${from - 20_000}&toMs=${from}`)
  const [now, formerly] = [section('overview', part), section('overview', before)]
  assert.deepEqual(now.figures[0]!.before, formerly.figures[0]!.values)
  assert.ok(now.figures[0]!.values[0]! > 0 && now.figures[0]!.before![0]! > 0)
  const sum = (values: readonly (number | null)[]) =>
    values.reduce<number>((total, one) => total + (one ?? 0), 0)
  const formerSum = now.charts[0]!.series.reduce((total, { before: some }) => total + sum(some!), 0)
  assert.equal(
    formerSum,
    formerly.figures[0]!.values.reduce<number>((a, b) => a + (b ?? 0), 0),
  )
})

test('tailrace report writes one file without scripts and references, and the same as JSON', {
  timeout: 200_000,
}, async (t) => {
  const file = join(await temporaryDirectory(t), 'report.html')
  const { code, text } = await outputOf(config, (context) => report(context, { html: file, json: true }))
  assert.equal(code, 0)
  const { atMs: _at, elapsedMs: _took, ...printed } = JSON.parse(text) as Report
  const { atMs: _other, elapsedMs: _long, ...served } = whole
  assert.deepEqual(printed, served)
  const html = await readFile(file, 'utf8')
  assert.ok(
    !/<script|<link|<img|\ssrc=|url\(|@import|javascript:|\son\w+=/i.test(
      html.replace(/<bdi>.*?<\/bdi>|title="[^"]*"/gs, ''),
    ),
  )
  for (const { title } of whole.sections) assert.ok(html.includes(`<h2>${title}</h2>`), title)
  assert.ok(html.includes('<svg '))
})

test('hostile texts of a log are text in the report', { timeout: 60_000 }, async (t) => {
  const bench = await openBench(t)
  const hostile = `</td><script>alert(1)</script>"'><img src=x onerror=alert(1)>\u202e\u001b[31m\u0000`
  const record = (number: number, severity: string) =>
    JSON.stringify({
      timestamp: `2026-11-24 09:00:0${number}.000 UTC`,
      user: hostile,
      dbname: hostile,
      pid: 7,
      session_id: 'a',
      line_num: number,
      error_severity: severity,
      state_code: 'XX000',
      message: hostile,
      statement: hostile,
      application_name: hostile,
    })
  await bench.storage.append('primary', linesAsBytes([record(1, 'ERROR'), record(2, 'FATAL')]))
  const hostileConfig = bench.config({ primary: {} })
  await landAll(hostileConfig)
  const file = join(await temporaryDirectory(t), 'report.html')
  await outputOf(hostileConfig, (context) => report(context, { html: file }))
  const html = await readFile(file, 'utf8')
  assert.ok(html.includes('&#60;script&#62;alert(1)'), 'the text is shown')
  for (const forbidden of ['<script', '<img', '\u202e', '\u001b', '\u0000'])
    assert.ok(!html.includes(forbidden), JSON.stringify(forbidden))
})
