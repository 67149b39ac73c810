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
