import type { TableName } from '../../../tables/table.ts'
import { withDataFiles } from '../../encoding/data-file-errors.ts'
import { type EmbeddedEngine, filePathSql, sqlIdentifier, sqlString } from '../../encoding/engine.ts'
import type { LiveFile, TableColumn, TableContents } from '../files/live-files.ts'
import { LiveRows, readDeletedRows } from '../files/live-rows.ts'
import type { DeltaTarget } from '../options.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { locationText, tableLocation } from '../storage/location.ts'
import { FileSchemas, fileIndex } from './file-schemas.ts'
import { readTable } from './read-table.ts'
import { type SetMember, SetViews } from './view-sets.ts'

/** Names that the engine keeps for itself; a table of such a catalog has its other names only. */
const reservedCatalogs: ReadonlySet<string> = new Set(['main', 'memory', 'system', 'temp'])

/** A table that statements can name; none of its files has been read yet. */
export interface LakehouseView {
  readonly pipeline: string
  /** The view's name as SQL. */
  readonly view: string
  /** The full name of the empty table that the view reads until `fillView`; its columns are `c0`, `c1`, … */
  readonly placeholder: string
  readonly contents: TableContents
  readonly storage: DeltaStorage
  /** The columns of its files that are known. */
  readonly schemas: FileSchemas
}

/** A table of a target, as it was read. */
export type ReadTable = Pick<LakehouseView, 'storage' | 'contents' | 'schemas'>

/**
 * Creates views of the pipelines' tables in the engine: under their three-part names, their short names, and
 * `pipeline NAME`. A name shared by two tables gets no view. Tables that do not exist yet are left out.
 *
 * The views have the tables' columns, and no rows until `fillView`.
 */
export async function createViews(
  engine: EmbeddedEngine,
  targets: readonly DeltaTarget[],
  read: (target: DeltaTarget) => Promise<ReadTable | undefined>,
): Promise<{
  readonly views: LakehouseView[]
  readonly members: readonly SetMember[]
  /** The views of the tables' sets. */
  readonly setViews: SetViews
}> {
  const owners = new Map<string, Set<string>>()
  for (const target of targets) {
    for (const name of namesOf(target.table.name)) {
      owners.set(name, (owners.get(name) ?? new Set()).add(locationText(tableLocation(target))))
    }
  }
  const views: LakehouseView[] = []
  const members: SetMember[] = []
  const seen = new Set<string>()
  for (const [index, target] of targets.entries()) {
    const { name } = target
    const found = await read(target)
    if (found === undefined) continue
    const { contents } = found
    const placeholder = `memory.main.placeholder${index}`
    const view = viewOf(name)
    const columns = contents.columns.map((column, at) => `c${at} ${columnSql(column)}`)
    await engine.run(`CREATE TABLE ${placeholder} (${columns.join(', ')})`)
    const names = contents.columns.map((column, at) => `c${at} AS ${sqlIdentifier(column.name)}`)
    await engine.run(`CREATE VIEW ${view} AS SELECT ${names.join(', ')} FROM ${placeholder}`)
    views.push({ ...found, pipeline: name, view, placeholder })

    const { catalog, schema, table } = target.table.name
    const [full, short] = namesOf(target.table.name).map((one) => owners.get(one)?.size === 1)
    if (full && !reservedCatalogs.has(catalog.toLowerCase())) {
      const place = `${sqlIdentifier(catalog)}.${sqlIdentifier(schema)}`
      await engine.run(`ATTACH IF NOT EXISTS ':memory:' AS ${sqlIdentifier(catalog)}`)
      await engine.run(`CREATE SCHEMA IF NOT EXISTS ${place}`)
      await engine.run(`CREATE OR REPLACE VIEW ${place}.${sqlIdentifier(table)} AS FROM ${view}`)
    }
    if (short) await engine.run(`CREATE OR REPLACE VIEW ${sqlIdentifier(table)} AS FROM ${view}`)
    const location = locationText(tableLocation(target))
    // Two pipelines may land in one table, whose rows count once.
    if (target.table.views !== undefined && !seen.has(location)) {
      seen.add(location)
      members.push({ pipeline: name, set: target.table.views, columns: target.table.columns, view })
    }
  }
  return { views, members, setViews: await SetViews.open(engine, members, hidingNames(targets)) }
}

/** Names of tables, in lower case, that hide views. A set's own table may be named as their relation, which has its rows. */
function hidingNames(targets: readonly DeltaTarget[]): ReadonlySet<string> {
  return new Set(
    targets.flatMap(({ table: { name, views } }) => {
      const table = name.table.toLowerCase()
      return table === views?.relation ? [] : [table]
    }),
  )
}

/**
 * Replaces a view by one with the rows of the given files, and drops its placeholder.
 *
 * @throws TABLE_TOO_LARGE, TABLE_CORRUPT, TABLE_UNSUPPORTED
 */
export async function fillView(
  engine: EmbeddedEngine,
  lakehouseView: LakehouseView,
  files: readonly LiveFile[],
): Promise<void> {
  const { pipeline, view, placeholder } = lakehouseView
  await withDataFiles(async () => {
    const select = await selectLocally(engine, pipeline, lakehouseView, files)
    await engine.run(`CREATE OR REPLACE VIEW ${view} AS ${select}`)
  })
  await engine.run(`DROP TABLE ${placeholder}`)
}

