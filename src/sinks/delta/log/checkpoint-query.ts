import { intervalMs } from '../protocol/interval.ts'
import { checkpointSchema, fullCheckpointSchema } from './checkpoint-schema.ts'
import type { CheckpointPlan } from './checkpoint-writer.ts'

/** The kinds of action that a checkpoint carries over. */
export const actionNames = ['txn', 'add', 'remove', 'metaData', 'protocol', 'domainMetadata'] as const
type ActionName = (typeof actionNames)[number]

/** Delta's default for `delta.deletedFileRetentionDuration`: how long vacuum must know of a removed file. */
const defaultRemovedFileRetentionMs = 7 * 24 * 3_600_000

/** SELECTs of the actions of the checkpoint that this one is built on, and of the commits since. */
export interface ActionSources {
  readonly before: readonly string[]
  readonly since: readonly string[]
}

/** Of every file, application, domain and rule, the newest action counts. */
export function checkpointQuery(
  { before, since }: ActionSources,
  plan: CheckpointPlan,
  nowMs: number,
): string {
  const schema = Object.entries(checkpointSchema(plan.protocol))
  const select = (kept: string, expression: string, rest: string) => {
    const columns = schema.map(
      ([name, type]) => `CAST(${name === kept ? expression : 'NULL'} AS ${type}) AS "${name}"`,
    )
    return `SELECT ${columns.join(', ')} ${rest}`
  }
  const newest = (kept: ActionName, key: string) =>
    select(
      kept,
      `arg_max("${kept}", commit_version)`,
      `FROM actions WHERE "${kept}"."${key}" IS NOT NULL GROUP BY "${kept}"."${key}"`,
    )
  const only = (kept: ActionName, key: string) =>
    select(
      kept,
      `arg_max("${kept}", commit_version)`,
      `FROM actions WHERE "${kept}"."${key}" IS NOT NULL HAVING count(*) > 0`,
    )
  const file = (kept: 'add' | 'remove', condition: string) =>
    select(
      kept,
      `struct_update("${kept}", "dataChange" := false)`,
      `FROM actions WHERE ${condition} AND (${fileKey}, commit_version) IN (FROM newest)`,
    )
  const retention = plan.metaData.configuration?.['delta.deletedFileRetentionDuration']
  const retentionMs = (retention && intervalMs(retention)) || defaultRemovedFileRetentionMs

  const parts = [
    only('protocol', 'minReaderVersion'),
    only('metaData', 'id'),
    // There is one for each blob that ever landed: those of the checkpoint flow through, and only the ids of the few
    // that are newer are held.
    select(
      'txn',
      'txn',
      'FROM before WHERE txn.appId IS NOT NULL AND txn.appId NOT IN (SELECT app_id FROM newest_txn)',
    ),
    select('txn', 'txn', 'FROM since WHERE (txn.appId, commit_version) IN (FROM newest_txn)'),
    file('add', '"add".path IS NOT NULL'),
    file('remove', `remove.deletionTimestamp > ${nowMs - retentionMs}`),
  ]
  const names = schema.map(([name]) => name)
  if (names.includes('domainMetadata')) {
    const latest = 'arg_max("domainMetadata", commit_version)'
    parts.push(`${newest('domainMetadata', 'domain')} HAVING NOT coalesce((${latest}).removed, false)`)
  }
  if (names.includes('checkpointMetadata')) {
    parts.push(select('checkpointMetadata', `{version: ${plan.version}, tags: NULL}`, ''))
  }
  // Not materialized: each part then reads only its own columns, and nothing holds all of them.
  return `WITH before AS NOT MATERIALIZED (${unionOf(before)}),
    since AS NOT MATERIALIZED (${unionOf(since)}),
    actions AS NOT MATERIALIZED (FROM before UNION ALL BY NAME FROM since),
    newest_txn AS (
      SELECT txn.appId AS app_id, max(commit_version) AS commit_version
      FROM since WHERE txn.appId IS NOT NULL GROUP BY app_id
    ),
    newest AS (
      SELECT ${fileKey} AS file, max(commit_version) AS commit_version
      FROM actions WHERE ${fileKey} IS NOT NULL GROUP BY file
    )
    ${parts.join(' UNION ALL BY NAME ')}`
}

function unionOf(sources: readonly string[]): string {
  return sources.length === 0 ? `${noActions()} WHERE false` : sources.join(' UNION ALL BY NAME ')
}

/** One row without an action, of the columns that every source has. */
function noActions(): string {
  const columns = actionNames.map((name) => `NULL::${fullCheckpointSchema[name]} AS "${name}"`)
  return `SELECT NULL::BIGINT AS commit_version, ${columns.join(', ')}`
}

/** The SQL of `fileKey` of either file action: NULL for any other action. */
const fileKey = `coalesce(${keyOf('"add"')}, ${keyOf('remove')})`

function keyOf(file: string): string {
  const vector = `${file}.deletionVector`
  const id = `chr(10) || ${vector}.storageType || ${vector}.pathOrInlineDv || '@' || coalesce(${vector}."offset"::VARCHAR, '')`
  return `${file}.path || coalesce(${id}, '')`
}
