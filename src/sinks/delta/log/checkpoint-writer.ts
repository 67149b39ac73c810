import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { type EmbeddedEngine, filePathSql, parquetSql, sqlString } from '../../encoding/engine.ts'
import { commitPath } from '../protocol/actions.ts'
import type { DeltaStorage, LocalFile } from '../storage/delta-storage.ts'
import { actionNames, type CheckpointPlan, checkpointQuery } from './checkpoint-query.ts'
import { checkpointPath, readCheckpoint, sidecarPaths } from './checkpoint-reader.ts'
import { checkpointSchema, fullCheckpointSchema } from './checkpoint-schema.ts'
import { type CheckpointFiles, logListing } from './listing.ts'
import type { TableState } from './state.ts'

/** The longest line of a commit file that can be read. The engine reserves twice this for each of its threads. */
const maxActionBytes = 4 * 1024 * 1024

/**
 * Small, because the engine buffers a whole row group per thread before writing it, and a file with its statistics takes
 * 3 KB: with 20,480 rows, 200 MiB did not suffice for 31,000 files.
 */
const rowGroupRows = 4_096

/** Delta's default for `delta.checkpointInterval`. */
const defaultInterval = 10

export interface CheckpointContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** Where the checkpoint is written before it moves into the log. */
  readonly stagingDirectory: string
}

/**
 * Decides whether a checkpoint is due after a commit.
 *
 * @param triedVersion the version of the last attempt, successful or not; -1 for none
 * @returns undefined when no checkpoint is due, or when this writer may not write one for the table
 */
export function dueCheckpoint(state: TableState, triedVersion: number): CheckpointPlan | undefined {
  const { protocol, metaData, version, checkpointVersion: previous } = state
  const configured = Number(metaData.configuration?.['delta.checkpointInterval'])
  const interval = configured > 0 ? configured : defaultInterval
  // Such a table stores statistics in typed columns, which this schema lacks; its other writers must checkpoint it.
  if (metaData.configuration?.['delta.checkpoint.writeStatsAsJson'] === 'false') return undefined
  if (version - Math.max(previous, triedVersion, 0) < interval) return undefined
  return {
    version,
    previous,
    protocol,
    metaData,
    transactions: state.transactions.size,
    domains: state.domains.size,
  }
}

/**
 * Writes a single-file checkpoint, so that opening the table reads one file instead of every earlier commit.
 *
 * The engine does the work, so memory here does not grow with the table. The counts of the new file are checked
 * before it is published, because a wrong checkpoint is worse than none. A table with v2Checkpoint gets the V2 layout
 * under the classic file name, which every reader finds.
 *
 * @throws TABLE_CORRUPT when the counts are wrong; nothing is published then
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
  const open = async (path: string): Promise<string> => {
    inputs.push(await storage.localFile(path))
    return inputs.at(-1)!.path
  }
  try {
    const base = await baseCheckpoint(context, plan)
    const before = base === undefined ? [] : await checkpointSources(base, context, open)
    const commits: string[] = []
    for (let version = (base?.version ?? -1) + 1; version <= plan.version; version += 1) {
      commits.push(await open(commitPath(version)))
    }
    const since =
      commits.length === 0
        ? []
        : [jsonSource(commits, "regexp_extract(filename, '(\\d{20})\\.json$', 1)::BIGINT")]

    const [written] = await engine.copy(
      // No dictionary encoding: some readers fail on a checkpoint with dictionaries.
      `COPY (${checkpointQuery({ before, since }, plan, nowMs)}) TO ${sqlString(staged)} ` +
        `(FORMAT parquet, COMPRESSION snappy, DICTIONARY_SIZE_LIMIT 0, ROW_GROUP_SIZE ${rowGroupRows}, RETURN_STATS)`,
    )
    const files = await checkedFiles(engine, staged, plan, base?.version ?? -1)
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

/** Finds the checkpoint to build on: the one the state was loaded from, unless another writer has removed it. */
async function baseCheckpoint(
  context: CheckpointContext,
  { version, previous }: CheckpointPlan,
): Promise<CheckpointFiles | undefined> {
  const { storage } = context
  if (previous >= 0) {
    const names = await storage.list('_delta_log', String(previous).padStart(20, '0'))
    const { checkpoints } = logListing(names)
    if (checkpoints.length > 0) return firstReadable(checkpoints, context)
  }
  const { commits, checkpoints } = logListing(await storage.list('_delta_log'))
  if (previous === -1 && commits[0] === 0) return undefined
  return firstReadable(
    checkpoints.filter((checkpoint) => checkpoint.version <= version),
    context,
  )
}

