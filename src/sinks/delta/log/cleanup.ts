import { TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import type { MetaDataAction, ProtocolAction } from '../protocol/actions.ts'
import { hasCheckpointProtection } from '../protocol/features.ts'
import { intervalMs } from '../protocol/interval.ts'
import type { DeltaStorage, StoredObject } from '../storage/delta-storage.ts'
import { readCheckpoint, sidecarPaths } from './checkpoint-reader.ts'
import { type CheckpointFiles, type LogFile, logFile, logListing } from './listing.ts'

const dayMs = 24 * 3_600_000

/** Delta's defaults for `delta.logRetentionDuration` and `delta.checkpointRetentionDuration`. */
const defaultLogRetention = 'interval 30 days'
const defaultCheckpointRetention = 'interval 2 days'

/** Files that one cleanup removes at most, so that it ends soon; the next cleanup continues. */
const maxRemovals = 2_000

/** Concurrent removals. Files go oldest first, so an interrupted cleanup leaves gaps only among these. */
const parallelRemovals = 16

export interface CleanupContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
}

/** Age limits for removing log files, from the table's properties. */
export interface CleanupRules {
  /**
   * Milliseconds since the epoch, at midnight UTC. The newest version committed at or before it, and all later ones,
   * stay readable.
   */
  readonly cutoffMs: number
  /** Milliseconds since the epoch. Younger checkpoints stay, whatever their version. */
  readonly checkpointCutoffMs: number
}

/**
 * Reads a table's retention rules for its log.
 *
 * @returns undefined when nothing may be removed: the table forbids it, or its interval cannot be parsed
 */
export function cleanupRules(
  protocol: ProtocolAction,
  { configuration = {} }: MetaDataAction,
  nowMs: number,
): CleanupRules | undefined {
  if (configuration['delta.enableExpiredLogCleanup'] === 'false') return undefined
  if (hasCheckpointProtection(protocol)) return undefined
  const logMs = intervalMs(configuration['delta.logRetentionDuration'] ?? defaultLogRetention)
  const checkpointMs = intervalMs(
    configuration['delta.checkpointRetentionDuration'] ?? defaultCheckpointRetention,
  )
  if (logMs === undefined || checkpointMs === undefined || logMs < 0 || checkpointMs < 0) return undefined
  return {
    cutoffMs: Math.floor((nowMs - logMs) / dayMs) * dayMs,
    checkpointCutoffMs: nowMs - checkpointMs,
  }
}

/**
 * Removes the log files that no retained version needs (PROTOCOL.md, "Metadata Cleanup", read 2026-08).
 *
 * The removed files are older than a checkpoint that is itself older than the cutoff. That checkpoint is read first,
 * because nothing could replace it afterwards. If the process stops at any point, every retained version stays
 * readable.
 *
 * @returns whether everything expired was removed; false when there was more than one cleanup removes
 * @throws TABLE_CORRUPT when the checkpoint cannot be read; nothing is removed then
 */
export async function cleanLog(
  { storage, engine }: CleanupContext,
  rules: CleanupRules,
  nowMs: number,
): Promise<boolean> {
  const { kept, expired, isAll } = await findExpired(storage, rules)
  if (kept === undefined) return true
  if (expired.length > 0) await checkWhole({ storage, engine }, kept)
  const now = expired.slice(0, maxRemovals)
  for (let index = 0; index < now.length; index += parallelRemovals) {
    const names = now.slice(index, index + parallelRemovals)
    await Promise.all(names.map((name) => storage.remove(`_delta_log/${name}`)))
  }
  if (!isAll || now.length < expired.length) return false
  await removeSidecars({ storage, engine }, nowMs)
  return true
}

/** The expired part of a log. */
interface Expired {
  /** The checkpoint from which all later versions can be read; undefined when none is old enough. */
  readonly kept: CheckpointFiles | undefined
  /** Names of the expired files before it, oldest version first. */
  readonly expired: readonly string[]
  /** Whether the listing reached files too young to expire; false when there may be more expired files. */
  readonly isAll: boolean
}

/**
 * Lists a log from its start until the files are too young or there are enough to remove. So neither requests nor
 * memory grow with the retained part.
 */
async function findExpired(storage: DeltaStorage, rules: CleanupRules): Promise<Expired> {
  const log = new OldLog(rules)
  for await (const page of storage.pages('_delta_log')) {
    log.add(page)
    if (log.isPast || log.expired.length >= maxRemovals) {
      return { kept: log.kept, expired: log.expired, isAll: log.isPast }
    }
  }
  return { kept: log.kept, expired: log.expired, isAll: true }
}

