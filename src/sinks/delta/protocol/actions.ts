import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, parseJson, stringifyJson } from '../../../json.ts'

/** The table's reader and writer requirements. */
export interface ProtocolAction {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  readonly readerFeatures?: readonly string[]
  readonly writerFeatures?: readonly string[]
}

/** The table's schema and properties. */
export interface MetaDataAction {
  readonly id: string
  readonly format: { readonly provider: string; readonly options?: Readonly<Record<string, string>> }
  /** A JSON text, kept as it was found. */
  readonly schemaString: string
  readonly partitionColumns: readonly string[]
  readonly configuration?: Readonly<Record<string, string>>
  readonly createdTime?: number
  readonly name?: string
  readonly description?: string
}

/** How far an application is: for this project, a blob generation's offset. */
export interface TransactionAction {
  readonly appId: string
  /** `bigint` only for another application's number beyond 2^53. */
  readonly version: number | bigint
  /** Milliseconds since the epoch. */
  readonly lastUpdated?: number
}

/** Settings of one feature or application, kept for whoever owns the domain. */
export interface DomainMetadataAction {
  readonly domain: string
  /** A text that only the domain's owner understands. */
  readonly configuration: string
  /** True where the domain ends; checkpoints leave it out then. */
  readonly removed: boolean
}

/** Values of the partition columns as text; null is the NULL partition. */
export type PartitionValues = Readonly<Record<string, string | null>>

/** A data file that is part of the table. */
export interface AddAction {
  /** URI-encoded, relative to the table's root; the same text identifies the file in every action. */
  readonly path: string
  readonly partitionValues: PartitionValues
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly modificationTime: number
  readonly dataChange: boolean
  /** A JSON text, kept as it was found: its numbers can be beyond what JavaScript holds. */
  readonly stats?: string
  readonly deletionVector?: DeletionVector
}

/** Marks a file of another writer of whose rows some are deleted. */
export interface DeletionVector {
  /** `u` for a file named by a UUID, `p` for one with an absolute path, `i` for a text in the log. */
  readonly storageType: string
  readonly pathOrInlineDv: string
  /** Where it begins in its file. */
  readonly offset?: number
  /** Bytes of it, without what its file adds. */
  readonly sizeInBytes: number
  /** How many rows it deletes. */
  readonly cardinality: number
}

/** A data file that is no longer part of the table. */
export interface RemoveAction {
  readonly path: string
  /** Milliseconds since the epoch. */
  readonly deletionTimestamp: number
  readonly dataChange: boolean
  readonly extendedFileMetadata: boolean
  readonly partitionValues: PartitionValues
  readonly size: number
  readonly deletionVector?: DeletionVector
}

/** Who made a commit and why. */
export interface CommitInfoAction {
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly operation: string
  readonly operationParameters: Readonly<Record<string, string>>
  readonly readVersion?: number
  readonly isolationLevel?: 'Serializable'
  readonly isBlindAppend: boolean
  readonly operationMetrics?: Readonly<Record<string, string>>
  readonly engineInfo: string
  /** Milliseconds since the epoch, growing from version to version; only where the table's rules ask for it. */
  readonly inCommitTimestamp?: number
  /** Fixed for one logical commit over all its attempts, so that a lost reply can be resolved. */
  readonly txnId: string
}

/** One action of a commit: exactly one of the keys. */
export type DeltaAction =
  | { readonly commitInfo: CommitInfoAction }
  | { readonly protocol: ProtocolAction }
  | { readonly metaData: MetaDataAction }
  | { readonly txn: TransactionAction }
  | { readonly add: AddAction }
  | { readonly remove: RemoveAction }
  | { readonly domainMetadata: DomainMetadataAction }

/** A commit as it was read: unknown actions are skipped, as the protocol demands. */
export interface DeltaCommit {
  readonly version: number
  readonly txnId?: string
  /** Milliseconds since the epoch, where the commit has one. */
  readonly inCommitTimestamp?: number
  readonly actions: readonly DeltaAction[]
}

/** @returns the path of a version's commit file, relative to the table's root. */
export function commitPath(version: number): string {
  return `_delta_log/${String(version).padStart(20, '0')}.json`
}

/** @returns a commit's bytes: one action a line, every integer exact. */
export function encodeActions(actions: readonly DeltaAction[]): Buffer {
  const lines = actions.map((action) => `${stringifyJson(action as unknown as JsonObject)}\n`)
  return Buffer.from(lines.join(''), 'utf8')
}

/**
 * Reads a commit's bytes.
 *
 * @throws TABLE_CORRUPT naming the file when a line is no action, such as the rest of a torn write
 */
