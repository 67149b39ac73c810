import { sqlString } from '../../sql.ts'
import { csvlogFields } from './csvlog.ts'
import { locationFields } from './log-text.ts'
import type { Shape, ValueAt } from './shape.ts'

/** Elastic's module for PostgreSQL, whose ingest pipeline has parsed a line: its own names, and those of ECS. */
export const elasticModule: Shape = {
  name: 'elastic-module',
  matches: (at) => `${at('postgresql', 'log', 'timestamp')} IS NOT NULL`,
  fields: (at) => {
    const of = (key: string): string => at('postgresql', 'log', key)
    return {
      event_time: of('timestamp'),
      event_time_second: at('@timestamp'),
      severity: at('log', 'level'),
      sqlstate: `coalesce(${of('sql_state_code')}, ${at('error', 'code')})`,
      message: at('message'),
      detail: of('detail'),
      hint: of('hint'),
      context: of('context'),
      statement: of('query'),
      db_name: of('database'),
      user_name: at('user', 'name'),
      client_addr: of('client_addr'),
      client_port: of('client_port'),
      application_name: of('application_name'),
      backend_type: of('backend_type'),
      pid: at('process', 'pid'),
      session_id: of('session_id'),
      session_start: of('session_start_time'),
      line_num: of('session_line_number'),
      command_tag: of('command_tag'),
      txid: of('transaction_id'),
      vxid: of('virtual_transaction_id'),
      internal_query: of('internal_query'),
      internal_position: of('internal_query_pos'),
      cursor_position: of('query_pos'),
      ...locationFields(of('location')),
      server_name: `coalesce(${at('host', 'name')}, ${at('host', 'hostname')})`,
    }
  },
}

/** SQL of the fields of Supabase's events. @param of reads a key of the parsed line */
function supabaseFields(at: ValueAt, of: (key: string) => string): ReturnType<Shape['fields']> {
  return {
    ...csvlogFields((key) =>
      key === 'message' ? at('event_message') : of(key === 'log_time' ? 'timestamp' : key!),
    ),
    event_time_second: at('timestamp'),
  }
}

/** Supabase's log drains: csvlog's columns, with other names of the time and the message. */
export const supabase: Shape = {
  name: 'supabase',
  matches: (at) => `${at('metadata', 'parsed', 'error_severity')} IS NOT NULL`,
  fields: (at) => ({
    ...supabaseFields(at, (key) => at('metadata', 'parsed', key)),
    server_name: at('metadata', 'host'),
  }),
}

/** The same as answers to queries of the logs have it, with lists around the objects; also events of other services. */
export const supabaseAnswer: Shape = {
  name: 'supabase-answer',
  matches: (at) => `${at('event_message')} IS NOT NULL`,
  fields: (at) => {
    const inLists = (path: string): string =>
      `CASE WHEN starts_with(${at('metadata')}, '[') THEN json_extract_string(${at('metadata')}, ${sqlString(`$[0].${path}`)}) END`
    return {
      ...supabaseFields(at, (key) => inLists(`"parsed"[0]."${key}"`)),
      server_name: inLists('"host"'),
    }
  },
  // Kept in `extra` as well: the lists also hold values that have no column.
  replaced: (at) => [['metadata'], `${at('metadata')} IS NOT NULL`],
}
