import { type DeltaPipeline, tableLocation } from '../../../config/resolve.ts'
import type { TableName } from '../../../tables/table.ts'
import { withDataFiles } from '../../encoding/data-file-errors.ts'
import { type EmbeddedEngine, sqlIdentifier, sqlString } from '../../encoding/engine.ts'
import { type LiveFile, readTable, type TableColumn, type TableContents } from '../files/live-files.ts'
import { LiveRows, type RowSource, readDeletedRows } from '../files/live-rows.ts'
import { versionAt } from '../log/time-travel.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { locationText } from '../storage/location.ts'

/** Which version of a table is looked at; the newest when neither is given. */
export interface TableMoment {
  readonly version?: number
  /** Milliseconds since the epoch: the newest version of that time. */
  readonly timestampMs?: number
}

/** A table that statements can name, before any of its files is read. */
export interface LakehouseView {
  readonly pipeline: string
  /** The view's name as SQL. */
  readonly view: string
  /** The full name of the empty table that the view reads meanwhile; its columns are `c0`, `c1`, … */
  readonly placeholder: string
  readonly contents: TableContents
  readonly storage: DeltaStorage
}

/**
 * Makes tables views of the engine: under their three-part names, under their own names, and as `pipeline NAME`. A
 * name that two tables share stands for neither of them. Tables that do not exist yet are left out.
 *
 * The views have the tables' columns and no rows until `fillView`.
 *
 * @throws TABLE_VERSION_UNAVAILABLE naming the versions that a table has
 */
