const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d[.]\\d+ [^,]+'
const name = '(?:"(?:[^"]|"")*")?'

/**
 * Beginning of a line of csvlog (RE2 and JavaScript): time, user, database and process. Greenplum writes letters before
 * the numbers of the process and its thread.
 */
export const csvlogLine = `^${time},${name},${name},(?:\\d+|p\\d+,th-?\\d+),`

/** Beginning of a text of test_decoding (RE2 and JavaScript; https://www.postgresql.org/docs/18/test-decoding.html). */
export const decodedText = `^(?:table [^\\n]+?: (?:INSERT|UPDATE|DELETE|TRUNCATE): (?:old-key: |new-tuple: |\\(no-|restart_seqs|cascade|(?:"[^"\\n]+"|[^\\s"'[\\]]+)\\[)|(?:BEGIN|COMMIT)(?: \\d+)?(?: \\(at [\\d :.+-]+\\))?\\s*$|message: transactional: [01] prefix: )`

// Both PostgreSQL and Greenplum write these one after another.
const messageColumns = [
  'error_severity',
  'sql_state_code',
  'message',
  'detail',
  'hint',
  'internal_query',
  'internal_query_pos',
  'context',
  'query',
  'query_pos',
]

// https://www.postgresql.org/docs/18/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG
export const csvColumns = [
  'log_time',
  'user_name',
  'database_name',
  'process_id',
  'connection_from',
  'session_id',
  'session_line_num',
  'command_tag',
  'session_start_time',
  'virtual_transaction_id',
  'transaction_id',
  ...messageColumns,
  'location',
  'application_name',
  'backend_type',
  'leader_pid',
  'query_id',
]

// Names of Greenplum's own columns begin with a capital letter.
export const greenplumColumns = [
  'log_time',
  'user_name',
  'database_name',
  'process_id',
  'Thread',
  'Host',
  'Port',
  'session_start_time',
  'transaction_id',
  'Session',
  'Command',
  'Segment',
  'Slice',
  'DistributedTransaction',
  'LocalTransaction',
  'SubTransaction',
  ...messageColumns,
  'Function',
  'File',
  'Line',
  'Stack',
]

/** @returns the names of the columns of a csvlog line. @param values its first values, without quotes */
export function csvlogColumns([, , , process]: readonly string[]): readonly string[] {
  return process?.startsWith('p') === true ? greenplumColumns : csvColumns
}
