import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from '../../../src/config/environment.ts'
import { isTailraceError } from '../../../src/errors.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { checkEach, rowOf } from '../../sinks/encoder-harness.ts'

test('a declaration has every column once, and long texts after the 32 that readers keep statistics of', () => {
  const { name, columns, partitionColumns, strict } = postgresLogs('lake.logs.primary-server')
  assert.deepEqual(name, { catalog: 'lake', schema: 'logs', table: 'primary-server' })
  assert.deepEqual([partitionColumns.map(({ column }) => column), strict], [['event_date'], false])
  const names = columns.map((column) => column.name)
  assert.equal(new Set(names).size, names.length)
  assert.equal(names.length, 61)
  const early = names.slice(0, 29)
  for (const filtered of [
    'event_time',
    'severity',
    'source_blob',
    'source_offset',
    'parse_status',
    'query_id',
  ]) {
    assert.ok(early.includes(filtered), filtered)
  }
  assert.ok(columns.every(({ comment }) => comment.endsWith('.')))
})

test('extra columns come before the long texts', () => {
  const { columns } = postgresLogs('a.b.c', {
    extraColumns: [{ name: 'region', type: 'string', from: 'labels.region' }],
  })
  const names = columns.map(({ name }) => name)
  assert.equal(names.indexOf('region'), names.indexOf('parse_error') - 1)
  assert.equal(columns[names.indexOf('region')]!.comment, 'Value of labels.region in the record.')
})

test('a dot in the key of an extra column leads into an object or is part of a key', async (t) => {
  const table = postgresLogs('a.b.c', {
    extraColumns: [
      { name: 'pod', type: 'string', from: 'attributes.k8s.pod' },
      { name: 'shard', type: 'long', from: 'k8s.shard' },
    ],
  })
  const record = { timestamp: '2026-11-24 09:09:31.946 UTC', pid: 1, error_severity: 'LOG', message: 'm' }
  await checkEach(
    [
      [{ 'attributes.k8s.pod': 'flat', attributes: { k8s: { pod: 'nested' } } }, 'flat', null],
      [{ attributes: { 'k8s.pod': 'mixed' }, 'k8s.shard': 7 }, 'mixed', '7'],
      [{ attributes: { k8s: { pod: 'nested' } }, k8s: { shard: 8 } }, 'nested', '8'],
      [{ 'attributes.k8s.pod': null, attributes: { k8s: { pod: 'nested' } } }, 'nested', null],
      [{ attributes: { k8s: 'none' } }, null, null],
      [{ 'k8s.shard': '9' }, null, '9'],
    ] as const,
    async ([extra, pod, shard]) => {
      const row = await rowOf(t, { ...record, ...extra }, table)
      assert.deepEqual([row.pod, row.shard, row.parse_status], [pod, shard, 'ok'], JSON.stringify(extra))
    },
  )
  const misfit = await rowOf(t, { ...record, 'k8s.shard': 'x' }, table)
  assert.deepEqual([misfit.shard, misfit.parse_error], [null, 'bad_value: shard = x'])
})

test('a declaration that cannot be is refused', () => {
  const extra = (name: string, from = 'a') => ({ extraColumns: [{ name, type: 'string' as const, from }] })
  for (const declare of [
    () => postgresLogs('schema.table'),
    () => postgresLogs('a.b.c.d'),
    () => postgresLogs('a..c'),
    () => postgresLogs('a.b.c/d'),
    () => postgresLogs('a.b. c'),
    () => postgresLogs('a.b.c', extra('Severity')),
    () => postgresLogs('a.b.c', extra('my column')),
    () => postgresLogs('a.b.c', extra('x;y')),
    () => postgresLogs('a.b.c', extra('ok', 'a..b')),
    () => postgresLogs('a.b.c', extra('ok', '')),
    () => postgresLogs('a.b.c', { timezone: 'Europe/Nowhere' }),
    () => postgresLogs('a.b.c', { prefixes: ['%m %y'] }),
    () => postgresLogs('a.b.c', { prefixes: ['100%'] }),
  ]) {
    assert.throws(declare, (error) => isTailraceError(error, 'CONFIG_INVALID'), declare.toString())
  }
})

