import assert from 'node:assert/strict'
import { test } from 'node:test'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { checkEach, filled, rowOf } from '../../sinks/encoder-harness.ts'

const plain = {
  timestamp: '2026-11-24 08:54:35.875 UTC',
  user: 'shop',
  dbname: 'orders',
  pid: 4138,
  remote_host: '10.1.2.3',
  remote_port: 40100,
  session_id: '6b0550cb.102a',
  line_num: 7,
  ps: 'SELECT',
  session_start: '2026-11-24 08:54:35 UTC',
  vxid: '3/11',
  txid: 3949960645,
  error_severity: 'ERROR',
  state_code: '42P01',
  message: 'relation "x" does not exist',
  detail: 'a detail',
  hint: 'a hint',
  internal_query: 'select 1 from y',
  internal_position: 15,
  context: 'a context',
  statement: 'select * from x',
  cursor_position: 9,
  func_name: 'parserOpenTable',
  file_name: 'parse_relation.c',
  file_line_num: 1381,
  application_name: 'checkout',
  backend_type: 'client backend',
  leader_pid: 4100,
  query_id: 0,
}

const plainRow = {
  event_time: '2026-11-24 08:54:35.875+00',
  severity: 'ERROR',
  severity_level: 'ERROR',
  record_kind: 'server_log',
  event: 'error',
  db_name: 'orders',
  user_name: 'shop',
  client_addr: '10.1.2.3',
  client_port: 40100,
  application_name: 'checkout',
  sqlstate: '42P01',
  backend_type: 'client backend',
  pid: 4138,
  session_id: '6b0550cb.102a',
  session_start: '2026-11-24 08:54:35+00',
  line_num: '7',
  command_tag: 'SELECT',
  txid: '3949960645',
  message: 'relation "x" does not exist',
  detail: 'a detail',
  hint: 'a hint',
  context: 'a context',
  statement: 'select * from x',
  internal_query: 'select 1 from y',
  internal_position: 15,
  cursor_position: 9,
  vxid: '3/11',
  ps: 'SELECT',
  leader_pid: 4100,
  func_name: 'parserOpenTable',
  file_name: 'parse_relation.c',
  file_line_num: 1381,
  parse_status: 'ok',
}

test('a jsonlog record fills its columns', async (t) => {
  assert.deepEqual(filled(await rowOf(t, plain)), plainRow)
})

test('a jsonlog record is the same with its keys in another order, or inside an envelope', async (t) => {
  const { timestamp, ...others } = plain
  assert.deepEqual(filled(await rowOf(t, { ...others, timestamp })), plainRow, 'another order')
  assert.deepEqual(
    filled(
      await rowOf(t, { log: `${JSON.stringify(plain)}\n`, stream: 'stderr', time: '2026-11-24T09:00:00Z' }),
    ),
    { ...plainRow, extra: '{"stream":"stderr","time":"2026-11-24T09:00:00Z"}' },
    'Docker',
  )
  assert.deepEqual(
    filled(await rowOf(t, { '@timestamp': '2026-11-24T09:00:00.000001Z', ...plain })),
    { ...plainRow, extra: '{"@timestamp":"2026-11-24T09:00:00.000001Z"}' },
    'Fluent Bit',
  )
  assert.deepEqual(
    filled(
      await rowOf(t, { message: JSON.stringify(plain), timestamp: 'x', host: 'h', source_type: 'file' }),
    ),
    { ...plainRow, server_name: 'h', extra: '{"timestamp":"x","host":"h","source_type":"file"}' },
    'Vector',
  )
})

test('a jsonlog record without a session has SQLSTATE 00000 and no user', async (t) => {
  const row = await rowOf(t, {
    timestamp: '2026-11-24 08:54:35.875 UTC',
    pid: 1,
    session_id: '6b0550cb.1',
    line_num: 1,
    session_start: '2026-11-24 08:54:35 UTC',
    txid: 0,
    error_severity: 'LOG',
    message: 'starting',
    backend_type: 'postmaster',
    query_id: 0,
  })
  assert.deepEqual(filled(row), {
    event_time: '2026-11-24 08:54:35.875+00',
    severity: 'LOG',
    severity_level: 'LOG',
    record_kind: 'server_log',
    sqlstate: '00000',
    message: 'starting',
    backend_type: 'postmaster',
    pid: 1,
    session_id: '6b0550cb.1',
    session_start: '2026-11-24 08:54:35+00',
    line_num: '1',
    parse_status: 'ok',
  })
})

