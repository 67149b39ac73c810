import { readFileSync } from 'node:fs'
import { packageFile } from '../../../package.ts'
import type { TableView, ViewSet } from '../../views.ts'
import { viewFunctions } from './view-functions.ts'

// A view comes after those that it reads.
const names = [
  'log_events',
  'log_texts',
  'log_records',
  'plans',
  'statement_timings',
  'statements',
  'slow_statements',
  'errors',
  'cancellations',
  'lost_clients',
  'lock_waits',
  'recovery_conflicts',
  'deadlocks',
  'checkpoint_starts',
  'checkpoints',
  'autovacuums',
  'temp_files',
  'sessions',
  'connections_per_minute',
  'audit_log',
  'row_changes',
  'changes',
  'replication_events',
] as const

let loaded: readonly TableView[] | undefined

/** Views over tables of `postgresLogs()`. Their files are read at the first use. */
export const logViews: ViewSet = {
  relation: 'logs',
  functions: viewFunctions,
  // The further lines of a text log's messages.
  undated: "severity IS NULL AND record_kind = 'server_log'",
  simpler: {
    view: 'log_records',
    // Lines whose texts belong to another row are among these.
    unless: "severity_level IS NULL AND parse_status <> 'rejected'",
    sql: recordsAlone,
  },
  views() {
    if (loaded === undefined) {
      loaded = names.map(readView)
    }
    return loaded
  },
}

/** The view log_records without its joins. */
function recordsAlone(): string {
  const { sql = '' } = logViews.views().find(({ name }) => name === 'log_records') ?? {}
  const [, records] = /^WITH records AS [(]\n(.*?)\n[)],$/ms.exec(sql) ?? []
  return `SELECT *, CAST(0 AS BIGINT) AS joined_lines FROM (${records!})`
}

function readView(name: string): TableView {
  const sql = readFileSync(packageFile(`src/tables/postgres/views/${name}.sql`), 'utf8').trim()
  const lines = sql.split('\n')
  const comment = lines
    .slice(
      0,
      lines.findIndex((line) => !line.startsWith('-- ')),
    )
    .map((line) => line.slice('-- '.length))
    .join(' ')
  const [sentence = comment] = /^.*?[.](?= |$)/.exec(comment) ?? []
  return { name, comment: sentence, sql }
}