export async function createViews(
  engine: EmbeddedEngine,
  pipelines: readonly (readonly [name: string, pipeline: DeltaPipeline])[],
  openStorage: (pipeline: DeltaPipeline) => DeltaStorage,
  moment: TableMoment = {},
): Promise<LakehouseView[]> {
  const owners = new Map<string, Set<string>>()
  for (const [, pipeline] of pipelines) {
    for (const name of namesOf(pipeline.table.name)) {
      owners.set(name, (owners.get(name) ?? new Set()).add(locationText(tableLocation(pipeline))))
    }
  }
  const views: LakehouseView[] = []
  for (const [index, [name, pipeline]] of pipelines.entries()) {
    const storage = openStorage(pipeline)
    const contents = await readMoment(engine, storage, moment)
    if (contents === undefined) continue
    const placeholder = `memory.main.placeholder${index}`
    const view = viewOf(name)
    const columns = contents.columns.map((column, at) => `c${at} ${columnSql(column)}`)
    await engine.run(`CREATE TABLE ${placeholder} (${columns.join(', ')})`)
    const names = contents.columns.map((column, at) => `c${at} AS ${sqlIdentifier(column.name)}`)
    await engine.run(`CREATE VIEW ${view} AS SELECT ${names.join(', ')} FROM ${placeholder}`)
    views.push({ pipeline: name, view, placeholder, contents, storage })

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
  return views
}

/**
 * Gives a view the rows of some of its table's files, and takes its placeholder away.
 *
 * @throws TABLE_TOO_LARGE, TABLE_CORRUPT, TABLE_UNSUPPORTED
 */
export async function fillView(
  engine: EmbeddedEngine,
  { pipeline, view, placeholder, contents, storage }: LakehouseView,
  files: readonly LiveFile[],
): Promise<void> {
  await withDataFiles(async () => {
    const select = await selectLocally(engine, pipeline, contents, files, storage)
    await engine.run(`CREATE OR REPLACE VIEW ${view} AS ${select}`)
  })
  await engine.run(`DROP TABLE ${placeholder}`)
}

/**
 * Makes one pipeline's table a view of the engine, at its newest version, under a name that no table can have.
 *
 * @param name what the view is called after: a pipeline, or several of one table
 * @returns the view's name as SQL, or undefined when there is no table yet
 * @throws TABLE_TOO_LARGE, TABLE_CORRUPT, TABLE_UNSUPPORTED
 */
export async function createPipelineView(
  engine: EmbeddedEngine,
  name: string,
  storage: DeltaStorage,
): Promise<string | undefined> {
  const contents = await readTable(storage, engine)
  if (contents === undefined) return undefined
  const view = viewOf(name)
  await withDataFiles(async () => {
    const select = await selectLocally(engine, name, contents, contents.files, storage)
    await engine.run(`CREATE OR REPLACE VIEW ${view} AS ${select}`)
  })
  return view
}

/**
 * The engine reads local files only: those in Azure are copied, and stay until the download directory goes.
 *
 * @param name of the view: what the engine holds for the one before it goes
 */
async function selectLocally(
  engine: EmbeddedEngine,
  name: string,
  contents: TableContents,
  files: readonly LiveFile[],
  storage: DeltaStorage,
): Promise<string> {
  const deleted = await readDeletedRows(storage, files)
  const sources = new Map<string, RowSource>()
  await Promise.all(
    files.map(async ({ path }) => {
      const local = await storage.localFile(path)
      sources.set(path, { path: local.path, deleted: deleted.get(path) })
    }),
  )
  const rows = new LiveRows(engine, `deleted rows of ${name}`)
  await rows.drop()
  return tableSelect(contents, files, (some) => rows.relation(some.map(({ path }) => sources.get(path)!)))
}

async function readMoment(
  engine: EmbeddedEngine,
  storage: DeltaStorage,
  { version, timestampMs }: TableMoment,
): Promise<TableContents | undefined> {
  if (timestampMs === undefined) return readTable(storage, engine, version)
  const then = await versionAt(storage, timestampMs)
  return then === undefined ? undefined : readTable(storage, engine, then)
}

function viewOf(name: string): string {
  return `memory.main.${sqlIdentifier(`pipeline ${name}`)}`
}

/** A table's three-part and its own name, as the engine compares them: whatever their case. */
function namesOf({ catalog, schema, table }: TableName): [full: string, short: string] {
  return [`${catalog}.${schema}.${table}`.toLowerCase(), table.toLowerCase()]
}

/** @returns the engine's type of a column; one that it has no match for is shown as text. */
export function columnSql({ sqlType }: TableColumn): string {
  return sqlType ?? 'VARCHAR'
}

/**
 * SQL of a SELECT of every live row of some files of a table, with the table's columns and types: one branch for each
 * combination of partition values, because these are in the log and not in the files.
 *
 * @param relationOf makes the rows of some of the files a relation, as SQL
 */
export async function tableSelect(
  contents: TableContents,
  files: readonly LiveFile[],
  relationOf: (files: readonly LiveFile[]) => Promise<string>,
): Promise<string> {
  const columns = contents.columns.map(
    (column) => `${sqlIdentifier(column.name)}::${columnSql(column)} AS ${sqlIdentifier(column.name)}`,
  )
  const partitions = new Map<string, LiveFile[]>()
  for (const file of files) {
    const key = JSON.stringify(file.partitionValues)
    const some = partitions.get(key) ?? []
    partitions.set(key, some)
    some.push(file)
  }
  const branches: string[] = []
  for (const some of partitions.values()) branches.push(branchOf(contents, some, await relationOf(some)))
  // The empty branch gives a column that no file has its name and type.
  const empty = contents.columns.map(
    (column) => `NULL::${columnSql(column)} AS ${sqlIdentifier(column.name)}`,
  )
  const all = [`SELECT ${empty.join(', ')} WHERE false`, ...branches]
  return `SELECT ${columns.join(', ')} FROM (${all.join(' UNION ALL BY NAME ')})`
}

function branchOf(
  { columns, partitionColumns }: TableContents,
  files: readonly LiveFile[],
  relation: string,
): string {
  if (partitionColumns.length === 0) return `FROM ${relation}`
  const values = partitionColumns.map((name) => {
    // An empty text stands for NULL as well.
    const value = files[0]?.partitionValues[name] || null
    const column = columns.find((one) => one.name === name)
    const type = column === undefined ? 'VARCHAR' : columnSql(column)
    return `${value === null ? 'NULL' : sqlString(value)}::${type} AS ${sqlIdentifier(name)}`
  })
  // Some writers keep the partition columns in the files too; the log's word counts.
  const excluded = partitionColumns.map((name) => sqlString(name.toLowerCase())).join(', ')
  return `SELECT COLUMNS(name -> lower(name) NOT IN (${excluded})), ${values.join(', ')} FROM ${relation}`
}