test('a configured prefix may have many escapes, padding and an end for background processes', async (t) => {
  const declaration = postgresLogs('a.b.c', {
    prefixes: ['%m|%-8p|%q%u|%d|%a|%r|%b|%i|%e|%c|%l|%x|%Q|100%%|'],
  })
  const session = await rowOf(
    t,
    {
      log: '2026-11-24 08:54:35.875 UTC|77      |ann|shop|psql|10.0.0.9(5432)|client backend|SELECT|42P01|6b0550cb.4d|3|12|-7|100%|ERROR:  boom',
    },
    declaration,
  )
  assert.deepEqual(
    [
      session.pid,
      session.user_name,
      session.db_name,
      session.application_name,
      session.client_addr,
      session.client_port,
      session.backend_type,
    ],
    [77, 'ann', 'shop', 'psql', '10.0.0.9', 5432, 'client backend'],
  )
  assert.deepEqual(
    [
      session.command_tag,
      session.sqlstate,
      session.session_id,
      session.line_num,
      session.txid,
      session.query_id,
      session.severity,
      session.message,
    ],
    ['SELECT', '42P01', '6b0550cb.4d', '3', '12', '-7', 'ERROR', 'boom'],
  )
  const background = await rowOf(
    t,
    { log: '2026-11-24 08:54:35.875 UTC|78      |LOG:  checkpoint starting' },
    declaration,
  )
  assert.deepEqual(
    [background.pid, background.user_name, background.severity, background.message],
    [78, null, 'LOG', 'checkpoint starting'],
  )
})

test('a prefix of an environment variable, which loses the blank at its end, reads the same lines', async (t) => {
  const background = '%m %d %u %p %l %q%a '
  for (const [setting, log] of [
    ['%m %p %d %u %h ', '2026-11-24 08:54:35.875 UTC 77 shop ann 10.0.0.9 ERROR:  boom'],
    ['%d %u %m %p %h ', 'shop ann 2026-11-24 08:54:35.875 UTC 77 10.0.0.9 ERROR:  boom'],
    [background, '2026-11-24 08:54:35.875 UTC shop ann 77 3 psql ERROR:  boom'],
    [background, '2026-11-24 08:54:35.875 UTC shop ann 77 3 ERROR:  boom'],
  ] as const) {
    const { TAILRACE_LOG_LINE_PREFIX: read } = readEnvironment(
      { TAILRACE_LOG_LINE_PREFIX: 'text' },
      { TAILRACE_LOG_LINE_PREFIX: setting },
    )
    for (const prefix of [setting, read!]) {
      const row = await rowOf(t, { log }, postgresLogs('a.b.c', { prefixes: [prefix] }))
      assert.deepEqual(
        [row.pid, row.db_name, row.user_name, row.severity, row.message],
        [77, 'shop', 'ann', 'ERROR', 'boom'],
        JSON.stringify([prefix, log]),
      )
    }
  }
})

test('a configured prefix may have the leader of a parallel worker and the address of the server', async (t) => {
  const start = '2026-11-24 08:54:35.875 UTC|77|70|10.0.0.1|'
  for (const [setting, log] of [
    ['%m|%p|%P|%L|', `${start}LOG:  boom`],
    // More escapes than one replacement of the regular expression has groups.
    ['%m|%p|%P|%L|%u|%d|%a|%h|%b|%l|%x|', `${start}ann|shop|psql|10.0.0.9|parallel worker|3|12|LOG:  boom`],
  ] as const) {
    const row = await rowOf(t, { log }, postgresLogs('a.b.c', { prefixes: [setting] }))
    assert.deepEqual([row.pid, row.leader_pid, row.message], [77, 70, 'boom'], setting)
    assert.equal(row.extra, '{"local_addr":"10.0.0.1"}', setting)
  }
})