test('an Azure flexible server record loses the prefix of its message', async (t) => {
  const row = await rowOf(t, {
    properties: {
      timestamp: '2026-07-02 03:00:06.123 UTC',
      processId: 1384179,
      errorLevel: 'LOG',
      sqlerrcode: '00000',
      message:
        '2026-07-02 03:00:06 UTC-6a45d422.151ef3-LOG:  connection authorized: user=azuresudatabase=postgres application_name=app one SSL enabled (protocol=TLSv1.3)',
      detail: '',
      backend_type: 'client backend',
    },
    time: '2026-07-02T03:00:07.9Z',
    resourceId:
      '/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/PG-ONE',
    category: 'PostgreSQLLogs',
    operationName: 'LogEvent',
    ReplicaRole: 'Primary',
    LogicalServerName: '',
  })
  const { extra, ...columns } = filled(row)
  assert.deepEqual(JSON.parse(String(extra)), {
    properties: { timestamp: '2026-07-02 03:00:06.123 UTC' },
    time: '2026-07-02T03:00:07.9Z',
    resourceId:
      '/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/PG-ONE',
    category: 'PostgreSQLLogs',
    operationName: 'LogEvent',
    ReplicaRole: 'Primary',
    LogicalServerName: '',
  })
  assert.deepEqual(columns, {
    event_time: '2026-07-02 03:00:06.123+00',
    severity: 'LOG',
    severity_level: 'LOG',
    record_kind: 'server_log',
    event: 'connection_authorized',
    sqlstate: '00000',
    server_name: 'pg-one',
    source_role: 'primary',
    db_name: 'postgres',
    user_name: 'azuresu',
    application_name: 'app one',
    backend_type: 'client backend',
    pid: 1384179,
    session_id: '6a45d422.151ef3',
    session_start: '2026-07-02 02:59:46+00',
    message:
      'connection authorized: user=azuresudatabase=postgres application_name=app one SSL enabled (protocol=TLSv1.3)',
    parse_status: 'ok',
  })
})

test('the prefix of an Azure message counts more than the times around it', async (t) => {
  const row = await rowOf(t, {
    time: '2026-07-02T03:17:07Z',
    category: 'PostgreSQLLogs',
    properties: {
      timestamp: '2026-07-02 03:10:00.000 UTC',
      message: '2026-07-02 03:00:06.5 UTC [77] [user=u,db=[unknown],app=[unknown]] FATAL:  no',
      errorLevel: 'FATAL',
    },
  })
  assert.equal(row.event_time, '2026-07-02 03:00:06.5+00')
  assert.deepEqual(
    [row.user_name, row.db_name, row.application_name, row.pid, row.message, row.severity],
    ['u', null, null, 77, 'no', 'FATAL'],
  )
})

/** What Azure's diagnostic settings write of a server's record. */
const properties = {
  timestamp: '2026-07-02 03:10:00.25 UTC',
  message: 'LOG:  hello',
  errorLevel: 'LOG',
  processId: 9,
}

test('an Azure record with its properties in a string, a loose layout or a prefix of their own is read', async (t) => {
  const inString = await rowOf(t, {
    category: 'PostgreSQLLogs',
    properties: JSON.stringify(properties),
    LogicalServerName: 'S1',
    ReplicaRole: 'GeoReplica',
  })
  assert.deepEqual(
    [inString.event_time, inString.pid, inString.server_name, inString.source_role, inString.parse_status],
    ['2026-07-02 03:10:00.25+00', 9, 'S1', 'replica', 'ok'],
  )
  const loose = await rowOf(
    t,
    '{ "category" : "PostgreSQLLogs", "properties" : { "message" : "plain text", "errorLevel" : "LOG" } }',
  )
  assert.deepEqual(
    [loose.message, loose.severity, loose.event_time, loose.parse_status],
    ['plain text', 'LOG', null, 'ok'],
  )
  const single = await rowOf(t, {
    time: '2026-07-02T03:10:00Z',
    category: 'PostgreSQLLogs',
    properties: {
      prefix: '2026-07-02 03:09:59 UTC-5d4a3b2c.1f-',
      message: 'connection received: host=127.0.0.1 port=4711 pid=31',
      errorLevel: 'LOG',
      detail: '',
      domain: '',
    },
  })
  assert.deepEqual(
    [single.event_time, single.pid, single.client_addr, single.client_port, single.message, single.detail],
    [
      '2026-07-02 03:09:59+00',
      31,
      '127.0.0.1',
      4711,
      'connection received: host=127.0.0.1 port=4711 pid=31',
      null,
    ],
  )
})

