import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TailraceError } from '../../errors.ts'
import { type EmbeddedEngine, sqlString } from '../duckdb.ts'
import { checkpointPath } from './checkpoint-reader.ts'
import { commitPath } from './delta-action.ts'
import type { DeltaStorage, LocalFile } from './delta-storage.ts'
import type { TableState } from './table-state.ts'

/** Version 1 of the checkpoint schema, without the columns that only features need. */
const actionTypes = {
  txn: 'STRUCT("appId" VARCHAR, "version" BIGINT, "lastUpdated" BIGINT)',
  add:
    'STRUCT("path" VARCHAR, "partitionValues" MAP(VARCHAR, VARCHAR), "size" BIGINT, ' +
    '"modificationTime" BIGINT, "dataChange" BOOLEAN, "tags" MAP(VARCHAR, VARCHAR), "stats" VARCHAR)',
  remove:
    'STRUCT("path" VARCHAR, "deletionTimestamp" BIGINT, "dataChange" BOOLEAN, ' +
    '"extendedFileMetadata" BOOLEAN, "partitionValues" MAP(VARCHAR, VARCHAR), "size" BIGINT)',
  metaData:
    'STRUCT("id" VARCHAR, "name" VARCHAR, "description" VARCHAR, ' +
    '"format" STRUCT("provider" VARCHAR, "options" MAP(VARCHAR, VARCHAR)), "schemaString" VARCHAR, ' +
    '"partitionColumns" VARCHAR[], "createdTime" BIGINT, "configuration" MAP(VARCHAR, VARCHAR))',
  protocol:
    'STRUCT("minReaderVersion" INTEGER, "minWriterVersion" INTEGER, ' +
    '"readerFeatures" VARCHAR[], "writerFeatures" VARCHAR[])',
} as const

const actionNames = Object.keys(actionTypes) as (keyof typeof actionTypes)[]

/** The longest line of a commit that is read. The engine sets twice as much aside for each of its threads. */
const maxActionBytes = 4 * 1024 * 1024

/** Delta's default for `delta.deletedFileRetentionDuration`: how long vacuum must know of a removed file. */
const removedFileRetentionMs = 7 * 24 * 3_600_000

export interface CheckpointContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** Where the checkpoint is written before it moves into the log. */
  readonly stagingDirectory: string
}

/** What a checkpoint is made of. */
export interface CheckpointPlan {
  /** The version to checkpoint; its commit must exist. */
  readonly version: number
  /** The checkpoint it starts from; -1 for none. */
  readonly previous: number
  /** How many transactions it must hold: a check on the result. */
  readonly transactions: number
}

/**
 * @param triedVersion the version of the last attempt, even of a failed one: -1 for none
 * @returns what to checkpoint now, or undefined when it is not due or not for this writer to do
 */
export function dueCheckpoint(state: TableState, triedVersion: number): CheckpointPlan | undefined {
  const { protocol, metaData, version, checkpointVersion: previous } = state
  const interval = Number(metaData.configuration?.['delta.checkpointInterval'])
  if (!(interval > 0) || version - Math.max(previous, triedVersion, 0) < interval) return undefined
  // A table with features may have actions that this schema would lose; its other writers checkpoint it.
  if (protocol.minReaderVersion > 1 || protocol.minWriterVersion > 2) return undefined
  return { version, previous, transactions: state.transactions.size }
}

/**
 * Writes a classic checkpoint, so that an opening reads one file instead of every commit before it.
 *
 * The engine does the work: memory here does not grow with the table. The new file is counted before it is
 * published, because a wrong checkpoint is worse than none.
 *
 * @param nowMs milliseconds since the epoch
 */
export async function writeCheckpoint(
  plan: CheckpointPlan,
  context: CheckpointContext,
  nowMs: number,
): Promise<void> {
  const { storage, engine, stagingDirectory } = context
  const staged = join(stagingDirectory, `checkpoint-${randomUUID()}.parquet`)
  const inputs: LocalFile[] = []
  try {
    const commits: string[] = []
    for (let version = plan.previous + 1; version <= plan.version; version += 1) {
      inputs.push(await storage.localFile(commitPath(version)))
      commits.push(inputs.at(-1)!.path)
    }
    const sources = [commitsSource(commits)]
    if (plan.previous >= 0) {
      inputs.push(await storage.localFile(checkpointPath(plan.previous)))
      sources.push(await checkpointSource(engine, inputs.at(-1)!.path, plan.previous))
    }

    const [written] = await engine.copy(
      // Plain pages: some readers fail on a checkpoint with dictionaries.
      `COPY (${checkpointQuery(sources, nowMs)}) TO ${sqlString(staged)} ` +
        '(FORMAT parquet, COMPRESSION snappy, DICTIONARY_SIZE_LIMIT 0, RETURN_STATS)',
    )
    const files = await checkedFiles(engine, staged, plan)
    await storage.putFile(staged, checkpointPath(plan.version))
    const hint = {
      version: plan.version,
      size: written!.rows,
      sizeInBytes: written!.bytes,
      numOfAddFiles: files,
    }
    await storage.put('_delta_log/_last_checkpoint', Buffer.from(JSON.stringify(hint)))
  } finally {
    await rm(staged, { force: true })
    await Promise.all(inputs.map((input) => input.release()))
  }
}

