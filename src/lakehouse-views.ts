import { TailraceError } from './errors.ts'
import { type ResolvedConfig, tableDirectory } from './resolve-config.ts'
import { type LiveFile, readTable, type TableContents } from './sinks/delta/live-files.ts'
import { LocalDeltaStorage } from './sinks/delta/local-delta-storage.ts'
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
 * Makes every table of a config a view of the engine, at its newest version, under its own name and under its
 * three-part name. Tables that do not exist yet are left out.
 */
export async function createViews(engine: EmbeddedEngine, config: ResolvedConfig): Promise<void> {
  const created = new Set<string>()
  for (const pipeline of Object.values(config.pipelines)) {
    const directory = tableDirectory(pipeline)
    if (created.has(directory)) continue
    created.add(directory)
    const storage = new LocalDeltaStorage(directory)
    const contents = await readTable(storage, engine)
    if (contents === undefined) continue
    const paths = new Map<string, string>()
    for (const { path } of contents.files) paths.set(path, (await storage.localFile(path)).path)
    await createView(engine, pipeline.table.name, selectOf(contents, paths))
  }
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

async function createView(engine: EmbeddedEngine, name: TableName, select: string): Promise<void> {
  const [catalog, schema, table] = [name.catalog, name.schema, name.table].map(sqlIdentifier)
  await engine.run(`ATTACH IF NOT EXISTS ':memory:' AS ${catalog}`)
  await engine.run(`CREATE SCHEMA IF NOT EXISTS ${catalog}.${schema}`)
  await engine.run(`CREATE OR REPLACE VIEW ${catalog}.${schema}.${table} AS ${select}`)
  await engine.run(`CREATE OR REPLACE VIEW ${table} AS ${select}`)
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