test('a record in a string is read also inside an envelope, and partial where it is cut off or lies deeper', async (t) => {
  const text = JSON.stringify(properties)
  const azure = { category: 'PostgreSQLLogs', properties: text, LogicalServerName: 'S1' }
  const statistics = {
    category: 'PostgreSQLFlexQueryStoreRuntime',
    time: '2026-07-02T03:10:00Z',
    properties: JSON.stringify({ Datname: 'shop', Query_id: 5 }),
  }
  await checkEach(['log', 'message', 'json'], async (key) => {
    const wrapped = await rowOf(t, { [key]: JSON.stringify(azure), stream: 'stderr' })
    assert.deepEqual(
      [wrapped.event_time, wrapped.pid, wrapped.message, wrapped.server_name, wrapped.parse_status],
      ['2026-07-02 03:10:00.25+00', 9, 'hello', 'S1', 'ok'],
      key,
    )
    const store = await rowOf(t, { [key]: JSON.stringify(statistics) })
    assert.deepEqual([store.db_name, store.query_id, store.parse_status], ['shop', '5', 'ok'], key)
  })
  const cut = { ...azure, properties: text.slice(0, 60) }
  const operator = { level: 'info', logger: 'postgres', msg: 'record' }
  await checkEach(
    [
      cut,
      { log: JSON.stringify(cut) },
      { ...azure, properties: JSON.stringify(text) },
      { log: JSON.stringify({ ...azure, properties: JSON.stringify(text) }) },
      { log: JSON.stringify({ message: JSON.stringify(azure) }) },
      { log: JSON.stringify({ log: JSON.stringify(plain), stream: 'stderr' }) },
      { ...operator, record: JSON.stringify({ log_time: '2026-07-02 03:10:00.25 UTC', message: 'm' }) },
      { log: JSON.stringify({ ...operator, record: JSON.stringify({ message: 'm' }) }) },
    ],
    async (unread) => {
      const { parse_status, parse_error } = await rowOf(t, unread)
      assert.deepEqual([parse_status, parse_error], ['partial', 'unknown_shape'], JSON.stringify(unread))
    },
  )
  const program = await rowOf(t, { log: '{"level":"info","msg":"started"}' })
  assert.equal(program.parse_status, 'ok')
})

test('a pgaudit prefix with client address and line number is understood', async (t) => {
  const row = await rowOf(t, {
    category: 'PostgreSQLLogs',
    properties: {
      message:
        '2026-07-02 03:00:06 UTC 77 12-1 db-shop,user-ann,app-psql,client-10.0.0.9 LOG:  AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,select 1,<none>',
    },
  })
  assert.deepEqual(
    [
      row.db_name,
      row.user_name,
      row.application_name,
      row.client_addr,
      row.pid,
      row.line_num,
      row.audit_class,
      row.object_name,
    ],
    ['shop', 'ann', 'psql', '10.0.0.9', 77, '12', 'READ', 'public.t'],
  )
})

const csvlog = {
  log_time: '2026-11-24 08:54:35.875 UTC',
  user_name: 'app',
  database_name: 'shop',
  process_id: '600',
  connection_from: '10.1.2.3:5432',
  session_id: '6b0550cb.258',
  session_line_num: '3',
  command_tag: 'UPDATE',
  session_start_time: '2026-11-24 08:54:35 UTC',
  virtual_transaction_id: '3/11',
  transaction_id: '0',
  error_severity: 'LOG',
  sql_state_code: '00000',
  message: 'm',
  internal_query: 'select 2',
  internal_query_pos: '8',
  query: 'select 1',
  query_pos: '9',
  application_name: '',
  backend_type: 'client backend',
  leader_pid: '599',
  query_id: '-6883023751393440299',
}

