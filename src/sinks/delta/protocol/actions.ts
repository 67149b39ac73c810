import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, parseJson, stringifyJson } from '../../../json.ts'

/** The table's reader and writer requirements. */
export interface ProtocolAction {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  readonly readerFeatures?: readonly string[] | undefined
  readonly writerFeatures?: readonly string[] | undefined
}

/** The table's schema and properties. */
export interface MetaDataAction {
  readonly id: string
  readonly format: {
    readonly provider: string
    readonly options?: Readonly<Record<string, string>> | undefined
  }
  /** JSON text, kept unchanged. */
  readonly schemaString: string
  readonly partitionColumns: readonly string[]
  readonly configuration?: Readonly<Record<string, string>> | undefined
  /** Milliseconds since the epoch. */
  readonly createdTime?: number | undefined
  readonly name?: string | undefined
  readonly description?: string | undefined
}

/** The progress of one application. Tailrace has one per blob generation, with the landed end offset as its version. */
export interface TransactionAction {
  readonly appId: string
  /** `bigint` only for another application's number beyond 2^53. */
  readonly version: number | bigint
  /** Milliseconds since the epoch. */
  readonly lastUpdated?: number | undefined
}

/** Settings of one feature or application. */
export interface DomainMetadataAction {
  readonly domain: string
  /** Text in a format that only the domain's owner knows. */
  readonly configuration: string
  /** True when the action deletes the domain; checkpoints omit such domains. */
  readonly removed: boolean
}

/** Values of the partition columns as text; null is the NULL partition. */
export type PartitionValues = Readonly<Record<string, string | null>>

/** A data file that is part of the table. */
export interface AddAction {
  /** URI-encoded, relative to the table's root. Every action about the file uses the same text. */
  readonly path: string
  readonly partitionValues: PartitionValues
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly modificationTime: number
  readonly dataChange: boolean
  /** JSON text, kept unchanged because its numbers can exceed JavaScript's precision. */
  readonly stats?: string | undefined
  readonly deletionVector?: DeletionVector | undefined
}

/** The deleted rows of a data file. Only other writers create these. */
export interface DeletionVector {
  /** `u` for a file named by a UUID, `p` for one with an absolute path, `i` for a text in the log. */
  readonly storageType: string
  readonly pathOrInlineDv: string
  /** Byte offset in its file, where its length prefix starts. */
  readonly offset?: number | undefined
  /** Size without the length prefix and the checksum in its file. */
  readonly sizeInBytes: number
  /** Number of deleted rows. */
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
  readonly deletionVector?: DeletionVector | undefined
}

/** A file that is no longer part of a table. */
export type RemovedFile = Pick<RemoveAction, 'path' | 'deletionTimestamp' | 'deletionVector'>

/** Describes a commit: who made it, when, and with which operation. */
export interface CommitInfoAction {
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly operation: string
  readonly operationParameters: Readonly<Record<string, string>>
  readonly readVersion?: number | undefined
  readonly isolationLevel?: 'Serializable' | undefined
  readonly isBlindAppend: boolean
  readonly operationMetrics?: Readonly<Record<string, string>> | undefined
  readonly engineInfo: string
  /** Milliseconds since the epoch, increasing with the version. Only in tables with in-commit timestamps. */
  readonly inCommitTimestamp?: number | undefined
  /** The same in all attempts of one logical commit, so that a commit can be recognized after a lost reply. */
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

/** A commit as read from the log, without actions of unknown kinds, which the protocol says to ignore. */
export interface DeltaCommit {
  readonly version: number
  readonly txnId?: string | undefined
  /** Milliseconds since the epoch. */
  readonly inCommitTimestamp?: number | undefined
  readonly actions: readonly DeltaAction[]
}

/** @returns the path of a version's commit file, relative to the table's root. */
export function commitPath(version: number): string {
  return `_delta_log/${String(version).padStart(20, '0')}.json`
}

/** @returns the error of a version whose commit file is missing. */
export function missingCommitError(version: number): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `${commitPath(version)} is missing.`, { context: { version } })
}

/** @returns the bytes of a commit file: one action per line, integers without rounding. */
export function encodeActions(actions: readonly DeltaAction[]): Buffer {
  const lines = actions.map((action) => `${stringifyJson(action as unknown as JsonObject)}\n`)
  return Buffer.from(lines.join(''), 'utf8')
}

/**
 * Parses the bytes of a commit file.
 *
 * @throws TABLE_CORRUPT naming the file when a line is not an action, for instance after a torn write
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
    txnId: typeof txnId === 'string' ? txnId : undefined,
    inCommitTimestamp: typeof inCommitTimestamp === 'number' ? inCommitTimestamp : undefined,
  }
}

/**
 * Parses a file with one JSON object per line.
 *
 * @throws TABLE_CORRUPT naming the file when a line is not a JSON object, or when the file is empty
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

/** @returns the key of a file among the live ones: its path, and its deletion vector if it has one. */
export function fileKey(file: Pick<AddAction, 'path' | 'deletionVector'>): string {
  const vector = file.deletionVector
  return vector
    ? `${file.path}\n${vector.storageType}${vector.pathOrInlineDv}@${vector.offset ?? ''}`
    : file.path
}

/** @returns the action that removes a live file from the table, with its deletion vector if it has one. */
export function removalOf(file: AddAction, deletionTimestamp: number, dataChange: boolean): RemoveAction {
  const { path, partitionValues, size, deletionVector } = file
  return {
    path,
    deletionTimestamp,
    dataChange,
    extendedFileMetadata: true,
    partitionValues,
    size,
    deletionVector,
  }
}

/**
 * @returns the decoded path of a data file, relative to the table's root
 * @throws TABLE_UNSUPPORTED when the file is outside of the table's directory
 */
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
    // Only `txn.version`, set by another application, can be a number beyond 2^53; only then is exact parsing needed.
    return 'txn' in action ? (parseJson(line) as JsonObject) : action
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const knownKeys = ['add', 'remove', 'txn', 'metaData', 'protocol', 'domainMetadata']

/** Compares with null, because some writers write all kinds of action as keys of every line. */
function hasKnownKey(action: JsonObject): boolean {
  return knownKeys.some((key) => action[key] != null)
}

/** The schema of a table without a `schemaString`, which some writers omit when there are no columns. */
export const emptySchema = '{"type":"struct","fields":[]}'

function withSchema(action: JsonObject): JsonObject {
  if (!isJsonObject(action.metaData) || action.metaData.schemaString != null) return action
  return { metaData: { ...action.metaData, schemaString: emptySchema } }
}

/** Checks only the fields that later code relies on. */
function isKnown({ add, remove, txn, metaData, protocol, domainMetadata }: JsonObject): boolean {
  if (isJsonObject(add)) return isAddAction(add)
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

/** @returns whether JSON has the fields of an add action that later code relies on */
export function isAddAction(
  add: Readonly<Record<string, unknown>>,
): add is Readonly<Record<string, unknown>> & AddAction {
  return typeof add.path === 'string' && isJsonObject(add.partitionValues) && hasKnownVector(add)
}

/** Rejects a malformed vector: ignoring it would bring deleted rows back. */
function hasKnownVector({ deletionVector: vector }: { readonly deletionVector?: unknown }): boolean {
  if (vector == null) return true
  return (
    isJsonObject(vector) &&
    typeof vector.storageType === 'string' &&
    typeof vector.pathOrInlineDv === 'string'
  )
}

function corrupt(path: string, line: number): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `Line ${line} of ${path} is not a Delta action.`, {
    context: { path, line },
  })
}