/** Checks that a checkpoint and all its sidecars can be read, because its older commits are about to be removed. */
async function checkWhole({ storage, engine }: CleanupContext, checkpoint: CheckpointFiles): Promise<void> {
  await readCheckpoint(storage, engine, checkpoint, { keepFiles: false })
  const present = new Set(
    (await storage.list('_delta_log/_sidecars')).map((name) => `_delta_log/_sidecars/${name}`),
  )
  const missing = (await sidecarPaths(storage, engine, checkpoint)).find((path) => !present.has(path))
  if (missing !== undefined) {
    const name = `_delta_log/${checkpoint.names[0]}`
    throw new TailraceError('TABLE_CORRUPT', `The checkpoint ${name} names ${missing}, which is missing.`, {
      context: { version: checkpoint.version },
    })
  }
}

/** Removes sidecars that no checkpoint names. Young ones stay, because their checkpoint may not be written yet. */
async function removeSidecars({ storage, engine }: CleanupContext, nowMs: number): Promise<void> {
  const folder = '_delta_log/_sidecars'
  const oldestMs = (Math.floor(nowMs / dayMs) - 1) * dayMs
  const old: string[] = []
  for await (const page of storage.pages(folder)) {
    for (const { name, modifiedMs } of page) if (modifiedMs < oldestMs) old.push(name)
  }
  if (old.length === 0) return
  const checkpoints: string[] = []
  for await (const page of storage.pages('_delta_log')) {
    for (const { name } of page) if (logFile(name)?.kind === 'checkpoint') checkpoints.push(name)
  }
  const used = new Set<string>()
  // An unreadable checkpoint ends the cleanup with its error, because its sidecars are unknown.
  for (const checkpoint of logListing(checkpoints).checkpoints) {
    for (const path of await sidecarPaths(storage, engine, checkpoint)) used.add(path)
  }
  for (const name of old) {
    if (!used.has(`${folder}/${name}`)) await storage.remove(`${folder}/${name}`)
  }
}

type AgedFile = LogFile & StoredObject

/** Finds the expired files of a log while it is listed by name, which is the order of the versions. */
class OldLog {
  readonly #rules: CleanupRules
  readonly #commits = new Set<number>()
  #latestMs = Number.NEGATIVE_INFINITY
  /** Names of checkpoint files from `kept` on. The next pages may complete one of them or list its old commit. */
  #checkpoints: string[] = []
  /** Files that are not older than `kept`. */
  #later: AgedFile[] = []
  /** The newest checkpoint so far whose version was committed at or before the cutoff. */
  kept: CheckpointFiles | undefined
  /** Names of expired files before `kept`, oldest version first. */
  readonly expired: string[] = []

  constructor(rules: CleanupRules) {
    this.#rules = rules
  }

  /** Whether a commit younger than the cutoff was listed. */
  get isPast(): boolean {
    return this.#latestMs > this.#rules.cutoffMs
  }

  /** Takes the next page of the listing. */
  add(page: readonly StoredObject[]): void {
    for (const object of page) {
      const file = logFile(object.name)
      if (file === undefined) continue
      this.#later.push({ ...object, ...file })
      if (file.kind === 'commit') this.#addCommit(file.version, object.modifiedMs)
      if (file.kind === 'checkpoint') this.#checkpoints.push(object.name)
    }
    const { checkpoints } = logListing(this.#checkpoints)
    const kept = checkpoints.find(({ version }) => this.#commits.has(version))
    if (kept === undefined) return
    const isNewer = kept.version > (this.kept?.version ?? -1)
    this.kept = kept
    if (!isNewer) return
    this.#checkpoints = this.#checkpoints.filter((name) => logFile(name)!.version >= kept.version)
    this.#expireBefore(kept.version)
  }

  #addCommit(version: number, modifiedMs: number): void {
    // Commit times increase with the version: a file with an earlier time than its predecessor gets the predecessor's.
    this.#latestMs = Math.max(this.#latestMs, modifiedMs)
    if (!this.isPast) this.#commits.add(version)
  }

  #expireBefore(keptVersion: number): void {
    const later: AgedFile[] = []
    for (const file of this.#later) {
      // A compaction that starts at or before the checkpoint covers commits that are removed.
      const isBefore =
        file.version < keptVersion || (file.kind === 'compaction' && file.version === keptVersion)
      const isYoung = file.kind === 'checkpoint' && file.modifiedMs > this.#rules.checkpointCutoffMs
      if (!isBefore) later.push(file)
      else if (!isYoung) this.expired.push(file.name)
    }
    this.#later = later
  }
}
