import type { Shape, TextField } from './shape.ts'

/** A key of jsonlog and the field that has its value. */
export interface JsonlogKey {
  readonly key: string
  readonly field: TextField
  readonly type: 'string' | 'number' | 'time'
  /** Default `often`. */
  readonly presence?: 'always' | 'often' | 'rarely' | undefined
}

/** The keys of PostgreSQL's own JSON format (PostgreSQL 15 to 18), in its order. */
export const jsonlogKeys: readonly JsonlogKey[] = [
  { key: 'timestamp', field: 'event_time', type: 'time', presence: 'always' },
  { key: 'user', field: 'user_name', type: 'string' },
  { key: 'dbname', field: 'db_name', type: 'string' },
  { key: 'pid', field: 'pid', type: 'number', presence: 'always' },
  { key: 'remote_host', field: 'client_addr', type: 'string' },
  { key: 'remote_port', field: 'client_port', type: 'number' },
  { key: 'session_id', field: 'session_id', type: 'string', presence: 'always' },
  { key: 'line_num', field: 'line_num', type: 'number', presence: 'always' },
  { key: 'ps', field: 'ps', type: 'string' },
  { key: 'session_start', field: 'session_start', type: 'time', presence: 'always' },
  { key: 'vxid', field: 'vxid', type: 'string' },
  { key: 'txid', field: 'txid', type: 'number', presence: 'always' },
  { key: 'error_severity', field: 'severity', type: 'string', presence: 'always' },
  { key: 'state_code', field: 'sqlstate', type: 'string', presence: 'rarely' },
  { key: 'message', field: 'message', type: 'string', presence: 'always' },
  { key: 'detail', field: 'detail', type: 'string' },
  { key: 'hint', field: 'hint', type: 'string', presence: 'rarely' },
  { key: 'internal_query', field: 'internal_query', type: 'string', presence: 'rarely' },
  { key: 'internal_position', field: 'internal_position', type: 'number', presence: 'rarely' },
  { key: 'context', field: 'context', type: 'string', presence: 'rarely' },
  { key: 'statement', field: 'statement', type: 'string', presence: 'rarely' },
  { key: 'cursor_position', field: 'cursor_position', type: 'number', presence: 'rarely' },
  { key: 'func_name', field: 'func_name', type: 'string', presence: 'rarely' },
  { key: 'file_name', field: 'file_name', type: 'string', presence: 'rarely' },
  { key: 'file_line_num', field: 'file_line_num', type: 'number', presence: 'rarely' },
  { key: 'application_name', field: 'application_name', type: 'string' },
  { key: 'backend_type', field: 'backend_type', type: 'string', presence: 'always' },
  { key: 'leader_pid', field: 'leader_pid', type: 'number', presence: 'rarely' },
  { key: 'query_id', field: 'query_id', type: 'number', presence: 'always' },
]

export const jsonlog: Shape = {
  name: 'jsonlog',
  matches: (at) =>
    `${at('timestamp')} IS NOT NULL AND ${at('pid')} IS NOT NULL AND ${at('error_severity')} IS NOT NULL`,
  fields: (at) => ({
    ...Object.fromEntries(jsonlogKeys.map(({ key, field }) => [field, at(key)])),
    // The server omits the code of success.
    sqlstate: `coalesce(${at('state_code')}, '00000')`,
    command_tag: at('ps'),
  }),
}
