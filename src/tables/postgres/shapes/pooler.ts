import { once, sqlString } from '../../sql.ts'
import type { Shape } from './shape.ts'

/** What PgBouncer writes before a message about a socket: whether it is a client's or a server's, and whose it is. */
const socket = '^(?:([CS])-0x[0-9a-f]+: (?:([^/\\n]*)/([^@\\n]*)@(\\S+?)(?::(\\d+))? )?)?'

const socketGroups = "['side', 'database', 'user', 'address', 'port']"

/** SQL of the fields of PgBouncer's text behind its level. */
export function poolerFields(
  text: string,
): Readonly<Record<'db_name' | 'user_name' | 'client_addr' | 'client_port' | 'message', string>> {
  const inSocket = (value: string): string =>
    once('socket', `regexp_extract(${text}, ${sqlString(socket)}, ${socketGroups})`, value)
  const [database, user, address, port] = ['database', 'user', 'address', 'port'].map(
    (name) => `socket['${name}']`,
  )
  // Over a Unix socket, the port is the pooler's.
  const isLocal = `starts_with(${address}, 'unix')`
  const ofClient = `socket['side'] = 'C' AND ${address} <> ''`
  return {
    db_name: inSocket(`CASE WHEN ${database} NOT IN ('', '(nodb)') THEN ${database} END`),
    user_name: inSocket(`CASE WHEN ${user} NOT IN ('', '(nouser)') THEN ${user} END`),
    client_addr: inSocket(
      `CASE WHEN ${ofClient} THEN CASE WHEN ${isLocal} THEN '[local]' ELSE regexp_replace(${address}, '^\\[(.*)\\]$', '\\1') END END`,
    ),
    client_port: inSocket(`CASE WHEN ${ofClient} AND NOT ${isLocal} AND ${port} <> '' THEN ${port} END`),
    message: `substring(${text}, length(regexp_extract(${text}, ${sqlString(socket)}, 0)) + 1)`,
  }
}

/** PgBouncer's log in the pods of CloudNativePG, whose operator has parsed its lines. */
export const cloudnativepgPooler: Shape = {
  name: 'cloudnativepg-pooler',
  matches: (at) =>
    `${at('record', 'timestamp')} IS NOT NULL AND ${at('record', 'level')} IS NOT NULL AND ${at('record', 'msg')} IS NOT NULL`,
  fields: (at) => ({
    ...poolerFields(at('record', 'msg')),
    record_kind: `'pooler'`,
    event_time: at('record', 'timestamp'),
    event_time_second: at('ts'),
    severity: at('record', 'level'),
    pid: at('record', 'pid'),
    server_name: at('logging_pod'),
  }),
}
