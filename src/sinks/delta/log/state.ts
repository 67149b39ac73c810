import { TailraceError } from '../../../errors.ts'
import { Transactions } from '../offsets.ts'
import {
  type AddAction,
  commitPath,
  type DeltaCommit,
  type DomainMetadataAction,
  fileKey,
  type MetaDataAction,
  type ProtocolAction,
  type RemoveAction,
} from '../protocol/actions.ts'

/** Everything a checkpoint states about a version. */
export interface CheckpointContent {
  readonly version: number
  readonly protocol: ProtocolAction
  readonly metaData: MetaDataAction
  readonly transactions: Transactions
  readonly domains: readonly DomainMetadataAction[]
  readonly files: readonly AddAction[]
  readonly removed: readonly RemovedFile[]
}

/** What a state keeps of a table's files. */
export interface KeptOptions {
  /** The live files. */
  readonly keepFiles: boolean
  /** Their statistics, which are most of what a file takes. Default true. */
  readonly statistics?: boolean
  /** The files that were removed, as far back as the newest checkpoint knows of them. Default false. */
  readonly keepRemoved?: boolean
}

/** A file that is no longer part of a table. */
export type RemovedFile = Pick<RemoveAction, 'path' | 'deletionTimestamp' | 'deletionVector'>

/**
 * A table at one version, moved forward commit by commit.
 *
 * Memory grows with the live files only where `files` is kept; an append needs none of them.
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

  /** The newest checkpoint that is known; -1 without one. */
  get checkpointVersion(): number {
    return this.#checkpointVersion
  }

  /** Says that a checkpoint of a version is there now. */
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

  /** By domain, without those that ended. */
  get domains(): ReadonlyMap<string, DomainMetadataAction> {
    return this.#domains
  }

  /** The newest in-commit timestamp, in milliseconds since the epoch; undefined where no commit had one. */
  get inCommitTimestamp(): number | undefined {
    return this.#inCommitTimestamp
  }

  /** Says what the commit of a checkpoint's version held, which the checkpoint leaves out. */
  noteInCommitTimestamp(timestampMs: number): void {
    this.#inCommitTimestamp = Math.max(this.#inCommitTimestamp ?? timestampMs, timestampMs)
  }

  /** The live files by `fileKey`, or undefined when this state does not keep them. */
  get files(): ReadonlyMap<string, AddAction> | undefined {
    return this.#files
  }

  /** The newest removal by `fileKey`, also of a file that is live again; undefined when this state does not keep them. */
  get removed(): ReadonlyMap<string, RemovedFile> | undefined {
    return this.#removed
  }

  /** Forgets the live files; the state then no longer keeps them. */
  dropFiles(): void {
    this.#files = undefined
  }

  /** Starts from a checkpoint instead of from nothing. */
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

  /** Moves to the next version. */
  apply(commit: DeltaCommit): void {
    if (commit.version !== this.#version + 1) {
      throw new TailraceError('TABLE_CORRUPT', `Version ${commit.version} does not follow ${this.#version}.`)
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
    // A removal without a time is as old as can be to other readers; here it is none that has expired.
    const removal: Partial<RemoveAction> & RemovedFile = file
    const { path, deletionTimestamp = Number.POSITIVE_INFINITY, deletionVector } = removal
    this.#removed?.set(fileKey(file), {
      path,
      deletionTimestamp,
      ...(deletionVector ? { deletionVector } : {}),
    })
  }

  #applyDomain(action: DomainMetadataAction): void {
    if (action.removed) this.#domains.delete(action.domain)
    else this.#domains.set(action.domain, action)
  }
}

function missing(action: string, version: number): never {
  throw new TailraceError('TABLE_CORRUPT', `No ${action} action up to ${commitPath(Math.max(version, 0))}.`, {
    context: { version },
  })
}
