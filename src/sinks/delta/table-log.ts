import { TailraceError } from '../../errors.ts'
import type { EmbeddedEngine } from '../duckdb.ts'
import { readCheckpoint } from './checkpoint-reader.ts'
import { commitPath, type DeltaCommit, decodeCommit } from './delta-action.ts'
import type { DeltaStorage } from './delta-storage.ts'
import { TableState } from './table-state.ts'

/** Commits read ahead while a log is replayed. */
const readAheadCommits = 16

const commitName = /^(\d{20})\.json$/
const checkpointName = /^(\d{20})\.checkpoint\.parquet$/
const otherCheckpointName = /^\d{20}\.checkpoint\..+\.(parquet|json)$/

/**
 * Reads a table's newest version: the newest classic checkpoint and every commit after it.
 *
 * Other kinds of checkpoint, checksums and compacted logs are not needed as long as the commits are there.
 *
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT naming the file that is missing or cannot be read
 */
export async function loadState(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  options: { readonly keepFiles: boolean },
): Promise<TableState | undefined> {
  const names = await storage.list('_delta_log')
  const commits = versions(names, commitName)
  const checkpoint = versions(names, checkpointName).at(-1)
  const last = commits.at(-1)
  if (last === undefined && checkpoint === undefined) {
    if (names.some((name) => otherCheckpointName.test(name))) throw noStart()
    return undefined
  }

  const state = new TableState(options)
  if (checkpoint !== undefined) state.load(await readCheckpoint(storage, engine, checkpoint, options))
  // Commits that were cleaned away are in a checkpoint; if that is of another kind, nothing is corrupt.
  const cleaned = commits[0] !== undefined && commits[0] > state.version + 1
  if (cleaned && names.some((name) => otherCheckpointName.test(name))) throw noStart()
  await replay(storage, state, last ?? state.version)
  await readNewCommits(storage, state)
  return state
}

/**
 * Moves a state to the newest version.
 *
 * @param onCommit sees each commit after it is applied
 */
export async function readNewCommits(
  storage: DeltaStorage,
  state: TableState,
  onCommit: (commit: DeltaCommit) => void = () => {},
): Promise<void> {
  for (;;) {
    const commit = await readCommit(storage, state.version + 1)
    if (commit === undefined) return
    state.apply(commit)
    onCommit(commit)
  }
}

/** @returns a version's commit, or undefined when there is none (yet). */
export async function readCommit(storage: DeltaStorage, version: number): Promise<DeltaCommit | undefined> {
  const bytes = await storage.read(commitPath(version))
  return bytes && decodeCommit(version, bytes)
}

async function replay(storage: DeltaStorage, state: TableState, last: number): Promise<void> {
  while (state.version < last) {
    const first = state.version + 1
    const count = Math.min(readAheadCommits, last - first + 1)
    const reads = Array.from({ length: count }, (_, index) => readCommit(storage, first + index))
    for (const commit of await Promise.all(reads)) {
      if (commit === undefined) {
        const version = state.version + 1
        throw new TailraceError('TABLE_CORRUPT', `${commitPath(version)} is missing.`, {
          context: { version },
        })
      }
      state.apply(commit)
    }
  }
}

function versions(names: readonly string[], pattern: RegExp): number[] {
  return names
    .flatMap((name) => pattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((left, right) => left - right)
}

function noStart(): TailraceError {
  return new TailraceError(
    'TABLE_UNSUPPORTED',
    'The table can only be read from a multi-part or v2Checkpoint checkpoint, which this writer does not read.',
  )
}
