import assert from 'node:assert/strict'
import { test } from 'node:test'
import { report } from '../../src/commands/report.ts'
import type { Report } from '../../src/page/api-report.ts'
import { landAll, openBench, outputOf } from '../commands/command-fixture.ts'
import { linesAsBytes } from '../support/log-lines.ts'

test('the report over a text log has the figures that stand in the further lines of a message', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openBench(t)
  const prefix = '2026-11-24 08:54:35.875 UTC [4138] '
  const lines = [
    `${prefix}LOG:  automatic vacuum of table "shop.public.orders": index scans: 0`,
    '\tpages: 3 removed, 4 remain, 7 scanned (100.00% of total)',
    '\ttuples: 990 removed, 10 remain, 0 are dead but not yet removable',
    `${prefix}ERROR:  division by zero`,
    `${prefix}STATEMENT:  select 1 / 0`,
  ]
  await bench.storage.append('text', linesAsBytes(lines))
  // A table named as the relation of all tables is one of them.
  const config = bench.config({ text: { table: 'test.logs.logs' } })
  await landAll(config)
  const { text } = await outputOf(config, (context) => report(context, { json: true }))
  const { sections } = JSON.parse(text) as Report
  const figures = sections.flatMap((section) => section.figures)
  const value = (id: string): unknown => figures.find((figure) => figure.id === id)?.values[0]
  assert.deepEqual(
    { removed: value('tuples_removed'), pages: value('pages_removed'), records: value('lines') },
    { removed: 990, pages: 3, records: 2 },
  )
})

test('a report over a range of time takes no further line of a record behind the range, in whichever blob', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ text: { blob: 'logs/*' } })
  const vacuum = (at: string, table: string, tuples: number): string[] => [
    `2026-11-24 ${at} UTC [4138] LOG:  automatic vacuum of table "shop.public.${table}": index scans: 0`,
    `\tpages: ${tuples} removed, 4 remain, 7 scanned (100.00% of total)`,
    `\ttuples: ${tuples} removed, 10 remain, 0 are dead but not yet removable`,
  ]
  const blobs = {
    'logs/08.log': [
      ...vacuum('07:59:00.000', 'before', 1),
      ...vacuum('08:54:00.000', 'orders', 20),
      '2026-11-24 08:59:59.000 UTC [4138] LOG:  temporary file: path "base/pgsql_tmp/x", size 1000',
      ...vacuum('09:00:10.000', 'after', 300),
      // The records of processes may be out of order by a moment.
      '2026-11-24 08:59:59.900 UTC [4139] LOG:  temporary file: path "base/pgsql_tmp/y", size 500',
      ...vacuum('09:00:11.000', 'after', 4000),
    ],
    'logs/09.log': vacuum('09:30:00.000', 'later', 50_000),
  }
  for (const [blob, lines] of Object.entries(blobs)) {
    await bench.storage.append(blob, linesAsBytes(lines))
    await landAll(config)
  }
  const range = { fromMs: Date.parse('2026-11-24T08:00:00Z'), toMs: Date.parse('2026-11-24T09:00:00Z') }
  const { text } = await outputOf(config, (context) => report(context, { json: true, ...range }))
  const { sections, servers } = JSON.parse(text) as Report
  const figures = sections.flatMap((section) => section.figures)
  const value = (id: string): unknown => figures.find((figure) => figure.id === id)?.values[0]
  assert.deepEqual(
    {
      servers: servers.length,
      removed: value('tuples_removed'),
      pages: value('pages_removed'),
      temporary: value('temp_files'),
      records: value('lines'),
    },
    { servers: 1, removed: 20, pages: 20, temporary: 2, records: 3 },
  )
})
