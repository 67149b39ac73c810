import type { JsonObject } from '../../src/json.ts'
import type { Random } from '../support/seeded-random.ts'

/** A statement and a bare value, every literal of which holds a mark. */
export interface Marked {
  readonly sql: string
  readonly value: string
  /** A value without quotes, blanks and signs. */
  readonly word: string
}

/** What no column may hold: the marks in strings, comments and numbers, however an encoding spells them. */
export const anyMark = /mark\d|86753/i

const literals: readonly ((mark: string, number: string) => string)[] = [
  (mark) => `'${mark}'`,
  (mark) => `'it''s ${mark}'`,
  (mark) => `'C:\\${mark}\\'`,
  (mark) => `E'it\\'s ${mark}\\\\'`,
  (mark) => `U&'\\0061${mark}'`,
  (mark) => `B'101' || X'AF' || N'${mark}'`,
  (mark) => `$$${mark} it's$$`,
  (mark) => `$fn$ BEGIN RETURN '${mark}' || $$x "${mark}"$$; END $fn$`,
  (mark) => `$été$${mark}$été$`,
  (mark) => `'one\ntwo ${mark}'`,
  (mark) => `'"${mark}": [1, {"a": "${mark}"}]'::jsonb`,
  (mark) => `'Plan: ${mark} <b>${mark}</b> &lt;'`,
  (mark) => `ARRAY['${mark}', 'b']::text[]`,
  (mark) => `interval '${mark}'`,
  (mark) => `/* it's /* nested */ ${mark} */ 'a'`,
  (mark) => `-- don't ${mark}\n 'b'`,
  (_, number) => number,
  (_, number) => `-${number}.25`,
  (_, number) => `.${number}`,
  (_, number) => `1e${number}`,
  (_, number) => `0x${number}AF`,
  (_, number) => `${number}::numeric(12, 2)`,
  (_, number) => `${number}e-3`,
]

/** A statement of one to four marked literals, and values with marks of their own. */
export function markedBy(random: Random): Marked {
  const literal = (): string =>
    pick(random, literals)(`mark${random.between(0, 1e6)}`, `86753${random.between(0, 9999)}`)
  const sql = pick(random, [
    () => `INSERT INTO t (a, "B c") VALUES (${literal()}, ${literal()})`,
    () => `SELECT a, "it's" FROM t1 WHERE a = ${literal()} AND t1.b > $1\n  LIMIT ${literal()}`,
    () => `update "T" set a = ${literal()} where id = $1 and c<>${literal()}`,
    () => `ALTER ROLE app PASSWORD 'mark1'`,
    () => `WITH x AS (SELECT ${literal()}) SELECT * FROM x, y WHERE y.z IN (${literal()}, ${literal()})`,
    () => `CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $body$ BEGIN RETURN 'mark1'; END $body$`,
    () => `select f(${literal()}), ${literal()}`,
  ])()
  const word = `mark${random.between(0, 1e6)}`
  const value = pick(random, [
    word,
    `${word}@example.com`,
    `it's ${word}`,
    `a "${word}" (b)`,
    `one\ntwo, ${word}`,
  ])
  return { sql, value, word }
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.between(0, from.length - 1)] as T
}

/** A message of the server's and the texts beside it. */
export interface MarkedMessage {
  readonly message: string
  readonly detail?: string
  readonly context?: string
  readonly statement?: string
  readonly sqlstate?: string
}