const csvlogRow = {
  event_time: '2026-11-24 08:54:35.875+00',
  severity: 'LOG',
  severity_level: 'LOG',
  record_kind: 'server_log',
  db_name: 'shop',
  user_name: 'app',
  client_addr: '10.1.2.3',
  client_port: 5432,
  sqlstate: '00000',
  backend_type: 'client backend',
  pid: 600,
  session_id: '6b0550cb.258',
  query_id: '-6883023751393440299',
  command_tag: 'UPDATE',
  line_num: '3',
  session_start: '2026-11-24 08:54:35+00',
  message: 'm',
  statement: 'select 1',
  internal_query: 'select 2',
  internal_position: 8,
  cursor_position: 9,
  vxid: '3/11',
  ps: 'UPDATE',
  leader_pid: 599,
  parse_status: 'ok',
}

test('csvlog names at the top or in a CloudNativePG record mean the same', async (t) => {
  assert.deepEqual(filled(await rowOf(t, csvlog)), csvlogRow)
  const wrapped = {
    level: 'info',
    ts: '1700000000.5',
    logger: 'postgres',
    msg: 'record',
    record: csvlog,
    logging_pod: 'pod-1',
  }
  assert.deepEqual(filled(await rowOf(t, wrapped)), {
    ...csvlogRow,
    server_name: 'pod-1',
    extra: '{"level":"info","ts":"1700000000.5","logger":"postgres","msg":"record","logging_pod":"pod-1"}',
  })
})

test('the port follows the last colon of connection_from', async (t) => {
  await checkEach(
    [
      ['fe80::1:5432', 'fe80::1', 5432],
      ['[2001:db8::2]:40000', '2001:db8::2', 40000],
      ['[local]', '[local]', null],
      ['db.example.com:1', 'db.example.com', 1],
    ] as const,
    async ([from, address, port]) => {
      const row = await rowOf(t, { ...csvlog, connection_from: from })
      assert.deepEqual([row.client_addr, row.client_port, row.parse_status], [address, port, 'ok'], from)
    },
  )
})

test('an operator line of CloudNativePG keeps its level, message and pod', async (t) => {
  const row = await rowOf(t, {
    level: 'info',
    ts: '2026-11-24T08:54:35.123456789Z',
    logger: 'instance-manager',
    msg: 'ready',
    logging_pod: 'pod-1',
  })
  assert.deepEqual(filled(row), {
    event_time: '2026-11-24 08:54:35.123456+00',
    severity: 'info',
    severity_level: 'INFO',
    record_kind: 'operator',
    message: 'ready',
    server_name: 'pod-1',
    extra: '{"logger":"instance-manager","logging_pod":"pod-1"}',
    parse_status: 'ok',
  })
})

test('a Cloud SQL entry is read from its text', async (t) => {
  const row = await rowOf(t, {
    textPayload:
      '2026-11-24 08:54:35.875 UTC [77]: [3-1] user=ann,db=shop,app=psql,client=10.0.0.9 ERROR:  boom',
    logName: 'projects/p/logs/cloudsql.googleapis.com%2Fpostgres.log',
    timestamp: '2026-11-24T08:54:36Z',
    resource: { labels: { database_id: 'p:db' }, type: 'cloudsql_database' },
  })
  assert.deepEqual(
    [
      row.event_time,
      row.severity,
      row.message,
      row.user_name,
      row.client_addr,
      row.line_num,
      row.server_name,
      row.parse_status,
    ],
    ['2026-11-24 08:54:35.875+00', 'ERROR', 'boom', 'ann', '10.0.0.9', '3', 'p:db', 'ok'],
  )
})

test('log text in an envelope is read by its prefix, or kept whole without one', async (t) => {
  const docker = await rowOf(t, {
    log: '2026-11-24 08:54:35.875 UTC [77] LOG:  checkpoint\u001f starting\n',
    stream: 'stderr',
    time: '2026-11-24T09:00:00.1Z',
  })
  assert.deepEqual(
    [docker.event_time, docker.pid, docker.severity, docker.message],
    ['2026-11-24 08:54:35.875+00', 77, 'LOG', 'checkpoint\u001f starting'],
  )
  const other = await rowOf(t, { message: 'just text', timestamp: '2026-11-24T09:00:00.1Z', host: 'h' })
  assert.deepEqual(
    [other.event_time, other.pid, other.severity, other.message, other.server_name, other.parse_status],
    ['2026-11-24 09:00:00.1+00', null, null, 'just text', 'h', 'ok'],
  )
})

