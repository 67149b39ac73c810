import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts'
import { newestCommitTimes } from './commit-times.ts'
import { commitPath, decodeLines } from './delta-action.ts'
import type { DeltaStorage } from './delta-storage.ts'

/** One commit, as its own file tells it. */
export interface CommitSummary {
  readonly version: number
  /** Milliseconds since the epoch: what time travel goes by. */
  readonly timeMs: number
  /** Empty where the writer states none, as everything else that follows. */
  readonly operation: string
  readonly parameters: JsonObject
  readonly engine: string
  readonly addedFiles: number
  readonly removedFiles: number
  /** Rows of the added files, without deleted ones; undefined when one of them has no statistics. */
  readonly addedRows: number | undefined
}

/** The commits of a table that its log still has. */
export interface TableHistory {
  /** The oldest version whose commit is there and that can be read. */
  readonly firstVersion: number
  readonly lastVersion: number
  /** The newest first. */
  readonly commits: readonly CommitSummary[]
}

/**
 * Reads a table's newest commits, one after the other: no more than one commit is in memory.
 *
 * @param limit the most commits to read
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT naming a commit that cannot be read
 */
export async function readHistory(storage: DeltaStorage, limit: number): Promise<TableHistory | undefined> {
  const times = await newestCommitTimes(storage, limit)
  if (times === undefined) return undefined
  const { firstVersion, versions } = times
  const commits: CommitSummary[] = []
  for (const version of versions.slice(Math.max(0, versions.length - limit)).reverse()) {
    const path = commitPath(version)
    const bytes = await storage.read(path)
    // Another writer may clean the log meanwhile.
    if (bytes === undefined) continue
    const actions = decodeLines(path, bytes)
    commits.push(summaryOf(version, times.ofCommit(version, actions) ?? 0, actions))
  }
  return { firstVersion, lastVersion: versions.at(-1)!, commits }
}

function summaryOf(version: number, timeMs: number, actions: readonly JsonObject[]): CommitSummary {
  const info = actions.map(({ commitInfo }) => commitInfo).find(isJsonObject) ?? {}
  const { operation, operationParameters, engineInfo } = info
  const adds = actions.map(({ add }) => add).filter(isJsonObject)
  const rows = adds.map(rowsOf)
  return {
    version,
    timeMs,
    operation: textOf(operation),
    parameters: isJsonObject(operationParameters) ? operationParameters : {},
    engine: textOf(engineInfo),
    addedFiles: adds.length,
    removedFiles: actions.filter(({ remove }) => isJsonObject(remove)).length,
    addedRows: rows.includes(undefined) ? undefined : rows.reduce<number>((sum, one) => sum + one!, 0),
  }
}

function rowsOf({ stats, deletionVector }: JsonObject): number | undefined {
  try {
    const parsed: unknown = typeof stats === 'string' ? JSON.parse(stats) : undefined
    const rows = isJsonObject(parsed) ? parsed.numRecords : undefined
    // Statistics count the rows that a file holds, deleted ones too.
    const deleted = isJsonObject(deletionVector) ? Number(deletionVector.cardinality) : 0
    return typeof rows === 'number' ? rows - deleted : undefined
  } catch {
    return undefined
  }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