function commitsSource(paths: readonly string[]): string {
  const columns = actionNames.map((name) => `${name}: ${sqlString(actionTypes[name])}`).join(', ')
  const files = paths.map(sqlString).join(', ')
  return (
    `SELECT regexp_extract(filename, '(\\d{20})\\.json$', 1)::BIGINT AS commit_version, ${actionNames.join(', ')} ` +
    `FROM read_json([${files}], format = 'newline_delimited', filename = true, hive_partitioning = false, ` +
    `maximum_object_size = ${maxActionBytes}, columns = {${columns}})`
  )
}

/** A checkpoint of another writer may lack columns and fields, or have more. */
async function checkpointSource(engine: EmbeddedEngine, path: string, version: number): Promise<string> {
  const source = `read_parquet(${sqlString(path)}, hive_partitioning = false)`
  const present = new Set(
    (await engine.rows(`DESCRIBE SELECT * FROM ${source}`)).map((row) => row.column_name),
  )
  const columns = actionNames.map(
    (name) => `CAST(${present.has(name) ? name : 'NULL'} AS ${actionTypes[name]}) AS ${name}`,
  )
  return `SELECT ${version}::BIGINT AS commit_version, ${columns.join(', ')} FROM ${source}`
}

/** Of every file, application and rule, the newest action counts. */
function checkpointQuery(sources: readonly string[], nowMs: number): string {
  const only = (kept: keyof typeof actionTypes, expression: string) =>
    actionNames.map((name) =>
      name === kept ? `${expression} AS ${name}` : `NULL::${actionTypes[name]} AS ${name}`,
    )
  const select = (kept: keyof typeof actionTypes, expression: string, rest: string) =>
    `SELECT ${only(kept, expression).join(', ')} FROM actions ${rest}`
  const file = 'coalesce("add".path, remove.path)'
  const live = `(${file}, commit_version) IN (SELECT (path, commit_version) FROM newest)`
  return `WITH actions AS (${sources.join(' UNION ALL BY NAME ')}),
    newest AS (SELECT ${file} AS path, max(commit_version) AS commit_version FROM actions WHERE ${file} IS NOT NULL GROUP BY ALL)
    ${select('protocol', 'arg_max(protocol, commit_version)', 'WHERE protocol.minReaderVersion IS NOT NULL HAVING count(*) > 0')}
    UNION ALL ${select('metaData', 'arg_max(metaData, commit_version)', 'WHERE metaData.id IS NOT NULL HAVING count(*) > 0')}
    UNION ALL ${select('txn', 'arg_max(txn, commit_version)', 'WHERE txn.appId IS NOT NULL GROUP BY txn.appId')}
    UNION ALL ${select('add', `struct_update("add", "dataChange" := false)`, `WHERE "add".path IS NOT NULL AND ${live}`)}
    UNION ALL ${select(
      'remove',
      'struct_update(remove, "dataChange" := false)',
      `WHERE remove.path IS NOT NULL AND ${live} AND remove.deletionTimestamp > ${nowMs - removedFileRetentionMs}`,
    )}`
}

/** @returns the number of live files. */
async function checkedFiles(engine: EmbeddedEngine, path: string, plan: CheckpointPlan): Promise<number> {
  const [counts] = await engine.rows(
    `SELECT count(protocol.minReaderVersion) AS protocols, count(metaData.id) AS metaData,
      count(DISTINCT txn.appId) AS transactions, count("add".path) AS files
    FROM read_parquet(${sqlString(path)}, hive_partitioning = false)`,
  )
  const { protocols, metaData, transactions, files } = counts ?? {}
  if (Number(protocols) === 1 && Number(metaData) === 1 && Number(transactions) === plan.transactions) {
    return Number(files)
  }
  throw new TailraceError('TABLE_CORRUPT', `The checkpoint of version ${plan.version} does not add up.`, {
    context: { version: plan.version, transactions: Number(transactions), expected: plan.transactions },
  })
}
