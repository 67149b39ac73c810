import type { JsonObject } from '../../src/json.ts'
import { csv, type Marked, type MarkedMessage } from './marked-messages.ts'

/** What every record below states besides its texts; the server quotes none of it. */
export const plain = {
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

export function csvlogRecord({ message, detail, context, statement, sqlstate }: MarkedMessage): JsonObject {
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

export function azure(properties: JsonObject): JsonObject {
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

function greenplumLine({
  message,
  detail = '',
  context = '',
  statement = '',
  sqlstate = '00000',
}: MarkedMessage): string {
  const [text, more, query, place] = [message, detail, statement, context].map((one) =>
    one === '' ? '' : csv(one),
  )
  return `2026-11-24 08:54:35.875 UTC,"o'hara","orders",p4138,th1,"10.1.2.3","40100",2026-11-24 08:54:30 UTC,0,con7,cmd3,seg-1,,dx1,,sx1,"ERROR","${sqlstate}",${text},${more},,${query},,${place},${query},15,"f","a.c",12,`
}

function without(record: Readonly<Record<string, JsonObject[string] | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, JsonObject[string]] => entry[1] !== undefined),
  )
}

export const stringified = (record: JsonObject): string =>
  JSON.stringify(record, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))

/** What a text log makes of several lines. */
const tabbed = (text: string): string => text.replaceAll('\n', '\n\t')

const prefix = "2026-11-24 08:54:35.875 UTC [4138] user=shop,db=orders,app=it's,client=10.1.2.3 "
export const shipped = { stream: 'stderr', time: '2026-11-24T08:54:35.9Z', kubernetes: { pod_name: 'pg-0' } }

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
    { '@timestamp': '2026-11-24T08:54:36Z', log: greenplumLine(message) },
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