const csv = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Every way in which a message holds a statement, a parameter or a value. */
export const messages: readonly ((marked: Marked) => MarkedMessage)[] = [
  ({ sql }) => ({ message: `statement: ${sql}` }),
  ({ sql }) => ({ message: `duration: 12.345 ms  statement: ${sql}` }),
  ({ sql, value }) => ({
    message: `duration: 12.345 ms  execute S_1/C_2: ${sql}`,
    detail: `Parameters: $1 = ${quoted(value)}, $2 = NULL, $3 = '86753001'`,
  }),
  ({ sql, value }) => ({
    message: `execute <unnamed>: ${sql}`,
    detail: `parameters: $1 = ${quoted(value)}`.slice(0, -1),
  }),
  ({ sql }) => ({ message: `duration: 0.1 ms  parse <unnamed>: ${sql}` }),
  ({ sql }) => ({ message: `bind s1: ${sql}`, detail: `prepare: PREPARE s1 AS ${sql}` }),
  ({ sql }) => ({ message: `Dauer: 12,3 ms  Anweisung: ${sql}` }),
  ({ sql, value }) => ({
    message: 'duplicate key value violates unique constraint "t_pkey"',
    detail: `Key (email, lower(b))=(${value}, 86753001) already exists.`,
    statement: sql,
    sqlstate: '23505',
  }),
  ({ sql, value }) => ({
    message: 'doppelter Schlüsselwert verletzt Unique-Constraint »t_pkey«',
    detail: `Schlüssel »(email)=(${value})« existiert bereits.`,
    statement: sql,
    sqlstate: '23505',
  }),
  ({ sql, value }) => ({
    message: 'new row for relation "t" violates check constraint "c"',
    detail: `Failing row contains (86753001, ${value}, null).`,
    statement: sql,
    sqlstate: '23514',
  }),
  ({ value }) => ({
    message: 'NULL-Wert in Spalte »a« verletzt Not-Null-Constraint',
    detail: `Fehlgeschlagene Zeile enthält (86753001, ${value}, null).`,
    sqlstate: '23502',
  }),
  ({ value }) => ({ message: 'conflicting key', detail: `Key (email)=(${value}` }),
  ({ sql, value }) => ({
    message: `invalid input syntax for type integer: "${value}"`,
    context: `unnamed portal parameter $1 = ${quoted(value)}`,
    statement: sql,
    sqlstate: '22P02',
  }),
  ({ value }) => ({
    message: `ungültige Eingabesyntax für Typ integer: »${value}«`,
    context: `COPY leute, Zeile 3, Spalte email: »${value}«`,
    sqlstate: '22P02',
  }),
  ({ value }) => ({
    message: `value "${value}" is out of range for type integer`,
    context: `COPY people, line 3, column email: "${value}"`,
    sqlstate: '22003',
  }),
  ({ word }) => ({
    message: 'invalid input syntax for type json',
    detail: `Token "${word}" is invalid.`,
    context: `JSON data, line 1: {"a": ${word}...`,
    sqlstate: '22P02',
  }),
  ({ word }) => ({
    message: `extra data after last expected column`,
    context: `COPY people, line 3: "1\t${word}\t86753001"`,
  }),
  ({ sql }) => ({
    message: 'deadlock detected',
    detail: `Process 18 waits for ShareLock on transaction 7; blocked by process 19.\nProcess 18: ${sql}\nProcess 19: ${sql}`,
    context: `SQL statement "${sql}"\nPL/pgSQL function f(text) line 3 at SQL statement\nSQL statement "${sql}"`,
    statement: sql,
    sqlstate: '40P01',
  }),
  ({ word }) => ({
    message: `syntax error at or near "${word}"`,
    statement: `select 'it's ${word}', 'b'`,
    sqlstate: '42601',
  }),
  ({ sql, value }) => ({
    message: `AUDIT: SESSION,12,1,WRITE,INSERT,TABLE,"public.""t""",${csv(sql)},${csv(value)},5`,
  }),
  ({ sql }) => ({ message: `AUDIT: OBJECT,1,1,READ,SELECT,,,"${sql.replaceAll('"', '""')}` }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\nQuery Text: ${sql}\nQuery Parameters: $1 = ${quoted(value)}\nIndex Scan using i on t  (cost=0.29..8.31 rows=1 width=4) (actual time=0.01..0.02 rows=1 loops=1)\n  Index Cond: (a = ${quoted(value)}::text)\n  Filter: (b > 86753001)\n  Rows Removed by Filter: 12\n  Buffers: shared hit=4`,
  }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\n${JSON.stringify({ 'Query Text': sql, 'Query Parameters': `$1 = ${quoted(value)}`, Plan: { 'Node Type': 'Seq Scan', Alias: "it's", 'Total Cost': 8.27, Filter: `(a = ${quoted(value)}::text)`, Output: ['a', '86753001'], Plans: [{ 'Hash Cond': `(x = ${quoted(value)})` }] } }, null, 2)}`,
  }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\n<explain xmlns="http://www.postgresql.org/2009/explain">\n  <Query-Text>${xml(sql)}</Query-Text>\n  <Plan>\n    <Node-Type>Seq Scan</Node-Type>\n    <Total-Cost>8.27</Total-Cost>\n    <Filter>(a = ${xml(quoted(value))}::text)</Filter>\n    <Output>\n      <Item>86753001</Item>\n    </Output>\n  </Plan>\n</explain>`,
  }),
  ({ sql, value }) => ({
    message: `duration: 1234.567 ms  plan:\nQuery Text: ${JSON.stringify(sql)}\nPlan: \n  Node Type: "Seq Scan"\n  Total Cost: 8.27\n  Filter: ${JSON.stringify(`(a = ${quoted(value)}::text)`)}\n  Output: \n    - "a"\n    - "86753001"`,
  }),
]

const plain = {
  timestamp: '2026-11-24 08:54:35.875 UTC',
  user: "o'hara",
  dbname: 'orders',
  pid: 4138,
  remote_host: '10.1.2.3',
  remote_port: 40100,
  session_id: '6b0550cb.102a',
  line_num: 7,
  ps: "SELECT it's",
  session_start: '2026-11-24 08:54:35 UTC',
  txid: 701,
  error_severity: 'ERROR',
  application_name: "it's 'an' app",
  backend_type: 'client backend',
  query_id: -6883023751393440299n,
} satisfies JsonObject

/** jsonlog's record of a message. */
function jsonlog({ message, detail, context, statement, sqlstate }: MarkedMessage): JsonObject {
  return without({ ...plain, state_code: sqlstate, message, detail, context, statement })
}

function csvlogRecord({ message, detail, context, statement, sqlstate }: MarkedMessage): JsonObject {
  return without({
    log_time: plain.timestamp,
    user_name: plain.user,
    database_name: plain.dbname,
    process_id: '4138',
    connection_from: '10.1.2.3:40100',
    session_id: plain.session_id,
    session_line_num: '7',
    command_tag: plain.ps,
    session_start_time: plain.session_start,
    transaction_id: '701',
    error_severity: 'ERROR',
    sql_state_code: sqlstate,
    message,
    detail,
    context,
    query: statement,
    internal_query: statement,
    application_name: plain.application_name,
    query_id: '-6883023751393440299',
  })
}

function azure(properties: JsonObject): JsonObject {
  return {
    category: 'PostgreSQLLogs',
    time: '2026-11-24T08:54:36.1Z',
    resourceId: '/SUBSCRIPTIONS/0/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/PG-ONE',
    operationName: 'LogEvent',
    ReplicaRole: 'Primary',
    properties,
  }
}

function azureProperties(
  { message, detail, context, sqlstate }: MarkedMessage,
  prefix = '2026-11-24 08:54:35 UTC-6b0550cb.102a-LOG:  ',
): JsonObject {
  return without({
    timestamp: plain.timestamp,
    processId: 4138,
    errorLevel: 'LOG',
    sqlerrcode: sqlstate ?? '00000',
    message: prefix + message,
    detail,
    context,
    backend_type: 'client backend',
  })
}

function csvLine({
  message,
  detail = '',
  context = '',
  statement = '',
  sqlstate = '00000',
}: MarkedMessage): string {
  const texts = [message, detail, '', statement, '', context, statement].map((text) =>
    text === '' ? '' : csv(text),
  )
  return `2026-11-24 08:54:35.875 UTC,"o'hara","orders",4138,"10.1.2.3:5432",6b0550cb.102a,1,"SELECT",2026-11-24 08:54:35 UTC,3/1,0,ERROR,${sqlstate},${texts.join(',')},15,,"it's","client backend",,0`
}

function without(record: Readonly<Record<string, JsonObject[string] | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, JsonObject[string]] => entry[1] !== undefined),
  )
}

const stringified = (record: JsonObject): string =>
  JSON.stringify(record, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))

/** What a text log makes of several lines. */
const tabbed = (text: string): string => text.replaceAll('\n', '\n\t')

const prefix = "2026-11-24 08:54:35.875 UTC [4138] user=shop,db=orders,app=it's,client=10.1.2.3 "
const shipped = { stream: 'stderr', time: '2026-11-24T08:54:35.9Z', kubernetes: { pod_name: 'pg-0' } }

/** The lines in which a text log writes a message: one per text, each with its prefix. */
function textLines({ message, detail, context, statement }: MarkedMessage, ofLine = prefix): string[] {
  return [
    `${ofLine}ERROR:  ${tabbed(message)}`,
    ...(detail === undefined ? [] : [`${ofLine}DETAIL:  ${tabbed(detail)}`]),
    ...(context === undefined ? [] : [`${ofLine}CONTEXT:  ${tabbed(context)}`]),
    ...(statement === undefined ? [] : [`${ofLine}STATEMENT:  ${tabbed(statement)}`]),
  ]
}

/** Records of every producer around a message. */
export const producers: readonly ((
  message: MarkedMessage,
  marked: Marked,
) => readonly (JsonObject | string)[])[] = [
  (message) => [
    jsonlog(message),
    { ...jsonlog(message), kubernetes: { labels: { app: 'pg' } }, stream: 'stderr' },
  ],
  (message) => [{ '@timestamp': '2026-11-24T09:00:00.000001Z', log: `${stringified(jsonlog(message))}\n` }],
  (message) =>
    ['log', 'message', 'MESSAGE', 'msg', 'LogMessage', 'LogEntry'].map((key) => ({
      ...shipped,
      [key]: `${stringified(jsonlog(message))}\n`,
    })),
  (message) => [
    { ...shipped, log: `2026-11-24T08:54:35.900000001Z stdout F ${stringified(jsonlog(message))}` },
    {
      '@timestamp': '2026-11-24T09:00:00Z',
      log: { offset: 5 },
      host: { name: 'db1' },
      json: jsonlog(message),
    },
    { date: 1795510475.9, log: jsonlog(message), kubernetes: { pod_name: 'pg-0' } },
    { ...shipped, log: stringified({ ...shipped, log: stringified(jsonlog(message)) }) },
  ],
  (message) => [
    azure(azureProperties(message)),
    { ...azure({}), properties: stringified(azureProperties(message)) },
    azure(
      azureProperties(
        message,
        "2026-11-24 08:54:35.875 UTC [4138] [user=o'hara,db=orders,app=psql] ERROR:  ",
      ),
    ),
    azure(azureProperties(message, '')),
    azure({
      prefix: '2026-11-24 08:54:35 UTC-6b0550cb.102a-',
      message: message.message,
      errorLevel: 'ERROR',
      detail: message.detail ?? '',
    }),
    { ...shipped, log: stringified(azure(azureProperties(message))) },
    {
      records_were: 1,
      log: stringified({ ...azure({}), properties: stringified(azureProperties(message)) }),
    },
  ],
  (message) => [
    csvlogRecord(message),
    {
      level: 'info',
      ts: '2026-11-24T08:54:35.876Z',
      logger: 'postgres',
      msg: 'record',
      logging_pod: 'pg-1',
      record: csvlogRecord(message),
    },
    {
      ...shipped,
      log: stringified({
        logger: 'postgres',
        msg: 'record',
        logging_pod: 'pg-1',
        record: csvlogRecord(message),
      }),
    },
    { '@timestamp': '2026-11-24T08:54:36Z', log: csvLine(message) },
  ],
  (message) => [
    ...textLines(message).map((line) => ({ ...shipped, log: `${line}\n` })),
    ...textLines(message).map((line) => ({
      file: '/var/log/pg.log',
      host: 'h1',
      message: line,
      source_type: 'file',
      timestamp: '2026-11-24T08:54:36Z',
    })),
    ...textLines(message, '[24667]: [1-1] db=orders,user=shop ').map((textPayload) => ({
      logName: 'projects/p/logs/cloudsql.googleapis.com%2Fpostgres.log',
      resource: { labels: { database_id: 'p:db1' }, type: 'cloudsql_database' },
      timestamp: '2026-11-24T08:54:35.875123Z',
      textPayload,
    })),
    { ...shipped, log: textLines(message).join('\n') },
    ...textLines(message, '2026-11-24T08:54:35.900000001Z stderr F 2026-11-24 08:54:35.875 UTC [4138] ').map(
      (log) => ({ date: 1795510475.9, log }),
    ),
    ...textLines(message).flatMap((line) => line.split('\n').map((log) => ({ ...shipped, log: `${log}\n` }))),
    ...csvLine(message)
      .split('\n')
      .map((log) => ({ ...shipped, log })),
    {
      '@timestamp': '2026-11-24T08:54:36.001Z',
      host: { name: 'db1' },
      message: textLines(message)[0] ?? '',
      event: { original: textLines(message)[0] ?? '' },
      log: { file: { path: '/var/log/p.log' } },
    },
    {
      messageType: 'DATA_MESSAGE',
      logEvents: textLines(message).map((line, id) => ({
        id: String(id),
        timestamp: 1795510475875,
        message: line,
      })),
    },
    {
      resourceLogs: [
        { scopeLogs: [{ logRecords: textLines(message).map((stringValue) => ({ body: { stringValue } })) }] },
      ],
    },
  ],
]

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
