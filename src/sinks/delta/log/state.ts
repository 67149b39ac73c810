import { TailraceError } from '../../../errors.ts'
import {
  type AddAction,
  commitPath,
  type DeltaCommit,
  type DomainMetadataAction,
  fileKey,
  type MetaDataAction,
  type ProtocolAction,
  type RemoveAction,
  type RemovedFile,
} from '../protocol/actions.ts'
import { archiveAppId, Transactions } from './offsets.ts'

/** The content of a checkpoint: the table's state at one version. */
export interface CheckpointContent {
  readonly version: number
  readonly protocol: ProtocolAction
  readonly metaData: MetaDataAction
  readonly transactions: Transactions
  readonly domains: readonly DomainMetadataAction[]
  readonly files: readonly AddAction[]
  readonly removed: readonly RemovedFile[]
}

/** How much of a table's file list a state keeps in memory. */
export interface KeptOptions {
  /** Keep the live files. */
  readonly keepFiles: boolean
  /** Keep the live files' statistics, which take most of a file's memory. Default true. */
  readonly statistics?: boolean | undefined
  /** Keep the removed files, as far back as the newest checkpoint lists them. Default false. */
  readonly keepRemoved?: boolean | undefined
}

/**
 * A table at one version, advanced commit by commit.
 *
 * Memory grows with the number of live files only with `keepFiles`; appending does not need them.
 */
export class TableState {
  #version = -1
  #checkpointVersion = -1
  #protocol: ProtocolAction | undefined
  #metaData: MetaDataAction | undefined
  #transactions = new Transactions()
  readonly #domains = new Map<string, DomainMetadataAction>()
  #inCommitTimestamp: number | undefined
  #files: Map<string, AddAction> | undefined
  readonly #statistics: boolean
  readonly #removed: Map<string, RemovedFile> | undefined

  constructor({ keepFiles, statistics = true, keepRemoved = false }: KeptOptions) {
    if (keepFiles) this.#files = new Map()
    this.#statistics = statistics
    if (keepRemoved) this.#removed = new Map()
  }

  /** -1 before the first commit. */
  get version(): number {
    return this.#version
  }

  /** The version of the newest known checkpoint; -1 without one. */
  get checkpointVersion(): number {
    return this.#checkpointVersion
  }

  /** Records that a checkpoint of a version was written. */
  noteCheckpoint(version: number): void {
    this.#checkpointVersion = Math.max(this.#checkpointVersion, version)
  }

  get protocol(): ProtocolAction {
    return this.#protocol ?? missing('protocol', this.#version)
  }

  get metaData(): MetaDataAction {
    return this.#metaData ?? missing('metaData', this.#version)
  }

  /** The newest transaction of each application. */
  get transactions(): Transactions {
    return this.#transactions
  }

  /** Domain metadata by domain name, without removed domains. */
  get domains(): ReadonlyMap<string, DomainMetadataAction> {
    return this.#domains
  }

  /** The newest in-commit timestamp, in milliseconds since the epoch; undefined when no commit had one. */
  get inCommitTimestamp(): number | undefined {
    return this.#inCommitTimestamp
  }

  /** Records a commit's in-commit timestamp, which checkpoints do not store. Milliseconds since the epoch. */
  noteInCommitTimestamp(timestampMs: number): void {
    this.#inCommitTimestamp = Math.max(this.#inCommitTimestamp ?? timestampMs, timestampMs)
  }

  /** The live files by `fileKey`; undefined when this state does not keep them. */
  get files(): ReadonlyMap<string, AddAction> | undefined {
    return this.#files
  }

  /**
   * The newest removal of each file by `fileKey`, including files that were added again later; undefined when this
   * state does not keep removals.
   */
  get removed(): ReadonlyMap<string, RemovedFile> | undefined {
    return this.#removed
  }

  /** Releases the live files' memory; `files` is undefined from then on. */
  dropFiles(): void {
    this.#files = undefined
  }

  /** Sets the state to a checkpoint's content; call it before any commit is applied. */
  load(checkpoint: CheckpointContent): void {
    this.#version = checkpoint.version
    this.#checkpointVersion = checkpoint.version
    this.#protocol = checkpoint.protocol
    this.#metaData = checkpoint.metaData
    this.#transactions = checkpoint.transactions
    for (const domain of checkpoint.domains) this.#domains.set(domain.domain, domain)
    for (const file of checkpoint.files) this.#addFile(file)
    for (const file of checkpoint.removed) this.#removed?.set(fileKey(file), file)
  }

  /**
   * Advances to the next version.
   *
   * @throws TABLE_CORRUPT when the commit is not that of the next version
   */
  apply(commit: DeltaCommit): void {
    if (commit.version !== this.#version + 1) {
      throw new TailraceError(
        'TABLE_CORRUPT',
        `Version ${commit.version} of the table does not follow version ${this.#version}.`,
      )
    }
    for (const action of commit.actions) {
      // Before the commit's own offsets, if it has any: an archive takes those of earlier commits.
      if ('txn' in action && action.txn.appId === archiveAppId)
        this.#transactions.moveToArchive(Number(action.txn.version))
    }
    for (const action of commit.actions) {
      if ('add' in action) this.#addFile(action.add)
      else if ('remove' in action) this.#removeFile(action.remove)
      else if ('txn' in action) this.#transactions.set(action.txn)
      else if ('metaData' in action) this.#metaData = action.metaData
      else if ('protocol' in action) this.#protocol = action.protocol
      else if ('domainMetadata' in action) this.#applyDomain(action.domainMetadata)
    }
    if (commit.inCommitTimestamp !== undefined) this.noteInCommitTimestamp(commit.inCommitTimestamp)
    this.#version = commit.version
  }

  #addFile(file: AddAction): void {
    const { stats, ...rest } = file
    this.#files?.set(fileKey(file), this.#statistics ? file : rest)
  }

  #removeFile(file: RemoveAction): void {
    this.#files?.delete(fileKey(file))
    // Other readers treat a removal without a time as expired. Here it never expires: vacuum must not delete on a guess.
    const removal: Partial<RemoveAction> & RemovedFile = file
    const { path, deletionTimestamp = Number.POSITIVE_INFINITY, deletionVector } = removal
    this.#removed?.set(fileKey(file), { path, deletionTimestamp, deletionVector })
  }

  #applyDomain(action: DomainMetadataAction): void {
    if (action.removed) this.#domains.delete(action.domain)
    else this.#domains.set(action.domain, action)
  }
}

function missing(action: string, version: number): never {
  const path = commitPath(Math.max(version, 0))
  throw new TailraceError('TABLE_CORRUPT', `The log has no ${action} action up to and including ${path}.`, {
    context: { version },
  })
}