/**
 * Picks a readable checkpoint. A version may have several, and a killed writer may have left one of them torn. A
 * single candidate is not read first, because there is no alternative to it.
 */
async function firstReadable(
  candidates: readonly CheckpointFiles[],
  { storage, engine }: CheckpointContext,
): Promise<CheckpointFiles | undefined> {
  const [first] = candidates
  if (candidates.length < 2) return first
  for (const candidate of candidates) {
    try {
      await readCheckpoint(storage, engine, candidate, { keepFiles: false })
      return candidate
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT')) throw error
    }
  }
  return first
}

/** @returns a SELECT for the checkpoint and one for its sidecars, with the full schema's columns and `commit_version`. */
async function checkpointSources(
  checkpoint: CheckpointFiles,
  { storage, engine }: CheckpointContext,
  open: (path: string) => Promise<string>,
): Promise<string[]> {
  const top: string[] = []
  for (const name of checkpoint.names) top.push(await open(`_delta_log/${name}`))
  const sidecars: string[] = []
  for (const path of await sidecarPaths(storage, engine, checkpoint)) sidecars.push(await open(path))
  const sources =
    checkpoint.format === 'json'
      ? [jsonSource(top, `${checkpoint.version}::BIGINT`)]
      : [await parquetSource(engine, top, checkpoint.version)]
  if (sidecars.length > 0) sources.push(await parquetSource(engine, sidecars, checkpoint.version))
  return sources
}

function jsonSource(paths: readonly string[], version: string): string {
  const columns = actionNames.map((name) => `"${name}": ${sqlString(fullCheckpointSchema[name])}`).join(', ')
  const files = paths.map(filePathSql).join(', ')
  return (
    `SELECT ${version} AS commit_version, ${quoted(actionNames)} ` +
    `FROM read_json([${files}], format = 'newline_delimited', filename = true, hive_partitioning = false, ` +
    `maximum_object_size = ${maxActionBytes}, columns = {${columns}})`
  )
}

/** Casts to the full schema, because another writer's checkpoint may lack columns and fields or have more. */
async function parquetSource(
  engine: EmbeddedEngine,
  paths: readonly string[],
  version: number,
): Promise<string> {
  const source = parquetSql(paths)
  const namesOf = async (select: string) =>
    new Set((await engine.rows(`DESCRIBE SELECT ${select} FROM ${source}`)).map((row) => row.column_name))
  const present = await namesOf('*')
  const columns = actionNames.map(
    (name) =>
      `CAST(${present.has(name) ? `"${name}"` : 'NULL'} AS ${fullCheckpointSchema[name]}) AS "${name}"`,
  )
  return `SELECT ${version}::BIGINT AS commit_version, ${columns.join(', ')} FROM ${source}`
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

/**
 * Counts the actions in a new checkpoint.
 *
 * @returns the number of live files
 * @throws TABLE_CORRUPT when the counts differ from the plan
 */
async function checkedFiles(
  engine: EmbeddedEngine,
  path: string,
  plan: CheckpointPlan,
  base: number,
): Promise<number> {
  const names = Object.keys(checkpointSchema(plan.protocol))
  const [counts] = await engine.rows(
    `SELECT count(protocol.minReaderVersion) AS protocols, count(metaData.id) AS metaData,
      count(txn.appId) AS transactions, count("add".path) AS files,
      ${names.includes('domainMetadata') ? 'count(domainMetadata.domain)' : '0'} AS domains
    FROM ${parquetSql([path])}`,
  )
  const { protocols, metaData, transactions, domains, files } = counts ?? {}
  const isWhole = Number(protocols) === 1 && Number(metaData) === 1
  const isSame = Number(transactions) === plan.transactions && Number(domains) === plan.domains
  // Another writer's base checkpoint may omit expired transactions, which the state still has.
  if (isWhole && (isSame || base !== plan.previous)) return Number(files)
  throw new TailraceError(
    'TABLE_CORRUPT',
    `The new checkpoint of version ${plan.version} was discarded: its counts of actions differ from the table's state.`,
    { context: { version: plan.version, transactions: Number(transactions), expected: plan.transactions } },
  )
}
