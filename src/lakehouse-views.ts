import { TailraceError } from './errors.ts'
import { type ResolvedConfig, type ResolvedPipeline, tableLocation } from './resolve-config.ts'
import type { DeltaStorage } from './sinks/delta/delta-storage.ts'
import { type LiveFile, readTable, type TableContents } from './sinks/delta/live-files.ts'
import { locationText } from './sinks/delta/table-location.ts'
import { type EmbeddedEngine, sqlIdentifier, sqlString } from './sinks/duckdb.ts'
import type { TableName } from './tables/table.ts'

/** SQL types of the Delta types that a table of ours can have; others are read as they are in the files. */
const sqlTypes: Readonly<Record<string, string>> = {
  string: 'VARCHAR',
  long: 'BIGINT',
  integer: 'INTEGER',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
}

/**
 * Makes every table of a config a view of the engine, at its newest version: under its three-part name, under its
 * own name, and as `pipeline NAME`. A name that two tables share stands for neither of them. Tables that do not
 * exist yet are left out.
 */
export async function createViews(
  engine: EmbeddedEngine,
  config: ResolvedConfig,
  openStorage: (pipeline: ResolvedPipeline) => DeltaStorage,
): Promise<void> {
  const pipelines = Object.entries(config.pipelines)
  const owners = new Map<string, Set<string>>()
  for (const [, pipeline] of pipelines) {
    for (const name of namesOf(pipeline.table.name)) {
      owners.set(name, (owners.get(name) ?? new Set()).add(locationText(tableLocation(pipeline))))
    }
  }
  for (const [name, pipeline] of pipelines) {
    const view = await createPipelineView(engine, name, openStorage(pipeline))
    if (view === undefined) continue
    const { catalog, schema, table } = pipeline.table.name
    const [full, short] = namesOf(pipeline.table.name).map((one) => owners.get(one)?.size === 1)
    if (full) {
      const place = `${sqlIdentifier(catalog)}.${sqlIdentifier(schema)}`
      await engine.run(`ATTACH IF NOT EXISTS ':memory:' AS ${sqlIdentifier(catalog)}`)
      await engine.run(`CREATE SCHEMA IF NOT EXISTS ${place}`)
      await engine.run(`CREATE OR REPLACE VIEW ${place}.${sqlIdentifier(table)} AS FROM ${view}`)
    }
    if (short) await engine.run(`CREATE OR REPLACE VIEW ${sqlIdentifier(table)} AS FROM ${view}`)
  }
}

/**
 * Makes one pipeline's table a view of the engine, at its newest version, under a name that no table can have.
 *
 * The engine reads local files only: those of a table in Azure are copied first, and stay until the storage's download
 * directory goes.
 *
 * @param name what the view is called after: a pipeline, or several of one table
 * @returns the view's name as SQL, or undefined when there is no table yet
 * @throws TABLE_TOO_LARGE
 */
export async function createPipelineView(
  engine: EmbeddedEngine,
  name: string,
  storage: DeltaStorage,
): Promise<string | undefined> {
  const contents = await readTable(storage, engine)
  if (contents === undefined) return undefined
  const paths = new Map<string, string>()
  await Promise.all(
    contents.files.map(async ({ path }) => void paths.set(path, (await storage.localFile(path)).path)),
  )
  const view = `memory.main.${sqlIdentifier(`pipeline ${name}`)}`
  await engine.run(`CREATE OR REPLACE VIEW ${view} AS ${selectOf(contents, paths)}`)
  return view
}

/** Runs one statement over the views. @throws QUERY_FAILED with the engine's own explanation */
export async function queryViews(
  engine: EmbeddedEngine,
  sql: string,
): Promise<{ readonly columns: string[]; readonly rows: unknown[][] }> {
  try {
    return await engine.table(sql)
  } catch (error) {
    throw new TailraceError('QUERY_FAILED', error instanceof Error ? error.message : String(error), {
      cause: error,
    })
  }
}

/** A table's three-part and its own name, as the engine compares them: whatever their case. */
function namesOf({ catalog, schema, table }: TableName): [full: string, short: string] {
  return [`${catalog}.${schema}.${table}`.toLowerCase(), table.toLowerCase()]
}

/** One branch per partition, because partition values are in the log and not in the files. */
function selectOf(contents: TableContents, paths: ReadonlyMap<string, string>): string {
  const columns = contents.columns.map(({ name }) => sqlIdentifier(name)).join(', ')
  const empty = `SELECT ${contents.columns
    .map(({ name, type }) => `NULL::${sqlTypes[type] ?? 'VARCHAR'} AS ${sqlIdentifier(name)}`)
    .join(', ')} WHERE false`
  const partitions = new Map<string, LiveFile[]>()
  for (const file of contents.files) {
    const key = JSON.stringify(file.partitionValues)
    partitions.set(key, [...(partitions.get(key) ?? []), file])
  }
  const branches = [...partitions.values()].map((files) => {
    const list = files.map(({ path }) => sqlString(paths.get(path) ?? path)).join(', ')
    const values = contents.partitionColumns.map((column) => {
      const value = files[0]?.partitionValues[column] ?? null
      const type = sqlTypes[contents.columns.find(({ name }) => name === column)?.type ?? ''] ?? 'VARCHAR'
      return `${value === null ? 'NULL' : sqlString(value)}::${type} AS ${sqlIdentifier(column)}`
    })
    return `SELECT ${['*', ...values].join(', ')} FROM read_parquet([${list}], hive_partitioning = false, union_by_name = true)`
  })
  // The empty branch gives a column that no file has yet its name and type.
  return `SELECT ${columns} FROM (${[empty, ...branches].join(' UNION ALL BY NAME ')})`
}
