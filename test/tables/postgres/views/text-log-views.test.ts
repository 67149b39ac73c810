import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { PostgresServer } from '../../../../sample/postgres-server.ts'
import { logViews } from '../../../../src/tables/postgres/views/log-views.ts'
import { openBench } from '../../../commands/command-fixture.ts'
import { eventually } from '../../../support/eventually.ts'
import { loggingServer, withoutServer } from './logging-server.ts'
import { selectFromLanded } from './text-logs.ts'

/** A setting of `log_line_prefix`, and the columns for which it has no value. */
interface Prefix {
  readonly setting: string
  readonly lacks: readonly string[]
}

// The server counts the lines of its text log, and the records of its jsonlog.
const always = ['line_num', 'query_id', 'txid', 'backend_type', 'sqlstate', 'sqlstate_class', 'end_sqlstate']
const session = ['session_id', 'started_at']
const client = ['user_name', 'db_name', 'client_addr', 'application_name', 'client_port']

const prefixes: Readonly<Record<string, Prefix>> = {
  default: { setting: '%m [%p] ', lacks: [...always, ...session, ...client] },
  debian: {
    setting: '%m [%p] %q%u@%d ',
    lacks: [...always, ...session, 'client_addr', 'application_name', 'client_port'],
  },
  pgbadger: {
    setting: '%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ',
    lacks: [...always, ...session, 'client_port', 'application_name'],
  },
  azure: { setting: '%t-%c-', lacks: [...always, ...client, 'started_at'] },
  rds: { setting: '%t:%r:%u@%d:[%p]:', lacks: [...always, ...session, 'application_name', 'client_port'] },
}

/** Without milliseconds in the prefix: the server reads the clock once for each of its logs, and seconds may differ. */
const isInSeconds = ({ setting }: Prefix): boolean => setting.includes('%t')

/** A view for which a standby's queries have rows. */
const ofStandbys = 'recovery_conflicts'

/** Views whose rows count lines or read no server log, and those that the test of `log_records` compares. */
const others = new Set(['log_events', 'log_texts', 'log_records', 'row_changes', 'audit_log'])

const statements = `
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t
  SELECT i, 'a' FROM generate_series(1, 1000) i;
INSERT INTO t
  VALUES (1, 'größer');
SELECT
\tno_such_column
FROM t;
DO $$ BEGIN
  PERFORM 1 / 0;
END $$;
DO $$ BEGIN RAISE EXCEPTION E'first\\nERROR:  second' USING DETAIL = E'one\\n\\ttwo', HINT = E'a\\nDETAIL:  b'; END $$;
PREPARE p (int, text) AS
  SELECT * FROM t WHERE id = $1
    AND v = $2;
EXECUTE p (1, E'x\\ny');
SELECT count(*),
  upper('x') FROM t;
-- The line of a file stands between the plan and its statement.
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT i, repeat('x', 50) FROM generate_series(1, 20000) i
  ORDER BY 2, 1 OFFSET 1) s;
SET statement_timeout = '20ms';
SELECT
  pg_sleep(5);
RESET statement_timeout;
DELETE FROM t WHERE id > 10;
ALTER SYSTEM SET work_mem = '5MB';
SELECT pg_reload_conf();
CHECKPOINT;
`

