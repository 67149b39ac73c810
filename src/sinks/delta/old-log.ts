import type { StoredObject } from './delta-storage.ts'
import type { CleanupRules } from './log-cleanup.ts'
import { type CheckpointFiles, type LogFile, logFile, logListing } from './log-listing.ts'

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
