import { isTailraceError, TailraceError } from '../../../errors.ts'
import { qualifiedName, quoteName } from '../../../tables/spark-sql.ts'
import {
  type Column,
  type Evolution,
  mayAddColumns,
  type TableDeclaration,
  type TableName,
} from '../../../tables/table.ts'
import type { StatementRow, Warehouse } from '../warehouse/warehouse.ts'
import { WorkspaceCatalog } from './catalog.ts'
import {
  addColumnsSql,
  binaryText,
  comparedColumns,
  createTableSql,
  databricksTypes,
  type TableLayout,
} from './definition.ts'

/** A column in the catalog. */
interface LiveColumn {
  readonly name: string
  /** Upper case. */
  readonly type: string
  readonly isNullable: boolean
}

interface LiveTable {
  /** Such as `MANAGED` or `VIEW`. */
  readonly kind: string
  readonly format: string
  readonly columns: readonly LiveColumn[]
}

export interface PlanTableOptions {
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  /** Whether a missing table is created. */
  readonly create: boolean
  /** Whether missing columns are added. */
  readonly evolve: Evolution
  /** Whether rows were landed in the table before; a missing table is an error then. Asked only of one. */
  readonly hasLanded: () => Promise<boolean>
}

export interface LiveTableOptions extends PlanTableOptions {
  readonly layout: TableLayout
  readonly properties: Readonly<Record<string, string>>
}

/** A table that can take rows, maybe after changes. */
export interface TableThere {
  readonly kind: 'there'
  /** The missing columns. */
  readonly lacks: readonly Column[]
  /** Columns that statements compare, with a collation by which different texts are equal. */
  readonly collated: readonly Column[]
}

/** Comparison of a live table with its declaration. */
export type TableFinding = { readonly kind: 'missing' } | TableThere

/**
 * Compares the live table with the declaration.
 *
 * @throws TABLE_UNSUPPORTED for anything but a Delta table, such as a view or a streaming table
 * @throws TABLE_SCHEMA_MISMATCH listing every column that cannot take the declaration's values
 */
export async function inspectTable({
  warehouse,
  declaration,
}: Pick<PlanTableOptions, 'warehouse' | 'declaration'>): Promise<TableFinding> {
  const { name, columns } = declaration
  const live = await readTable(warehouse, name)
  if (live === undefined) return { kind: 'missing' }
  requireTable(live, name)
  const differences: string[] = []
  const lacks: Column[] = []
  const collated: Column[] = []
  const liveByName = new Map(live.columns.map((column) => [column.name.toLowerCase(), column]))
  for (const column of columns) {
    const found = liveByName.get(column.name.toLowerCase())
    const wanted = databricksTypes[column.type]
    if (found === undefined) lacks.push(column)
    else if (!takes(found.type, wanted, column)) {
      differences.push(`${column.name} is ${found.type}, expected ${wanted}`)
    } else if (!found.isNullable && column.isRequired !== true) {
      differences.push(`${column.name} is NOT NULL, but rows may have no value for it`)
    }
    if (found !== undefined && isCollated(found.type) && comparedColumns.has(column.name))
      collated.push(column)
  }
  const declared = new Set(columns.map((column) => column.name.toLowerCase()))
  for (const { name: other, isNullable } of live.columns) {
    if (!isNullable && !declared.has(other.toLowerCase())) {
      differences.push(`${other} is NOT NULL and not in the declaration, so that no row can be added`)
    }
  }
  if (differences.length > 0) {
    throw new TailraceError(
      'TABLE_SCHEMA_MISMATCH',
      `The table ${qualifiedName(name)} differs from the declaration: ${differences.join('; ')}.`,
    )
  }
  return { kind: 'there', lacks, collated }
}

/** What a run has to do with the table before it loads rows. */
export type TablePlan = { readonly kind: 'create' } | TableThere

/**
 * Determines what a run has to do with the table before it loads rows.
 *
 * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, TABLE_MISSING, WAREHOUSE_DENIED when it could not load rows
 */
export async function planTable(options: PlanTableOptions): Promise<TablePlan> {
  const { warehouse, declaration, create, evolve, hasLanded } = options
  const name = qualifiedName(declaration.name)
  await new WorkspaceCatalog(warehouse).requireSchema(declaration.name)
  const found = await inspectTable(options)
  if (found.kind === 'missing') {
    if (await hasLanded()) {
      throw new TailraceError(
        'TABLE_MISSING',
        `The principal cannot see the table ${name}, although blobs were landed in it before: grant SELECT and MODIFY on it, or restore it by UNDROP TABLE.`,
      )
    }
    if (create) return { kind: 'create' }
    throw new TailraceError(
      'TABLE_SCHEMA_MISMATCH',
      `The principal cannot see the table ${name}, and sink.createTable is false: run tailrace tables create, or grant SELECT and MODIFY on it.`,
    )
  }
  if (found.lacks.length > 0 && !mayAddColumns(evolve, found.lacks)) {
    throw new TailraceError(
      'TABLE_SCHEMA_MISMATCH',
      `The table ${name} does not have the columns ${namesOf(found.lacks)}, which \`sink.evolve: true\` would add.`,
    )
  }
  if (found.collated.length > 0 && evolve === false) {
    throw new TailraceError(
      'TABLE_SCHEMA_MISMATCH',
      `Blobs whose names differ in case are one blob for the table ${name}: run ${found.collated.map((column) => binaryCollationSql(declaration.name, column)).join('; ')}`,
    )
  }
  return found
}

/**
 * Creates the table or adds missing columns, if that is necessary and allowed.
 *
 * @throws the errors of `planTable` and of the statements
 */
