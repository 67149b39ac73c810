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

/** The most files that one cleanup removes, so that it ends soon; the next one goes on. */
const maxRemovals = 2_000

/** Removals under way at a time: oldest first, so that what is left has no hole but among these. */
const parallelRemovals = 16

export interface CleanupContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
}

/** What may leave a log, by the table's own rules. */
export interface CleanupRules {
  /** Milliseconds since the epoch, at midnight UTC: the newest commit that is not younger stays reconstructable. */
  readonly cutoffMs: number
  /** Milliseconds since the epoch: younger checkpoints stay, whatever their version. */
  readonly checkpointCutoffMs: number
}

/**
 * Reads a table's rules for its log.
 *
 * @returns undefined when nothing may be removed: because the table says so, or because its rule is not understood
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
 * Removes the part of a log that no version within the table's retention needs (PROTOCOL.md, "Metadata Cleanup",
 * read 2026-08).
 *
 * What goes is older than a checkpoint that is itself old enough; that checkpoint is read first, because nothing
 * could replace it afterwards. A stop anywhere leaves a log of which every retained version can be read.
 *
 * @returns whether all of it is gone; otherwise there was more than one cleanup removes
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

/** What a cleanup found. */
interface Expired {
  /** The checkpoint that everything since can be reconstructed from; undefined when there is none old enough. */
  readonly kept: CheckpointFiles | undefined
  /** Names of what lies before it, the oldest version first. */
  readonly expired: readonly string[]
  /** Whether what was not read is too young; otherwise there may be more. */
  readonly isAll: boolean
}

/**
 * Reads a log from its beginning on, until it is too young or there is enough to remove: neither the requests nor
 * the memory grow with the part that is retained. Each page is sorted out once.
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

/** Once the commits before it are gone, nothing can replace a checkpoint that is broken. */
async function checkWhole({ storage, engine }: CleanupContext, checkpoint: CheckpointFiles): Promise<void> {
  await readCheckpoint(storage, engine, checkpoint, { keepFiles: false })
  const present = new Set(
    (await storage.list('_delta_log/_sidecars')).map((name) => `_delta_log/_sidecars/${name}`),
  )
  const missing = (await sidecarPaths(storage, engine, checkpoint)).find((path) => !present.has(path))
  if (missing !== undefined) {
    throw new TailraceError('TABLE_CORRUPT', `${missing} is missing, which a checkpoint names.`, {
      context: { version: checkpoint.version },
    })
  }
}

/** Removes sidecars that no checkpoint names, unless they are so young that their checkpoint may be under way. */
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
  // One that cannot be read ends the cleanup: what it names is not known.
  for (const checkpoint of logListing(checkpoints).checkpoints) {
    for (const path of await sidecarPaths(storage, engine, checkpoint)) used.add(path)
  }
  for (const name of old) {
    if (!used.has(`${folder}/${name}`)) await storage.remove(`${folder}/${name}`)
  }
}

type AgedFile = LogFile & StoredObject

/** The old part of a log, sorted out while it is listed in the order of the names, which is that of the versions. */
export class OldLog {
  readonly #rules: CleanupRules
  readonly #commits = new Set<number>()
  #latestMs = Number.NEGATIVE_INFINITY
  /** Checkpoints from the kept one on: one of them may yet turn out to be whole, and its commit to be old. */
  #checkpoints: string[] = []
  /** What does not lie before the kept checkpoint. */
  #later: AgedFile[] = []
  /** The newest checkpoint from which every version since the cutoff can be reconstructed. */
  kept: CheckpointFiles | undefined
  /** Names of what lies before it, the oldest version first. */
  readonly expired: string[] = []

  constructor(rules: CleanupRules) {
    this.#rules = rules
  }

  /** Whether there was a commit younger than the cutoff. */
  get isPast(): boolean {
    return this.#latestMs > this.#rules.cutoffMs
  }

  /** Sorts out the next page of the listing. */
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
    // Time goes up with the version: a commit that seems older than the one before is as young as that.
    this.#latestMs = Math.max(this.#latestMs, modifiedMs)
    if (!this.isPast) this.#commits.add(version)
  }

  #expireBefore(keptVersion: number): void {
    const later: AgedFile[] = []
    for (const file of this.#later) {
      // A compaction that begins before the checkpoint, or at it, stands for commits that are gone.
      const isBefore =
        file.version < keptVersion || (file.kind === 'compaction' && file.version === keptVersion)
      const isYoung = file.kind === 'checkpoint' && file.modifiedMs > this.#rules.checkpointCutoffMs
      if (!isBefore) later.push(file)
      else if (!isYoung) this.expired.push(file.name)
    }
    this.#later = later
  }
}