test('a text is the same behind its prefix, however long it is', async (t) => {
  const long = 'é\u001f,"'.repeat(5_000)
  const prefix = '2026-11-24 08:54:35.875 UTC [77] LOG:  '
  const azure = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs' }
  const texts = ['', 'statement: ', 'duration: 1.5 ms  execute S_1: ', 'connection authorized: user=']
  await checkEach(texts, async (text) => {
    const message = text + long
    const records = [
      { timestamp: '2026-11-24 08:54:35.875 UTC', pid: 77, error_severity: 'LOG', message },
      { ...azure, properties: { message: prefix + message } },
      { log: `${prefix}${message}\n` },
      { log: `${JSON.stringify({ ...azure, properties: { message: prefix + message } })}\n` },
    ]
    await checkEach(records, async (record) => {
      const row = await rowOf(t, record)
      assert.deepEqual([row.parse_status, row.pid, row.severity, row.message], ['ok', 77, 'LOG', message])
      assert.equal(row.statement, /statement|execute/.test(text) ? long : null)
    })
  })
  const unknown = await rowOf(t, { log: `no prefix ${long}\n` })
  assert.equal(unknown.message, `no prefix ${long}`)
  const statement = long.replaceAll('"', '""')
  const audited = await rowOf(t, {
    log: `${prefix}AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,"${statement}",<none>`,
  })
  assert.equal(audited.statement, long)
  assert.equal(audited.object_name, 'public.t')
})

