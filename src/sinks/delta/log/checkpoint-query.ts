import type { MetaDataAction, ProtocolAction } from '../protocol/actions.ts'
import { intervalMs } from '../protocol/interval.ts'
import { checkpointSchema, fullCheckpointSchema } from './checkpoint-schema.ts'
import { archiveAppId, isOffsetSql } from './offsets.ts'

/** The kinds of action that are copied into a new checkpoint. */
export const actionNames = ['txn', 'add', 'remove', 'metaData', 'protocol', 'domainMetadata'] as const
type ActionName = (typeof actionNames)[number]

/** Delta's default for `delta.deletedFileRetentionDuration`, for which a checkpoint keeps a file's removal. */
const defaultRemovedFileRetentionMs = 7 * 24 * 3_600_000

/** A checkpoint to write. */
export interface CheckpointPlan {
  /** The version to checkpoint; its commit must exist. */
  readonly version: number
  /** The version of the checkpoint that the state was loaded from; -1 for none. */
  readonly previous: number
  readonly protocol: ProtocolAction
  readonly metaData: MetaDataAction
  /** Number of transactions the checkpoint must hold; like `domains`, checked before it is published. */
  readonly transactions: number
  readonly domains: number
}

/** SELECT statements that read the actions a checkpoint is built from: `before` the base checkpoint, `since` the commits after it. */
export interface ActionSources {
  readonly before: readonly string[]
  readonly since: readonly string[]
}

/** @returns SQL for the rows of a checkpoint: the newest action per file, application and domain, protocol and metadata. */
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
    // There may be millions of transactions. The base checkpoint's rows stream through; memory holds only the few ids that
    // newer commits changed.
    select(
      'txn',
      'txn',
      `FROM before WHERE txn.appId IS NOT NULL AND txn.appId NOT IN (SELECT app_id FROM newest_txn) AND NOT ${isArchived('before')}`,
    ),
    select(
      'txn',
      'txn',
      `FROM since WHERE (txn.appId, commit_version) IN (FROM newest_txn) AND NOT ${isArchived('since')}`,
    ),
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
  // Not materialized, so that each part reads only its own columns and no table of all actions is held in memory.
  return `WITH before AS NOT MATERIALIZED (${unionOf(before)}),
    since AS NOT MATERIALIZED (${unionOf(since)}),
    actions AS NOT MATERIALIZED (FROM before UNION ALL BY NAME FROM since),
    archives AS (
      SELECT commit_version AS archive_version, txn.version AS instant
      FROM since WHERE txn.appId = '${archiveAppId}'
    ),
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

/** SQL that is true for an offset that a later commit has moved into the table's archive, as `TableState.apply` does. */
function isArchived(source: string): string {
  return `(${isOffsetSql('txn.appId')} AND txn.lastUpdated IS NOT NULL AND EXISTS (
    SELECT 1 FROM archives WHERE archive_version > ${source}.commit_version AND instant > ${source}.txn.lastUpdated))`
}

function unionOf(sources: readonly string[]): string {
  return sources.length === 0 ? `${noActions()} WHERE false` : sources.join(' UNION ALL BY NAME ')
}

/** SELECT of one row of NULLs, with the columns that every source has. */
function noActions(): string {
  const columns = actionNames.map((name) => `NULL::${fullCheckpointSchema[name]} AS "${name}"`)
  return `SELECT NULL::BIGINT AS commit_version, ${columns.join(', ')}`
}

/** SQL for the `fileKey` of an add or remove action; NULL for any other action. */
const fileKey = `coalesce(${keyOf('"add"')}, ${keyOf('remove')})`

function keyOf(file: string): string {
  const vector = `${file}.deletionVector`
  const id = `chr(10) || ${vector}.storageType || ${vector}.pathOrInlineDv || '@' || coalesce(${vector}."offset"::VARCHAR, '')`
  return `${file}.path || coalesce(${id}, '')`
}