export function decodeCommit(version: number, bytes: Buffer): DeltaCommit {
  const path = commitPath(version)
  const actions: DeltaAction[] = []
  let info: JsonObject = {}
  for (const [index, action] of decodeLines(path, bytes).entries()) {
    if (isJsonObject(action.commitInfo)) info = action.commitInfo
    else if (isKnown(action)) actions.push(withSchema(action) as unknown as DeltaAction)
    else if (hasKnownKey(action)) throw corrupt(path, index + 1)
  }
  const { txnId, inCommitTimestamp } = info
  return {
    version,
    actions,
    ...(typeof txnId === 'string' ? { txnId } : {}),
    ...(typeof inCommitTimestamp === 'number' ? { inCommitTimestamp } : {}),
  }
}

/**
 * Reads a file of one JSON object a line.
 *
 * @throws TABLE_CORRUPT naming the file when a line is none, or when there is no line
 */
export function decodeLines(path: string, bytes: Buffer): JsonObject[] {
  const lines = bytes.toString('utf8').split('\n')
  const objects: JsonObject[] = []
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue
    const action = decodeAction(line)
    if (action === undefined) throw corrupt(path, index + 1)
    objects.push(action)
  }
  if (objects.length === 0) throw corrupt(path, 1)
  return objects
}

/** @returns what identifies a file among the live ones: its path and, if it has one, its deletion vector. */
export function fileKey(file: Pick<AddAction, 'path' | 'deletionVector'>): string {
  const vector = file.deletionVector
  return vector
    ? `${file.path}\n${vector.storageType}${vector.pathOrInlineDv}@${vector.offset ?? ''}`
    : file.path
}

/** @returns what takes a live file out of the table, with its deletion vector, if it has one. */
export function removalOf(file: AddAction, deletionTimestamp: number, dataChange: boolean): RemoveAction {
  const { path, partitionValues, size, deletionVector } = file
  return {
    path,
    deletionTimestamp,
    dataChange,
    extendedFileMetadata: true,
    partitionValues,
    size,
    ...(deletionVector ? { deletionVector } : {}),
  }
}

/** @returns the path of a data file as storage knows it. */
export function storagePath(file: Pick<AddAction, 'path'>): string {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(file.path) || file.path.startsWith('/')) {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The table names a file outside of its directory: ${file.path}`,
    )
  }
  return decodeURIComponent(file.path)
}

function decodeAction(line: string): JsonObject | undefined {
  try {
    const action: unknown = JSON.parse(line)
    if (!isJsonObject(action)) return undefined
    // Only another application's version can be beyond 2^53 outside of a string.
    return 'txn' in action ? (parseJson(line) as JsonObject) : action
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const knownKeys = ['add', 'remove', 'txn', 'metaData', 'protocol', 'domainMetadata']

/** Some writers state every kind of action on a line and leave the others null. */
function hasKnownKey(action: JsonObject): boolean {
  return knownKeys.some((key) => action[key] != null)
}

/** The schema of a table that states none, because it has no columns. */
export const emptySchema = '{"type":"struct","fields":[]}'

function withSchema(action: JsonObject): JsonObject {
  if (!isJsonObject(action.metaData) || action.metaData.schemaString != null) return action
  return { metaData: { ...action.metaData, schemaString: emptySchema } }
}

/** Checks only what later code relies on. */
function isKnown({ add, remove, txn, metaData, protocol, domainMetadata }: JsonObject): boolean {
  if (isJsonObject(add))
    return typeof add.path === 'string' && isJsonObject(add.partitionValues) && hasKnownVector(add)
  if (isJsonObject(remove)) return typeof remove.path === 'string' && hasKnownVector(remove)
  if (isJsonObject(txn))
    return typeof txn.appId === 'string' && ['number', 'bigint'].includes(typeof txn.version)
  if (isJsonObject(metaData))
    return (
      ['string', 'undefined'].includes(typeof metaData.schemaString) &&
      Array.isArray(metaData.partitionColumns)
    )
  if (isJsonObject(domainMetadata)) return typeof domainMetadata.domain === 'string'
  return isJsonObject(protocol) && typeof protocol.minReaderVersion === 'number'
}

/** A vector that is passed over would bring deleted rows back. */
function hasKnownVector({ deletionVector: vector }: JsonObject): boolean {
  if (vector == null) return true
  return (
    isJsonObject(vector) &&
    typeof vector.storageType === 'string' &&
    typeof vector.pathOrInlineDv === 'string'
  )
}

function corrupt(path: string, line: number): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `Line ${line} of ${path} is no Delta action.`, {
    context: { path, line },
  })
}
