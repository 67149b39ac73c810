import type { Shape } from './shape.ts'

/** PostgreSQL's own JSON format (PostgreSQL 15 to 18). */
export const jsonlog: Shape = {
  name: 'jsonlog',
  matches: (at) =>
    `${at('timestamp')} IS NOT NULL AND ${at('pid')} IS NOT NULL AND ${at('error_severity')} IS NOT NULL`,
  fields: (at) => ({
    event_time: at('timestamp'),
    severity: at('error_severity'),
    // The server omits the code of success.
    sqlstate: `coalesce(${at('state_code')}, '00000')`,
    message: at('message'),
    detail: at('detail'),
    hint: at('hint'),
    context: at('context'),
    statement: at('statement'),
    db_name: at('dbname'),
    user_name: at('user'),
    application_name: at('application_name'),
    backend_type: at('backend_type'),
    pid: at('pid'),
    session_id: at('session_id'),
    session_start: at('session_start'),
    line_num: at('line_num'),
    command_tag: at('ps'),
    query_id: at('query_id'),
    txid: at('txid'),
    client_addr: at('remote_host'),
    client_port: at('remote_port'),
  }),
}
