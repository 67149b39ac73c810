import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import { type EmbeddedEngine, parquetSql } from '../../encoding/engine.ts'
import { Transactions } from '../offsets.ts'
import { decodeLines } from '../protocol/actions.ts'
import type { DeltaStorage, LocalFile } from '../storage/delta-storage.ts'
import {
  addAction,
  domainAction,
  exact,
  metaDataAction,
  protocolAction,
  removedFile,
} from './checkpoint-actions.ts'
import type { CheckpointFiles } from './listing.ts'
import type { CheckpointContent, KeptOptions } from './state.ts'

/** The fields that are read of each kind of action; the first one is there in every action of its kind. */
const wantedFields = {
  protocol: ['minReaderVersion', 'minWriterVersion', 'readerFeatures', 'writerFeatures'],
  metaData: [
    'id',
    'schemaString',
    'name',
    'description',
    'format',
    'partitionColumns',
    'createdTime',
    'configuration',
  ],
  txn: ['appId', 'version'],
  domainMetadata: ['domain', 'configuration', 'removed'],
  sidecar: ['path'],
  add: ['path', 'partitionValues', 'size', 'modificationTime', 'stats', 'deletionVector'],
  remove: ['path', 'deletionTimestamp', 'deletionVector'],
} as const

type ActionName = keyof typeof wantedFields

/** Hands on the actions of one kind, one at a time, from a file in either format. */
type ActionSource = (
  name: ActionName,
  take: (action: JsonObject) => void,
  without?: readonly string[],
) => Promise<void>

/** @returns the path of a version's classic checkpoint, relative to the table's root. */
export function checkpointPath(version: number): string {
  return `_delta_log/${String(version).padStart(20, '0')}.checkpoint.parquet`
}

/**
 * Reads a checkpoint of any kind: in one file or in parts, of the first or the second version, with sidecars or
 * without, Parquet or JSON.
 *
 * @param options what is wanted of the files; leaving it out saves reading most of it
 * @throws TABLE_CORRUPT when it cannot be read or lacks what every checkpoint has
 */
export async function readCheckpoint(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  options: KeptOptions,
): Promise<CheckpointContent> {
  return withActions(storage, engine, checkpoint, async (actions) => {
    const [protocol] = await listOf(actions, 'protocol', protocolAction)
    const [metaData] = await listOf(actions, 'metaData', metaDataAction)
    if (protocol === undefined || metaData === undefined) throw corrupt(checkpoint, undefined)
    return {
      version: checkpoint.version,
      protocol,
      metaData,
      transactions: await transactionsOf(actions),
      domains: (await listOf(actions, 'domainMetadata', domainAction)).filter(({ removed }) => !removed),
      ...(await fileActions(storage, engine, checkpoint, actions, options)),
    }
  })
}

/** @returns the paths of the files that a checkpoint keeps its file actions in, relative to the table's root. */
export async function sidecarPaths(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
): Promise<string[]> {
  return withActions(storage, engine, checkpoint, async (actions) => listOf(actions, 'sidecar', sidecarPath))
}

async function listOf<T>(
  actions: ActionSource,
  name: ActionName,
  read: (action: JsonObject) => T,
  without?: readonly string[],
): Promise<T[]> {
  const list: T[] = []
  await actions(name, (action) => list.push(read(action)), without)
  return list
}

/** Only what is kept of them is in memory: there is one for each blob that ever landed. */
async function transactionsOf(actions: ActionSource): Promise<Transactions> {
  const transactions = new Transactions()
  await actions('txn', ({ appId, version }) => {
    transactions.set({ appId: String(appId), version: exact(version) })
  })
  return transactions
}