/**
 * Creates a view of one pipeline's table at its newest version, under a name that no table can have.
 *
 * @param name part of the view's name: a pipeline, or several pipelines of one table
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
    const table = { contents, storage, schemas: new FileSchemas() }
    const select = await selectLocally(engine, name, table, contents.files)
    await engine.run(`CREATE OR REPLACE VIEW ${view} AS ${select}`)
  })
  return view
}

/**
 * Makes the SELECT of a view, with the table's columns and types. The engine reads local files only: those in Azure are
 * copied, and the copies stay until the download directory is removed.
 *
 * @param name the view's; drops the deleted rows held for its previous SELECT
 */
async function selectLocally(
  engine: EmbeddedEngine,
  name: string,
  { contents, storage, schemas }: Pick<LakehouseView, 'contents' | 'storage' | 'schemas'>,
  files: readonly LiveFile[],
): Promise<string> {
  const deleted = await readDeletedRows(storage, files)
  const local = await Promise.all(
    files.map(async (file) => ({ file, path: (await storage.localFile(file.path)).path })),
  )
  const rows = new LiveRows(engine, `deleted rows of ${name}`)
  await rows.drop()
  const branches: string[] = []
  const isMarked = ({ file }: LocalFile): boolean => (deleted.get(file.path)?.count ?? 0) > 0
  const { alike, others } = await schemas.groups(
    engine,
    local.filter((one) => !isMarked(one)),
  )
  for (const some of alike) branches.push(indexedBranch(contents, some))
  const byPartition = [...others, ...local.filter(isMarked)]
  for (const some of groupedByPartition(byPartition)) {
    const sources = some.map(({ file, path }) => ({ path, deleted: deleted.get(file.path) }))
    branches.push(partitionBranch(contents, some[0]!.file, await rows.relation(sources)))
  }
  // The empty branch defines name and type of columns that no file has.
  const empty = contents.columns.map(
    (column) => `NULL::${columnSql(column)} AS ${sqlIdentifier(column.name)}`,
  )
  const columns = contents.columns.map(
    (column) => `${sqlIdentifier(column.name)}::${columnSql(column)} AS ${sqlIdentifier(column.name)}`,
  )
  const all = [`SELECT ${empty.join(', ')} WHERE false`, ...branches]
  return `SELECT ${columns.join(', ')} FROM (${all.join(' UNION ALL BY NAME ')})`
}

/** @returns the full name of the view of a pipeline's table */
export function viewOf(name: string): string {
  return `memory.main.${sqlIdentifier(`pipeline ${name}`)}`
}

/** A table's three-part name and short name in lower case, because the engine's names are case-insensitive. */
function namesOf({ catalog, schema, table }: TableName): [full: string, short: string] {
  return [`${catalog}.${schema}.${table}`.toLowerCase(), table.toLowerCase()]
}

/** @returns the engine's type of a column; text for a type that the engine does not have. */
export function columnSql({ sqlType }: TableColumn): string {
  return sqlType ?? 'VARCHAR'
}

/** A data file and its place on this machine. */
interface LocalFile {
  readonly file: LiveFile
  readonly path: string
}

function groupedByPartition(files: readonly LocalFile[]): readonly LocalFile[][] {
  const partitions = new Map<string, LocalFile[]>()
  for (const one of files) {
    const key = JSON.stringify(one.file.partitionValues)
    partitions.set(key, [...(partitions.get(key) ?? []), one])
  }
  return [...partitions.values()]
}

/** SQL of the rows of files with the same columns; partition values, which the log has, are found by the file's index. */
function indexedBranch(contents: TableContents, files: readonly LocalFile[]): string {
  const scan = `read_parquet([${files.map(({ path }) => filePathSql(path)).join(', ')}], hive_partitioning = false)`
  const partitionValue = (name: string): string => {
    const values = files.map(({ file }) => partitionValueSql(file, name))
    return new Set(values).size === 1 ? values[0]! : `([${values.join(', ')}])[${fileIndex}::BIGINT + 1]`
  }
  return branchOf(contents, scan, partitionValue)
}

/** SQL of the rows of files of one partition. */
function partitionBranch(contents: TableContents, file: LiveFile, relation: string): string {
  return branchOf(contents, relation, (name) => partitionValueSql(file, name))
}

/** @returns the value of a partition column as text */
function partitionValueSql({ partitionValues }: LiveFile, name: string): string {
  // An empty text means NULL, too.
  const value = partitionValues[name] || null
  return `${value === null ? 'NULL' : sqlString(value)}::VARCHAR`
}

function branchOf(
  { columns, partitionColumns }: TableContents,
  relation: string,
  partitionValue: (partitionColumn: string) => string,
): string {
  if (partitionColumns.length === 0) return `FROM ${relation}`
  const values = partitionColumns.map((name) => {
    const column = columns.find((one) => one.name === name)
    const type = column === undefined ? 'VARCHAR' : columnSql(column)
    return `${partitionValue(name)}::${type} AS ${sqlIdentifier(name)}`
  })
  // Some writers store partition columns in the files as well; the log's values take precedence.
  const excluded = partitionColumns.map((name) => sqlString(name.toLowerCase())).join(', ')
  return `SELECT COLUMNS(name -> lower(name) NOT IN (${excluded})), ${values.join(', ')} FROM ${relation}`
}