export async function ensureTable(options: LiveTableOptions): Promise<void> {
  const { warehouse, declaration } = options
  const plan = await planTable(options)
  if (plan.kind === 'create') {
    const sql = createTableSql(declaration, options)
    await warehouse.execute({ label: 'create the table', sql, repeatable: true })
    // Another process may have created it first, with a different schema: compare again.
    await ensureTable({ ...options, create: false })
    return
  }
  for (const column of plan.collated) {
    await warehouse.execute({
      label: 'compare a column by bytes',
      sql: binaryCollationSql(declaration.name, column),
      repeatable: true,
    })
  }
  if (plan.lacks.length === 0) return
  try {
    await warehouse.execute({
      label: 'add columns',
      sql: addColumnsSql(declaration.name, plan.lacks),
      repeatable: false,
    })
  } catch (error) {
    // The columns may exist despite the error: added by this statement after a lost reply, or by another process.
    const { lacks } = await stillThere(options, error)
    if (lacks.length > 0) throw error
  }
}

/**
 * Gives columns of a table the collation by which only equal texts are equal. A table takes the collation of its schema when
 * it is created, unless its columns name one, as those that Tailrace creates do.
 *
 * @param columns names of text columns
 * @returns whether there is such a table
 * @throws TABLE_UNSUPPORTED with the statement for the table's owner
 */
export async function compareByBytes(
  warehouse: Warehouse,
  name: TableName,
  columns: readonly string[],
): Promise<boolean> {
  const live = await readTable(warehouse, name)
  if (live === undefined) return false
  const collated = live.columns.filter(
    (column) => columns.includes(column.name.toLowerCase()) && isCollated(column.type),
  )
  for (const column of collated) {
    const sql = binaryCollationSql(name, column)
    try {
      await warehouse.execute({ label: 'compare a column by bytes', sql, repeatable: true })
    } catch (error) {
      if (!isTailraceError(error) || error.disposition === 'retry') throw error
      throw new TailraceError(
        'TABLE_UNSUPPORTED',
        `Different texts are equal in the column ${column.name} of ${qualifiedName(name)}, which has the type ${column.type}. Its owner has to run ${sql}, or drop the table once every pipeline has landed in another mode.`,
        { cause: error },
      )
    }
  }
  return true
}

/** @returns the names of the columns of a table that exists, in their order */
export async function liveColumnNames(warehouse: Warehouse, name: TableName): Promise<readonly string[]> {
  const live = await readTable(warehouse, name)
  return live?.columns.map((column) => column.name) ?? []
}

/** Types to which a column may have been widened (`ALTER COLUMN … TYPE`): https://docs.databricks.com/delta/type-widening */
const wider: Readonly<Record<string, RegExp>> = {
  INT: /^(?:BIGINT|DOUBLE|DECIMAL\([1-3]\d,0\))$/,
  BIGINT: /^DECIMAL\([23]\d,0\)$/,
}

/** Whether a column can take the declaration's values. */
function takes(type: string, wanted: string, { name }: Column): boolean {
  if (type === wanted || (wanted === 'STRING' && type.startsWith('STRING COLLATE '))) return true
  return wider[wanted]?.test(type) === true && (wanted === 'INT' || !name.startsWith('source_'))
}

/** Whether texts that differ are equal in a column; columns have the default collation of their table and schema. */
function isCollated(type: string): boolean {
  return type.startsWith('STRING COLLATE ') && type !== binaryText
}

function binaryCollationSql(name: TableName, column: Pick<Column, 'name'>): string {
  return `ALTER TABLE ${qualifiedName(name)} ALTER COLUMN ${quoteName(column.name)} TYPE ${binaryText}`
}

function namesOf(columns: readonly Column[]): string {
  return columns.map((column) => column.name).join(', ')
}

async function stillThere(options: PlanTableOptions, error: unknown): Promise<TableThere> {
  if (!isTailraceError(error)) throw error
  const found = await inspectTable(options)
  if (found.kind === 'missing') throw error
  return found
}

/** https://docs.databricks.com/sql/language-manual/information-schema/columns */
async function readTable(
  warehouse: Warehouse,
  { catalog, schema, table }: TableName,
): Promise<LiveTable | undefined> {
  const parameters = { schema: schema.toLowerCase(), table: table.toLowerCase() }
  const from = (view: string): string =>
    `FROM ${quoteName(catalog)}.information_schema.${view} WHERE table_schema = :schema AND table_name = :table`
  const [kind] = await warehouse.execute({
    label: 'find the table',
    sql: `SELECT table_type, data_source_format ${from('tables')}`,
    parameters,
    repeatable: true,
  })
  if (kind === undefined) return undefined
  const columns = await warehouse.execute({
    label: "read the table's columns",
    sql: `SELECT column_name, full_data_type, is_nullable ${from('columns')} ORDER BY ordinal_position`,
    parameters,
    repeatable: true,
  })
  return {
    kind: text(kind, 'table_type').toUpperCase(),
    format: text(kind, 'data_source_format').toUpperCase(),
    columns: columns.map((row) => ({
      name: text(row, 'column_name'),
      type: text(row, 'full_data_type').toUpperCase(),
      isNullable: text(row, 'is_nullable').toUpperCase() !== 'NO',
    })),
  }
}

/** Refuses views and tables that Databricks fills itself: rows can only be loaded into Delta tables. */
function requireTable({ kind, format }: LiveTable, name: TableName): void {
  if (['MANAGED', 'EXTERNAL'].includes(kind) && format === 'DELTA') return
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `${qualifiedName(name)} is a ${kind} of format ${format}: only managed and external Delta tables can be loaded.`,
  )
}

function text(row: StatementRow, column: string): string {
  return String(row[column] ?? '')
}