/** File actions are all here or all in the sidecars. */
async function fileActions(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  actions: ActionSource,
  { keepFiles, keepRemoved = false, statistics = true }: KeptOptions,
): Promise<Pick<CheckpointContent, 'files' | 'removed'>> {
  if (!keepFiles && !keepRemoved) return { files: [], removed: [] }
  const read = async (source: ActionSource) => ({
    files: keepFiles ? await listOf(source, 'add', addAction, statistics ? [] : ['stats']) : [],
    removed: keepRemoved ? await listOf(source, 'remove', removedFile) : [],
  })
  const sidecars = await listOf(actions, 'sidecar', sidecarPath)
  if (sidecars.length === 0) return read(actions)
  return withLocalFiles(storage, sidecars, (paths) => withParquet(engine, checkpoint, paths, read))
}

async function withActions<T>(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  use: (actions: ActionSource) => Promise<T>,
): Promise<T> {
  const paths = checkpoint.names.map((name) => `_delta_log/${name}`)
  if (checkpoint.format === 'json') {
    const bytes = await storage.read(paths[0]!)
    if (bytes === undefined) throw corrupt(checkpoint, undefined)
    const lines = decodeLines(paths[0]!, bytes)
    return use(async (name, take) => {
      for (const { [name]: action } of lines) if (isJsonObject(action)) take(action)
    })
  }
  return withLocalFiles(storage, paths, (local) => withParquet(engine, checkpoint, local, use))
}

async function withLocalFiles<T>(
  storage: DeltaStorage,
  paths: readonly string[],
  use: (local: readonly string[]) => Promise<T>,
): Promise<T> {
  const files: LocalFile[] = []
  try {
    for (const path of paths) files.push(await storage.localFile(path))
    return await use(files.map(({ path }) => path))
  } finally {
    await Promise.all(files.map((file) => file.release()))
  }
}

/** On a connection of its own: a result that is handed on while it is read takes a transaction. */
async function withParquet<T>(
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  paths: readonly string[],
  use: (actions: ActionSource) => Promise<T>,
): Promise<T> {
  const connection = await engine.connect()
  try {
    return await connection.rolledBack(() => use(parquetActions(connection, checkpoint, paths)))
  } finally {
    await connection.close()
  }
}

/** Columns and fields differ by writer: only those that are there are asked for. */
function parquetActions(
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  paths: readonly string[],
): ActionSource {
  const source = parquetSql(paths)
  const namesOf = async (select: string) => {
    const names = await engine.rows(`DESCRIBE SELECT ${select} FROM ${source}`).catch((error: unknown) => {
      throw corrupt(checkpoint, error)
    })
    return new Set(names.map((row) => row.column_name))
  }

  return async (name, take, without = []) => {
    if (!(await namesOf('*')).has(name)) return
    const present = await namesOf(`unnest("${name}")`)
    const [key, ...others] = wantedFields[name]
    const fields = [key, ...others.filter((field) => present.has(field) && !without.includes(field))].map(
      (field) => `"${name}"."${field}" AS "${field}"`,
    )
    const counted = name === 'add' && !without.includes('stats') && present.has('stats_parsed')
    if (counted && (await namesOf('unnest("add".stats_parsed)')).has('numRecords')) {
      fields.push('"add".stats_parsed.numRecords AS "numRecords"')
    }
    const sql = `SELECT ${fields.join(', ')} FROM ${source} WHERE "${name}"."${key}" IS NOT NULL`
    try {
      await engine.stream(sql, async ({ columns, rows }) => {
        for (const row of rows) {
          take(Object.fromEntries(columns.map((column, index) => [column, row[index] as JsonValue])))
        }
        return true
      })
    } catch (error) {
      throw corrupt(checkpoint, error)
    }
  }
}

/** Sidecars are always in their folder, and some writers state more than the name. */
function sidecarPath({ path }: JsonObject): string {
  return `_delta_log/_sidecars/${decodeURIComponent(String(path).split('/').at(-1)!)}`
}

function corrupt(checkpoint: CheckpointFiles, cause: unknown): TailraceError {
  return new TailraceError(
    'TABLE_CORRUPT',
    `The checkpoint _delta_log/${checkpoint.names[0]} cannot be read.`,
    { context: { version: checkpoint.version }, cause },
  )
}
