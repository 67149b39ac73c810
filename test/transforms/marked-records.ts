import type { JsonObject } from '../../src/json.ts'
import { type Marked, quoted } from './marked-messages.ts'
import { azure, csvlogRecord, plain, shipped, stringified } from './marked-producers.ts'

/** Records that hold statements and values under keys of their own. */
export const structured: readonly ((marked: Marked) => readonly (JsonObject | string)[])[] = [
  ({ sql, value }) => [
    {
      ...plain,
      message: 'x',
      internal_query: sql,
      query: sql,
      'audit.statement': sql,
      'audit.parameter': [value, 86753001],
    },
    {
      level: 'info',
      logger: 'pgaudit',
      msg: 'record',
      logging_pod: 'pg-1',
      record: {
        ...csvlogRecord({ message: '' }),
        audit: {
          audit_type: 'SESSION',
          statement_id: '1',
          class: 'READ',
          command: 'SELECT',
          object_type: 'TABLE',
          object_name: "public.it's",
          statement: sql,
          parameter: value,
        },
      },
    },
  ],
  ({ sql, value, word }) => [
    audited({ chunkCount: '1', chunkIndex: '1', statement: sql, parameter: value }),
    audited({ chunkCount: '3', chunkIndex: '2', statement: `${word}', 'x'`, parameter: word }),
    audited({ chunkCount: 3, chunkIndex: 3, statement: `${word})`, parameter: '[not logged]' }),
  ],
  ({ sql }) => [
    {
      ...azure({
        Datname: 'orders',
        Queryid: -6883023751393440299n,
        Calls: 3,
        Query_sql_text: sql,
        query_sql_text: sql,
        Query_Text: sql,
      }),
      category: 'PostgreSQLFlexQueryStoreRuntime',
    },
    {
      ...azure({
        datname: 'orders',
        usename: "o'hara",
        state: 'active',
        query: sql,
        Query: sql,
        Query_s: sql,
        whatever: sql,
      }),
      category: 'PostgreSQLFlexSessions',
    },
    {
      ...azure({}),
      category: 'QueryStoreRuntimeStatistics',
      properties: stringified({ query_id: '1200766644', query_text: sql }),
    },
    {
      ...azure({
        message: `2026-11-24 08:54:35.875 UTC [103] WARNING C-0x1: orders/shop@10.1.2.3:40100 query: ${sql}`,
        errorLevel: 'LOG',
      }),
      category: 'PostgreSQLFlexPGBouncer',
    },
    {
      TimeGenerated: '2026-11-24T08:54:36Z',
      errorLevel_s: 'LOG',
      processId_d: 5,
      Message: `statement: ${sql}`,
      message_s: `statement: ${sql}`,
    },
  ],
  ({ value, word }) => [
    {
      action: 'I',
      xid: 701,
      timestamp: '2026-11-24 08:54:35.875123+00',
      schema: 'public',
      table: "it's",
      columns: [
        { name: 'a', type: 'text', value },
        { name: 'n', type: 'bigint', value: 8675300000000000001n },
      ],
    },
    {
      action: 'U',
      xid: 701,
      schema: 'public',
      table: 't',
      columns: [{ name: 'a', type: 'text', value: { message: value } }],
      identity: [{ name: 'a', type: 'text', value }],
    },
    { action: 'M', transactional: true, prefix: 'p', content: value },
    {
      xid: 701,
      timestamp: '2026-11-24 08:54:35.875123+00',
      change: [
        {
          kind: 'update',
          schema: 'public',
          table: 't',
          columnnames: ['a', 'b'],
          columntypes: ['text', 'integer'],
          columnvalues: [value, 86753001],
          oldkeys: { keynames: ['a'], keytypes: ['text'], keyvalues: [value] },
        },
      ],
    },
    {
      before: { id: 86753001, a: value },
      after: { id: 86753002, message: value, j: { deep: [word], [word]: 1 } },
      source: { ts_ms: 1795510475875, db: 'orders', schema: 'public', table: 't', txId: 701 },
      op: 'u',
      ts_ms: 1795510476001,
    },
    {
      schema: { type: 'struct' },
      payload: { before: null, after: { a: value }, source: { table: 't' }, op: 'c' },
    },
    {
      data: { id: 86753001, a: value, j: { deep: [word] } },
      'before-image': { id: 86753002, a: value },
      metadata: {
        'record-type': 'data',
        operation: 'update',
        'schema-name': 'public',
        'table-name': "it's",
        'partition-key-type': 'primary-key',
        'partition-key-value': value,
      },
    },
    {
      record: { id: 86753001, a: value, tags: [word, 86753003] },
      changes: { a: value },
      action: 'update',
      metadata: {
        table_schema: 'public',
        table_name: 't',
        commit_lsn: 23894096,
        transaction_annotations: { by: word },
      },
    },
    {
      lsn: '0/16A5C28',
      xid: '701',
      data: `table public."T t": UPDATE: old-key: a[integer]:86753001 new-tuple: a[integer]:86753002 b[character varying(20)]:${quoted(value)} c[boolean]:true d[numeric]:-86753.25 e[text]:null`,
    },
    {
      lsn: '0/16A5C28',
      xid: '701',
      data: stringified({ action: 'I', columns: [{ name: 'a', type: 'text', value }] }),
    },
    { lsn: '0/16A5C28', xid: '701', data: `message: transactional: 1 prefix: p, sz: 5 content:${value}` },
  ],
  // Columns of a row may have the names of a log's own columns.
  ({ value, word }) => {
    const row = { id: 86753001, user: value, host: word, level: word, message: value }
    const debezium = { iodebeziumop: 'u', iodebeziumconnector: 'postgresql', iodebeziumlsn: '29274832' }
    return [
      { ...row, __op: 'c', __table: 't', __source_ts_ms: 1795510475875, __deleted: 'false' },
      { schema: { type: 'struct' }, payload: { ...row, __deleted: 'true' } },
      { ...debezium, time: '2026-11-24T08:54:36.1Z', data: { before: row, after: row } },
      { ...debezium, data: { schema: { type: 'struct' }, payload: { before: null, after: row } } },
      { type: 'INSERT', table: 't', schema: 'public', record: row, old_record: null },
      {
        schema: 'public',
        table: 't',
        commit_timestamp: '2026-11-24T08:54:35.875Z',
        eventType: 'UPDATE',
        new: row,
        old: row,
        errors: null,
      },
      { database: 'orders', table: 't', type: 'update', ts: 1795510475, data: row, old: row },
      // wal2json with include-types off.
      {
        action: 'I',
        schema: 'public',
        table: 't',
        columns: [
          { name: 'message', value },
          { name: 'n', value: 86753001 },
        ],
      },
      {
        CommitPosition: '1/0',
        Data: { action: 'D', schema: 'public', table: 't', identity: [{ id: '1', name: 'user', value }] },
      },
      { ...plain, message: 'x', old_record: row, new: row },
    ]
  },
  ({ sql, value, word }) => {
    const line = `2026-11-24 08:54:35.875 UTC [4138] LOG:  statement: ${sql}`.replaceAll('\n', '\n\t')
    return [
      { _raw: line, _time: 1795510475.875, host: 'db1', _sourceHost: 'db1' },
      { message: `table public.t: INSERT: a[integer]:86753001 b[text]:${quoted(value)}` },
      {
        ...shipped,
        log: `table public.t: UPDATE: old-key: a[text]:${quoted(value)} new-tuple: b[bigint]:86753`,
      },
      { ...shipped, log: `table public.t: INSERT: ${word}` },
      { ...shipped, log: `BEGIN ${word}` },
      {
        message: `ts=2026-11-24T08:54:35.875+0000 level=ERROR message=${JSON.stringify(`invalid input syntax for type integer: "${value}"`)} sqlstate=22P02 statement=${JSON.stringify(sql)} pid=5`,
      },
      {
        ...shipped,
        log: `ts=2026-11-24T08:54:35.875+0000 level=ERROR message="x" detail=${JSON.stringify(`Key (a)=(${value}) exists`)} parameters=${word}`,
      },
      { event: line, sourcetype: 'postgres', host: 'db1', time: 1795510475.875 },
      { event: { ...plain, message: `statement: ${sql}` }, sourcetype: 'postgres', host: 'db1' },
      { line, labels: { pod: 'pg-0' }, timestamp: '2026-11-24T08:54:36Z' },
      { version: '1.1', host: 'db1', short_message: line, full_message: line, level: 6 },
      { MESSAGE: [...Buffer.from(line)], SYSLOG_IDENTIFIER: 'postgres', _HOSTNAME: 'db1' },
      { ...shipped, log: `Nov 24 08:54:35 db1 postgres[4138]: [7-1] ${line.split('\n')[0]}` },
      { ...shipped, log: `Nov 24 08:54:35 db1 postgres[4138]: [7-2] #011LOG:  ${word}, ${word}` },
      { ...shipped, log: `${word} x[86753]: 2026-11-24 08:54:35` },
      { MESSAGE: `[7-2] #011[1] ERROR:  ${word}`, SYSLOG_IDENTIFIER: 'postgres' },
      { ...plain, message: 'x', args: [value, 86753001], query_params: { a: value }, bindings: value },
      {
        TimeGenerated: '2026-11-24T08:54:36.1Z',
        Type: 'PGSQLQueryStoreQueryText',
        QueryId: '-6883023751393440299',
        QueryText: sql,
      },
      {
        resourceLogs: [
          {
            scopeLogs: [
              {
                logRecords: [
                  {
                    body: { bytesValue: Buffer.from(sql).toString('base64') },
                    attributes: [
                      { key: 'db.query.parameter.user', value: { stringValue: value } },
                      { key: 'db.operation.parameter.0', value: { intValue: '86753001' } },
                      { key: 'db.query.text', value: { stringValue: sql } },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    ]
  },
  ({ sql, value, word }) => [
    {
      resourceLogs: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'pg' } }] },
          scopeLogs: [
            {
              logRecords: [
                {
                  body: { kvlistValue: { values: [{ key: 'statement', value: { stringValue: sql } }] } },
                  attributes: [
                    { key: 'db.statement', value: { stringValue: sql } },
                    { key: 'params', value: { intValue: '86753001' } },
                  ],
                },
              ],
            },
          ],
        },
      ],
    },
    {
      seq: 184,
      timestamp: '2026-11-24T08:54:35.875Z',
      level: 'ERROR',
      message: 'duplicate key',
      detail: `Key (id)=(${value}) already exists.`,
      sqlerrcode: '23505',
      database: 'orders',
      user: 'shop',
      query: sql,
    },
    {
      whatever: sql,
      other: value,
      numbers: [86753001, { deep: word }],
      text: stringified({ a: word }),
      user: 'shop',
    },
    { ...plain, message: stringified({ level: 'info', user: word, a: [value, 86753001] }) },
    { ...plain, message: `{"a": "${word}` },
    { ...azure({}), properties: `{"timestamp":"2026-11-24 08:54:35.875 UTC","message":"${word}` },
    { ...azure({}), properties: `{'message': '${word}'}` },
    { ...shipped, log: `\tfrom t where a = '${word}' and b = 86753001\n` },
    { ...shipped, log: `${word} rest of a string', 86753001)` },
    { ...shipped, log: `{"timestamp":"2026-11-24 08:54:35.875 UTC","message":"${word}` },
  ],
]

function audited(request: JsonObject): JsonObject {
  return {
    logName: 'projects/p/logs/cloudaudit.googleapis.com%2Fdata_access',
    timestamp: '2026-11-24T08:54:35.875Z',
    severity: 'INFO',
    resource: { type: 'cloudsql_database', labels: { database_id: 'p:db1' } },
    protoPayload: {
      methodName: 'cloudsql.instances.query',
      request: {
        auditClass: 'READ',
        auditType: 'SESSION',
        command: 'SELECT',
        database: 'orders',
        user: 'shop',
        ...request,
      },
    },
  }
}