test('a change of any producer has its kind, table, position, commit, and values with every digit', async (t) => {
  const at = '2026-11-24 08:54:35.875+00'
  const cases: readonly (readonly [record: string | object, row: object])[] = [
    [
      '{"action":"U","xid":603,"timestamp":"2026-11-24 05:54:35.875-03","lsn":"0/16A5C58","schema":"public","table":"t","columns":[{"name":"a","type":"bigint","value":9007199254740993},{"name":"n","type":"numeric","value":12345678901234567890.1200},{"name":"t","type":"text","value":"x \\"1\\""},{"name":"z","type":"text","value":null}],"identity":[{"name":"a","type":"bigint","value":1}]}',
      {
        command_tag: 'UPDATE',
        object_name: 'public.t',
        txid: '603',
        lsn: '0/16A5C58',
        event_time: at,
        commit_time: at,
        old_values: '{"a":1}',
        new_values: '{"a":9007199254740993,"n":12345678901234567890.1200,"t":"x \\"1\\"","z":null}',
      },
    ],
    [
      { action: 'M', transactional: true, prefix: 'p', content: 'payload' },
      {
        command_tag: 'MESSAGE',
        message: 'payload',
        extra: '{"transactional":true,"prefix":"p"}',
      },
    ],
    [
      '{"xid":701,"nextlsn":"0/16A5C58","timestamp":"2026-11-24 08:54:35.875+00","change":[{"kind":"update","schema":"public","table":"t","columnnames":["a","n"],"columntypes":["int","numeric"],"columnvalues":[1,1.50],"oldkeys":{"keynames":["a"],"keytypes":["int"],"keyvalues":[2]}}]}',
      {
        command_tag: 'UPDATE',
        object_name: 'public.t',
        txid: '701',
        lsn: '0/16A5C58',
        event_time: at,
        commit_time: at,
        old_values: '{"a":2}',
        new_values: '{"a":1,"n":1.50}',
      },
    ],
    [
      '{"xid":1,"change":[{"kind":"insert","schema":"s","table":"t","columnnames":["a"],"columnvalues":[1]},{"kind":"delete","schema":"s","table":"u","oldkeys":{"keynames":["b"],"keyvalues":["x"]}}]}',
      { txid: '1', old_values: '[null,{"b":"x"}]', new_values: '[{"a":1},null]' },
    ],
    // A text with what marks a number while the engine works on it, behind a quote of its own.
    [
      String.raw`{"xid":1,"change":[{"kind":"insert","schema":"s","table":"t","columnnames":["a","n"],"columnvalues":["say \"\u00017\"",2.50]}]}`,
      {
        command_tag: 'INSERT',
        object_name: 's.t',
        txid: '1',
        new_values: String.raw`{"a":"say \"\u00017\"","n":2.50}`,
      },
    ],
    [
      '{"payload":{"before":null,"after":{"id":1,"n":1.10},"source":{"connector":"postgresql","name":"srv","ts_ms":1795510475875,"db":"orders","schema":"public","table":"t","txId":701,"lsn":23894096},"op":"c","ts_ms":1795510476001}}',
      {
        command_tag: 'INSERT',
        object_name: 'public.t',
        db_name: 'orders',
        server_name: 'srv',
        txid: '701',
        lsn: '0/16C9850',
        event_time: at,
        commit_time: at,
        new_values: '{"id":1,"n":1.10}',
      },
    ],
    [
      {
        lsn: '0/16A5C28',
        xid: '701',
        data: `table public."T x": UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 name[character varying]:'it''s' tags[text[]]:'{a}' ok[boolean]:true gone[text]:null big[text]:unchanged-toast-datum`,
      },
      {
        command_tag: 'UPDATE',
        object_name: 'public."T x"',
        txid: '701',
        lsn: '0/16A5C28',
        old_values: '{"id":1}',
        new_values:
          '{"id":2,"name":"it\'s","tags":"{a}","ok":true,"gone":null,"big":"unchanged-toast-datum"}',
      },
    ],
    [
      { lsn: '0/16A5D00', xid: '701', data: 'COMMIT 701 (at 2026-11-24 08:54:35.875+00)' },
      { command_tag: 'COMMIT', txid: '701', lsn: '0/16A5D00', event_time: at, commit_time: at },
    ],
    [
      '{"data":{"id":1,"n":2.50},"metadata":{"timestamp":"2026-11-24T08:54:36Z","record-type":"data","operation":"insert","schema-name":"public","table-name":"t","transaction-id":9,"commit-timestamp":"2026-11-24T08:54:35.875Z"}}',
      {
        command_tag: 'INSERT',
        object_name: 'public.t',
        txid: '9',
        event_time: at,
        commit_time: at,
        new_values: '{"id":1,"n":2.50}',
      },
    ],
    [
      '{"record":{"id":1,"name":"b"},"changes":{"name":"a"},"action":"update","metadata":{"table_schema":"public","table_name":"t","commit_timestamp":"2026-11-24T08:54:35.875Z","commit_lsn":23894096,"database_name":"orders"}}',
      {
        command_tag: 'UPDATE',
        object_name: 'public.t',
        db_name: 'orders',
        lsn: '0/16C9850',
        event_time: at,
        commit_time: at,
        old_values: '{"name":"a"}',
        new_values: '{"id":1,"name":"b"}',
      },
    ],
  ]
  await checkEach(cases, async ([record, row]) => {
    const { extra, message, ...found } = filled(await rowOf(t, record))
    const { extra: others, message: text, ...expected } = row as Record<string, unknown>
    assert.deepEqual(
      found,
      { record_kind: 'change', parse_status: 'ok', ...expected },
      JSON.stringify(record),
    )
    if (others !== undefined) assert.deepEqual([extra, message], [others, text])
  })
})

test('known shapes without a mapping are raw text, and unknown ones are partial', async (t) => {
  await checkEach(
    [{ metricName: 'cpu_percent', timeGrain: 'PT1M', average: 1 }, { resourceLogs: [] }],
    async (record) => {
      assert.deepEqual(filled(await rowOf(t, record)), {
        record_kind: 'other',
        parse_status: 'ok',
        extra: JSON.stringify(record),
      })
    },
  )
  assert.deepEqual(filled(await rowOf(t, { a: 1 })), {
    record_kind: 'other',
    parse_status: 'partial',
    parse_error: 'unknown_shape',
  })
  assert.deepEqual(filled(await rowOf(t, {})), {
    record_kind: 'other',
    parse_status: 'partial',
    parse_error: 'unknown_shape',
  })
})

test('role and server name come from the record first, then from the declaration', async (t) => {
  const declaration = postgresLogs('a.b.c', { role: 'replica', serverName: 'pg-two' })
  const set = await rowOf(t, plain, declaration)
  assert.deepEqual([set.source_role, set.server_name], ['replica', 'pg-two'])
  const stated = await rowOf(
    t,
    {
      category: 'PostgreSQLLogs',
      properties: { message: 'm' },
      LogicalServerName: 'pg-one',
      ReplicaRole: 'Primary',
    },
    declaration,
  )
  assert.deepEqual([stated.source_role, stated.server_name], ['primary', 'pg-one'])
})