test("every view has rows, and the same over a server's text log as over its jsonlog, whatever the prefix", {
  skip: withoutServer,
}, async (t) => {
  const server = await loggingServer(t, {
    log_connections: 'on',
    log_disconnections: 'on',
    log_lock_waits: 'on',
    log_temp_files: '0',
    log_checkpoints: 'on',
    log_replication_commands: 'on',
    log_autovacuum_min_duration: '0',
    autovacuum_naptime: '1s',
    autovacuum_vacuum_threshold: '1',
    autovacuum_vacuum_scale_factor: '0',
    deadlock_timeout: '50ms',
    session_preload_libraries: 'auto_explain',
    'auto_explain.log_min_duration': '0',
  })
  const logs: Record<string, Buffer> = {}
  for (const [name, { setting }] of Object.entries(prefixes)) {
    await server.configure({ log_line_prefix: setting })
    await server.start()
    await run(server)
    await server.stop()
    logs[`${name}-text`] = await readFile(join(server.logDirectory, 'postgresql.log'))
    logs[`${name}-json`] = await readFile(server.jsonlogPath)
    await rm(server.logDirectory, { recursive: true })
  }
  const views = logViews.views().filter(({ name }) => !others.has(name))
  const all = views.map(({ name }) => `SELECT '${name}' AS view, to_json(v)::VARCHAR AS row FROM ${name} v`)
  const found = await selectFromLanded(await openBench(t), logs, [0.64], all.join('\nUNION ALL\n'), 'TABLE')
  for (const [name, prefix] of Object.entries(prefixes)) {
    for (const { name: view } of views) {
      const [expected, text] = ['json', 'text'].map((kind) =>
        found[`${name}-${kind}`]!.filter((row) => row.view === view)
          .map((row) => comparable(JSON.parse(String(row.row)), prefix))
          .toSorted(),
      )
      assert.ok(view === ofStandbys || expected!.length > 0, `${view} has no rows`)
      assert.deepEqual(text, expected, `${view} over the prefix ${prefix.setting}`)
    }
  }
})

/** The values of a row that both logs have. */
function comparable(row: Readonly<Record<string, unknown>>, prefix: Prefix): string {
  const isShared = (column: string): boolean =>
    !(
      prefix.lacks.includes(column) ||
      /^source_(?!role)/.test(column) ||
      (isInSeconds(prefix) && /_at$|_time$|^minute$/.test(column))
    )
  const values = Object.entries(row).filter(([column]) => isShared(column))
  // jsonlog has the position of an error in a key of its own.
  const texts = values.map(([column, value]) => [
    column,
    column === 'message' ? String(value).replace(/ at character \d+$/, '') : value,
  ])
  return JSON.stringify(Object.fromEntries(texts))
}

/** Makes the server write a log with rows for nearly every view. */
async function run(server: PostgresServer): Promise<void> {
  await server.psql('DROP TABLE IF EXISTS t, a, b')
  await server.psql(statements, { onError: 'continue' })
  await server.psql(`CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS
    SELECT 1 AS x;`)
  const crossing = (first: string, second: string): Promise<string> =>
    server.psql(
      `BEGIN; UPDATE ${first} SET x = 2; SELECT pg_sleep(0.5); UPDATE ${second}\n  SET x = 3; COMMIT;`,
      { onError: 'continue' },
    )
  await Promise.all([crossing('a', 'b'), crossing('b', 'a')])
  const waiting = server.psql('BEGIN; LOCK TABLE a; SELECT pg_sleep(0.7); COMMIT;')
  await delay(300)
  await Promise.all([waiting, server.psql('SELECT *\n  FROM a;')])
  await server.pgbench(['--no-vacuum', '--protocol', 'prepared', '--transactions', '3'], {
    script: `\\set id random(1, 5)\nSELECT v\n  FROM t WHERE id = :id;\n`,
  })
  await server.psql('', { database: 'missing', onError: 'continue' })
  const replication = '\\connect "dbname=postgres replication=database"\nIDENTIFY_SYSTEM;'
  await server.psql(replication, { onError: 'continue' })
  // The shell of psql ends psql itself, in a transaction.
  await server.psql('BEGIN;\nSELECT 1;\n\\! kill -9 $PPID\n', { onError: 'continue' })
  await server.psql('SELECT pg_terminate_backend(pg_backend_pid());', { onError: 'continue' })
  await eventually(
    async () =>
      (await readFile(server.jsonlogPath, 'utf8')).includes('automatic vacuum of table \\"postgres.public.t'),
    'an autovacuum of the table',
  )
}
