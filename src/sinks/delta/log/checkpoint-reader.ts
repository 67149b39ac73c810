import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import { type EmbeddedEngine, parquetSql } from '../../encoding/engine.ts'
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
import { Transactions } from './offsets.ts'
import type { CheckpointContent, KeptOptions } from './state.ts'

/** The fields read for each kind of action. The first field of a kind is required, so it marks the kind's rows. */
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
  txn: ['appId', 'version', 'lastUpdated'],
  domainMetadata: ['domain', 'configuration', 'removed'],
  sidecar: ['path'],
  add: ['path', 'partitionValues', 'size', 'modificationTime', 'stats', 'deletionVector'],
  remove: ['path', 'deletionTimestamp', 'deletionVector'],
} as const

type ActionName = keyof typeof wantedFields

/**
 * Passes every action of one kind to `onAction`, one at a time.
 *
 * @param excludedFields fields that may be left out to save reading them
 */
type ActionSource = (
  name: ActionName,
  onAction: (action: JsonObject) => void,
  excludedFields?: readonly string[],
) => Promise<void>

/** @returns the path of a version's classic checkpoint, relative to the table's root. */
export function checkpointPath(version: number): string {
  return `_delta_log/${String(version).padStart(20, '0')}.checkpoint.parquet`
}

/**
 * Reads a checkpoint of any layout: single-file or multi-part, V1 or V2, with or without sidecars, Parquet or JSON.
 *
 * @param options how much of the file list to read; without it, most of the checkpoint is skipped
 * @throws TABLE_CORRUPT when it cannot be read, or has no protocol or no metadata
 */
export async function readCheckpoint(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  options: KeptOptions,
): Promise<CheckpointContent> {
  return withActions(storage, engine, checkpoint, async (actions) => {
    const [protocol] = await collect(actions, 'protocol', protocolAction)
    const [metaData] = await collect(actions, 'metaData', metaDataAction)
    if (protocol === undefined || metaData === undefined) throw corrupt(checkpoint, undefined)
    return {
      version: checkpoint.version,
      protocol,
      metaData,
      transactions: await readTransactions(actions),
      domains: (await collect(actions, 'domainMetadata', domainAction)).filter(({ removed }) => !removed),
      ...(await readFileActions(storage, engine, checkpoint, actions, options)),
    }
  })
}

/** @returns the paths of a checkpoint's sidecars, which hold its file actions, relative to the table's root. */
export async function sidecarPaths(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
): Promise<string[]> {
  return withActions(storage, engine, checkpoint, (actions) => collect(actions, 'sidecar', sidecarPath))
}

async function collect<T>(
  actions: ActionSource,
  name: ActionName,
  parse: (action: JsonObject) => T,
  excludedFields?: readonly string[],
): Promise<T[]> {
  const list: T[] = []
  await actions(name, (action) => list.push(parse(action)), excludedFields)
  return list
}

/**
 * Adds the actions one by one to the compact form, because there may be millions.
 *
 * All offsets of a checkpoint count, whatever the instant of the archive that it names. Another writer may have kept some
 * that are in the archive as well; they are the same there.
 */
async function readTransactions(actions: ActionSource): Promise<Transactions> {
  const transactions = new Transactions()
  await actions('txn', ({ appId, version, lastUpdated }) => {
    transactions.set({
      appId: String(appId),
      version: exact(version),
      lastUpdated: lastUpdated == null ? undefined : Number(lastUpdated),
    })
  })
  return transactions
}

/** The protocol puts file actions either all into the checkpoint itself or all into its sidecars. */
async function readFileActions(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  actions: ActionSource,
  { keepFiles, keepRemoved = false, statistics = true }: KeptOptions,
): Promise<Pick<CheckpointContent, 'files' | 'removed'>> {
  if (!keepFiles && !keepRemoved) return { files: [], removed: [] }
  const read = async (source: ActionSource) => ({
    files: keepFiles ? await collect(source, 'add', addAction, statistics ? [] : ['stats']) : [],
    removed: keepRemoved ? await collect(source, 'remove', removedFile) : [],
  })
  const sidecars = await collect(actions, 'sidecar', sidecarPath)
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
    return use(async (name, onAction) => {
      for (const { [name]: action } of lines) if (isJsonObject(action)) onAction(action)
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

/** Uses a separate connection, because streaming a result needs a transaction. */
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

/** Selects only the columns and fields that the files have, because these differ between writers. */
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

  return async (name, onAction, excludedFields = []) => {
    if (!(await namesOf('*')).has(name)) return
    const present = await namesOf(`unnest("${name}")`)
    const [key, ...others] = wantedFields[name]
    const optional = others.filter((field) => present.has(field) && !excludedFields.includes(field))
    const fields = [key, ...optional].map((field) => `"${name}"."${field}" AS "${field}"`)
    // Some writers store statistics only as typed columns; the row count is taken from there.
    const hasParsedStats = name === 'add' && !excludedFields.includes('stats') && present.has('stats_parsed')
    if (hasParsedStats && (await namesOf('unnest("add".stats_parsed)')).has('numRecords')) {
      fields.push('"add".stats_parsed.numRecords AS "numRecords"')
    }
    const sql = `SELECT ${fields.join(', ')} FROM ${source} WHERE "${name}"."${key}" IS NOT NULL`
    try {
      await engine.stream(sql, async ({ columns, rows }) => {
        for (const row of rows) {
          onAction(Object.fromEntries(columns.map((column, index) => [column, row[index] as JsonValue])))
        }
        return true
      })
    } catch (error) {
      throw corrupt(checkpoint, error)
    }
  }
}

/** Sidecars are always in `_sidecars`. Only the last part of the path is used, because some writers add folders to it. */
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
