import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { openBench } from '../../../commands/command-fixture.ts'
import { eventually } from '../../../support/eventually.ts'
import { loggingServer, withoutServer } from './logging-server.ts'
import { envelopes, selectFromLanded } from './text-logs.ts'

const recordsSql = `SELECT pid, session_id, severity, message, detail, hint, context, statement, internal_query
  FROM log_records ORDER BY source_offset`

const prefixes = [
  '%m [%p] ',
  '%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ',
  '%m [%p] %q%u@%d ',
  '%t:%r:%u@%d:[%p]:',
  '[%p] %q%u@%d ',
]

/** Statements that fail or warn, with texts of several lines in every part of a record. */
const script = `
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'a');
INSERT INTO t
  VALUES (1, 'größer');
SELECT
\tno_such_column
FROM t;
DO $$ BEGIN
  PERFORM 1 / 0;
END $$;
DO $$ BEGIN EXECUTE 'SELECT *
FROM missing'; END $$;
DO $$ BEGIN RAISE EXCEPTION E'first\\nERROR:  second' USING DETAIL = E'one\\n\\ttwo', HINT = E'a\\nDETAIL:  b'; END $$;
DO $$ BEGIN RAISE WARNING E'"quoted"\\n{"a": 1} and more'; END $$;
SELECT upper('x'),
       E'tab\\there';
`

test("log_records finds the records of a server's jsonlog in its text log, whatever its prefix", {
  skip: withoutServer,
}, async (t) => {
  const server = await loggingServer(t, { log_min_messages: 'notice' })
  await server.start()
  for (const prefix of prefixes) {
    await server.psql(`ALTER SYSTEM SET log_line_prefix = '${prefix}'; SELECT pg_reload_conf();`)
    // A session takes the new setting when the postmaster and the session itself have read it.
    await eventually(
      async () => (await server.psql('SHOW log_line_prefix')).trim() === prefix.trim(),
      'new prefix',
    )
    await server.psql(`DROP TABLE IF EXISTS t;\n${script}`, { onError: 'continue' })
  }
  await server.stop()
  const text = await readFile(join(server.logDirectory, 'postgresql.log'), 'utf8')
  const lines = text.split('\n').slice(0, -1)
  const logs = Object.fromEntries(
    ['file', 'docker', 'azure'].map((name) => [name, linesOf(lines.map(envelopes[name]!))]),
  )
  const bench = await openBench(t)
  const { jsonlog, ...found } = await selectFromLanded(
    bench,
    { jsonlog: await readFile(server.jsonlogPath), ...logs },
    [0.64],
    recordsSql,
  )
  // Only jsonlog names the session.
  const comparable = (rows: readonly object[]): string[] =>
    rows
      .map((row) => JSON.stringify({ ...row, session_id: undefined }).replace(/ at character \d+"/, '"'))
      .toSorted()
  const expected = comparable(jsonlog!)
  assert.ok(expected.length > 80, `${expected.length} records`)
  for (const [name, rows] of Object.entries(found)) assert.deepEqual(comparable(rows), expected, name)
})

/** A line of a text: no part of it is taken for JSON or for a blank line. */
const line = fc
  .string({
    unit: fc.constantFrom(...'ab1é漢 :,\'"\\{}[]%@.\t', 'ERROR:  ', 'DETAIL:  '),
    minLength: 1,
    maxLength: 20,
  })
  .filter((text) => /[a-z]/.test(text) && !/^\t*["{}[\]]/.test(text) && !/^[ \t]|[ \t]$/.test(text))
const text = fc
  .array(line, { minLength: 1, maxLength: 4 })
  .filter(([first]) => !/: {2}|^\w+:/.test(first!))
  .map((lines) => lines.join('\n'))

const parts = ['DETAIL', 'HINT', 'QUERY', 'CONTEXT', 'STATEMENT'] as const
const columns = ['detail', 'hint', 'internal_query', 'context', 'statement'] as const
const record = fc.record({
  pid: fc.integer({ min: 41, max: 43 }),
  level: fc.constantFrom('ERROR', 'WARNING', 'LOG'),
  message: text,
  parts: fc.tuple(...parts.map(() => fc.option(text, { nil: undefined }))),
})
type TextRecord = typeof record extends fc.Arbitrary<infer T> ? T : never

test('log_records joins generated records of several lines, interleaved by process and cut anywhere between runs', async (t) => {
  const bench = await openBench(t)
  const [sample] = fc.sample(
    fc.record({
      records: fc.array(record, { minLength: 120, maxLength: 120 }),
      order: fc.infiniteStream(fc.nat(2)),
      cuts: fc.tuple(
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        fc.double({ min: 0.5, max: 1, noNaN: true }),
      ),
    }),
    { numRuns: 1, seed: 20_261_129 },
  )
  const { records, order, cuts } = sample!
  const log = interleaved(records, order).flatMap((one) =>
    one.split('\n').map((part, at) => (at === 0 ? part : `\t${part}`)),
  )
  const logs = Object.fromEntries(Object.entries(envelopes).map(([name, of]) => [name, linesOf(log.map(of))]))
  const expected = records
    .map(({ pid, level, message, parts }) => ({
      pid,
      session_id: pid === 42 ? '6b0550cb.2a' : null,
      severity: level,
      message,
      ...Object.fromEntries(columns.map((column, index) => [column, parts[index] ?? null])),
    }))
    .map(sorted)
    .toSorted()
  for (const [name, rows] of Object.entries(await selectFromLanded(bench, logs, cuts, recordsSql)))
    assert.deepEqual(rows.map(sorted).toSorted(), expected, name)
})

function sorted(row: object): string {
  return JSON.stringify(Object.entries(row).toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

/** What each process writes before a level: settings that name it in different ways. */
const prefixOf: Readonly<Record<number, string>> = {
  41: '2026-11-24 08:54:35.875 UTC [41] ',
  42: '2026-11-24 08:54:35 UTC-6b0550cb.2a-',
  43: '2026-11-24 08:54:35 UTC:10.1.2.3(5000):shop@orders:[43]:',
}

/** The texts of the records, in the order of each process, as the server writes them between those of others. */
function interleaved(records: readonly TextRecord[], order: Iterator<number>): string[] {
  const queues = new Map<number, string[]>([41, 42, 43].map((pid) => [pid, []]))
  for (const { pid, level, message, parts: texts } of records) {
    const prefix = prefixOf[pid]
    queues.get(pid)!.push(`${prefix}${level}:  ${message}`)
    for (const [index, one] of texts.entries())
      if (one !== undefined) queues.get(pid)!.push(`${prefix}${parts[index]}:  ${one}`)
  }
  const texts: string[] = []
  while ([...queues.values()].some(({ length }) => length > 0)) {
    const next = queues.get(41 + order.next().value)!.shift()
    if (next !== undefined) texts.push(next)
  }
  return texts
}

function linesOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((one) => `${one}\n`).join(''))
}
