/** A record that every table of PostgreSQL logs accepts. */
export const usualRecord = {
  timestamp: '2026-01-01 00:00:00.000 UTC',
  pid: 1,
  session_id: '69551f00.1',
  line_num: 1,
  error_severity: 'LOG',
  message: 'a record of tailrace check',
}
