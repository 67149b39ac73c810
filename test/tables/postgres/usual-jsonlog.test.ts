import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { EmbeddedEngine } from '../../../src/sinks/encoding/engine.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { sqlIdentifier, sqlString } from '../../../src/tables/sql.ts'
import type { TableDeclaration } from '../../../src/tables/table.ts'

const usual = {
  timestamp: '2026-11-24 10:00:00.123 UTC',
  user: 'app',
  dbname: 'shop',
  pid: 4711,
  remote_host: '10.0.0.1',
  remote_port: 40000,
  session_id: '692430a0.1267',
  line_num: 1,
  ps: 'SELECT',
  session_start: '2026-11-24 09:00:00 UTC',
  txid: 0,
  error_severity: 'LOG',
  message: 'duration: 1.5 ms  statement: select 1',
  backend_type: 'client backend',
}

const change = (changes: object): string => JSON.stringify({ ...usual, ...changes })

/** Records that look usual and are not, each in one way. */
const nearlyUsual = [
  change({ pid: 1.5 }),
  change({ pid: '4711' }),
  change({ pid: null }),
  change({ line_num: 'x' }),
  change({ line_num: 1.5 }),
  change({ line_num: 2.5, remote_port: 1e3 }),
  change({}).replace('"line_num":1', '"line_num":1e0'),
  change({}).replace('"line_num":1', '"line_num":1.0'),
  change({ remote_port: '' }),
  change({ message: { nested: true } }),
  change({ detail: ['nested'] }),
  change({ detail: '{"a": 1}' }),
  change({ context: '[local]', message: 'table "a.b": index \\": {x} ":[' }),
  change({ message: 'AUDIT: SESSION,1,1,READ,SELECT,,,select 1,<none>' }),
  change({ message: '' }),
  change({ user: '[unknown]', dbname: '' }),
  change({ timestamp: '2026-11-24 10:00:00.123 CET' }),
  change({ timestamp: '2026-11-24 10:00:00 +03' }),
  change({ timestamp: 'yesterday' }),
  change({ timestamp: '1764321411.946' }),
  change({ timestamp: 1764321411.946 }),
  change({ timestamp: '' }),
  change({ session_id: 'x.y' }),
  change({ session_id: undefined }),
  change({ session_start: undefined }),
  change({ error_severity: undefined }),
  change({ category: 'PostgreSQLLogs', properties: { message: 'x' } }),
  change({ 'properties.message': 'flat' }),
  change({ 'properties.message': 'flat', properties: { message: 'x' } }),
  change({ state_code: '42P01', hint: 'h', statement: 'select\n2', query_id: 1 }),
  change({}).replace('"pid":4711', '"pid":4711,"query_id":-6883023751393440299'),
  change({}).replace('"pid":4711', '"pid":4711,"query_id":99999999999999999999'),
  change({}).replace('"pid":4711', '"pid": 4711'),
  change({}).replace('"pid":4711', '"pid":\t{"a":1}'),
  change({}).slice(0, -1),
  change({}).replace('LOG', '\\ud800'),
  '{"timestamp":"',
  '{"timestamp":"2026-11-24 10:00:00.123 UTC"}',
]

test('the short way to a usual record and the long way agree on every column of every record', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-usual-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: directory, memoryMiB: 1024 })
  t.after(() => engine.close())

  const sample = new URL('../../../sample/logs/replica.ndjson.gz', import.meta.url)
  const recorded = gunzipSync(await readFile(sample))
    .toString('utf8')
    .split('\n')
    .slice(0, 3_000)
  const path = join(directory, 'lines.ndjson')
  await writeFile(path, `${[...recorded, ...nearlyUsual].join('\n')}\n`)

  for (const options of [
    {},
    { strict: true },
    { timezone: 'Europe/Berlin', role: 'replica', serverName: 's' },
  ] as const) {
    const declaration = postgresLogs('a.b.c', {
      ...options,
      extraColumns: [
        { name: 'process', type: 'long', from: 'pid' },
        { name: 'inner', type: 'string', from: 'properties.message' },
      ],
    })
    const all = projected(path, declaration)
    const short = projected(path, declaration, 'checked')
    const [found] = await engine.rows(`SELECT
      (SELECT count(*) FROM (${short} EXCEPT ALL ${all}))::INTEGER AS other,
      (SELECT count(*) FROM (${short}))::INTEGER AS short`)
    assert.equal(found?.other, 0)
    assert.ok(Number(found?.short) > 2_900, `only ${String(found?.short)} records went the short way`)
  }
})

const placeColumn = /^(?:source_(?:blob|generation|offset|length|index)|ingest_ts)$/

/** SQL of the rows that a projection makes of a file of JSON lines, without the columns of their places. */
function projected(path: string, { projection, columns }: TableDeclaration, usual?: 'checked'): string {
  const lines = `read_csv(${sqlString(path)}, columns = {raw: 'VARCHAR'}, delim = '\x1f', quote = '', escape = '',
    header = false, auto_detect = false)`
  const source = `(SELECT raw, raw AS text, NULL::VARCHAR AS reject, NULL::VARCHAR AS note,
    NOT contains(substring(raw, 2), '{') AND NOT regexp_matches(raw, '[: ]\\[') AS is_flat, NULL::BOOLEAN AS is_written FROM ${lines})`
  const names = columns.map(({ name }) => name).filter((name) => !placeColumn.test(name))
  return `SELECT ${names.map(sqlIdentifier).join(', ')} FROM (${projection.select(source, { passThrough: [], usual })})`
}
