import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../json.ts'
import { sqlIdentifier } from '../../../tables/sql.ts'
import { type Column, type ColumnType, type Evolution, mayAddColumns } from '../../../tables/table.ts'
import type { DeltaAction, MetaDataAction } from './actions.ts'

/** One top-level column of a Delta table. */
export interface SchemaField {
  readonly name: string
  /** A primitive's name, or an object for a struct, array or map. */
  readonly type: JsonValue
  readonly nullable: boolean
  readonly metadata: JsonObject
}

/** @returns the `schemaString` of a table with exactly these columns. */
export function schemaString(columns: readonly Column[]): string {
  return JSON.stringify({ type: 'struct', fields: columns.map(newField) })
}

/** @returns a nullable column in the form of a Delta schema. */
function newField({ name, type, comment }: Column): JsonObject {
  return { name, type, nullable: true, metadata: { comment } }
}

/**
 * Parses a table's schema.
 *
 * @throws TABLE_CORRUPT when `schemaString` is not a struct type
 */
export function schemaFields(metaData: MetaDataAction): SchemaField[] {
  const fields = fieldsOf(parsed(metaData.schemaString))
  if (fields === undefined)
    throw new TailraceError('TABLE_CORRUPT', 'The schema of the table cannot be read.')
  return fields
}

/** @returns the fields of a struct type, or undefined for any other type. */
export function fieldsOf(type: JsonValue | undefined): SchemaField[] | undefined {
  if (!isJsonObject(type) || type.type !== 'struct' || !Array.isArray(type.fields)) return undefined
  return type.fields.filter(isJsonObject).map((field) => ({
    name: String(field.name),
    type: field.type ?? null,
    nullable: field.nullable !== false,
    metadata: isJsonObject(field.metadata) ? field.metadata : {},
  }))
}

/**
 * Checks that rows with these columns can be appended: the table has each column with its type, and requires no other.
 *
 * The table may have further nullable columns, and its own order and comments.
 *
 * @param options.evolve whether missing columns are allowed because a commit will add them. Default false
 * @throws TABLE_SCHEMA_MISMATCH naming every difference
 */
export function checkSchema(
  metaData: MetaDataAction,
  columns: readonly Column[],
  partitionColumns: readonly string[],
  options: { readonly evolve?: Evolution | undefined } = {},
): void {
  const fields = new Map(schemaFields(metaData).map((field) => [field.name, field]))
  const byLowerCase = new Map([...fields.keys()].map((name) => [name.toLowerCase(), name]))
  const own = new Set(columns.map(({ name }) => name))
  const missing = columns.filter(({ name }) => !fields.has(name))
  const mayEvolve = mayAddColumns(options.evolve ?? false, missing)
  const differences: string[] = []

  for (const { name, type } of columns) {
    const field = fields.get(name)
    const namesake = byLowerCase.get(name.toLowerCase())
    if (field === undefined && namesake !== undefined)
      differences.push(`column ${name} differs only by case from the table's column ${namesake}`)
    else if (field === undefined) {
      const lack = `column ${name} (${type}) is missing`
      if (isReserved(name, metaData))
        differences.push(`${lack}, and the table's change data feed reserves the name`)
      else if (partitionColumns.includes(name)) differences.push(lack)
      else if (!mayEvolve) differences.push(`${lack}, which \`sink.evolve: true\` would add`)
    } else if (field.type !== type)
      differences.push(`column ${name} is ${typeName(field.type)}, expected ${type}`)
    else if (!field.nullable) differences.push(`column ${name} is NOT NULL`)
  }
  for (const { name, nullable } of fields.values()) {
    if (!own.has(name) && !nullable)
      differences.push(`column ${name} is NOT NULL, and the declaration has no such column`)
  }
  if (metaData.partitionColumns.join('\n') !== partitionColumns.join('\n')) {
    const found = metaData.partitionColumns.join(', ') || 'nothing'
    differences.push(`it is partitioned by ${found}, expected ${partitionColumns.join(', ') || 'nothing'}`)
  }

  if (differences.length === 0) return
  throw new TailraceError(
    'TABLE_SCHEMA_MISMATCH',
    `The table differs from the declaration: ${differences.join('; ')}.`,
    {
      context: { differences: differences.length },
    },
  )
}

/** Names that a change data feed reserves (https://docs.delta.io/latest/delta-change-data-feed.html, read 2026-11). */
const changeFeedColumns: ReadonlySet<string> = new Set([
  '_change_type',
  '_commit_version',
  '_commit_timestamp',
])

function isReserved(name: string, { configuration = {} }: MetaDataAction): boolean {
  return configuration['delta.enableChangeDataFeed'] === 'true' && changeFeedColumns.has(name.toLowerCase())
}

function typeName(type: JsonValue): string {
  return typeof type === 'string' ? type : isJsonObject(type) ? String(type.type) : 'unknown'
}

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return null
  }
}

/**
 * The schema that a commit is prepared for: the table's schema at that time plus the declared columns that it lacks.
 */
export class SchemaPlan {
  /** The schema after the commit. */
  readonly metaData: MetaDataAction
  /** The `metaData` action that adds the missing columns; empty when none is missing. */
  readonly actions: readonly DeltaAction[]
  readonly #base: MetaDataAction
  readonly #columns: readonly Column[]

  /** @param columns the columns of the commit's rows; none for a commit without rows */
  constructor(base: MetaDataAction, columns: readonly Column[]) {
    this.#base = base
    this.#columns = columns
    const missing = missingColumns(base, columns)
    this.metaData = missing.length === 0 ? base : withColumns(base, missing)
    this.actions = missing.length === 0 ? [] : [{ metaData: this.metaData }]
  }

  /**
   * Whether another writer changed the schema so that this commit must be prepared again. A `metaData` action replaces
   * the previous one entirely, so this commit would undo the other's change. Or its rows would have columns that the
   * table no longer has.
   */
  isOutdatedBy(current: MetaDataAction): boolean {
    if (current === this.#base) return false
    return this.actions.length > 0 || missingColumns(current, this.#columns).length > 0
  }
}

function missingColumns(metaData: MetaDataAction, columns: readonly Column[]): Column[] {
  const known = new Set(schemaFields(metaData).map(({ name }) => name))
  return columns.filter(({ name }) => !known.has(name))
}

/** Adds columns and keeps everything else unchanged: the id, the properties, and every field's metadata. */
function withColumns(metaData: MetaDataAction, columns: readonly Column[]): MetaDataAction {
  const schema = parseJson(metaData.schemaString)
  if (!isJsonObject(schema) || !Array.isArray(schema.fields)) {
    throw new TailraceError('TABLE_CORRUPT', 'The schema of the table cannot be read.')
  }
  const { provider, options = {} } = metaData.format
  return {
    ...metaData,
    // Other readers require `options` and `configuration`, which another writer's metadata may lack.
    format: { provider, options },
    configuration: metaData.configuration ?? {},
    schemaString: stringifyJson({ ...schema, fields: [...schema.fields, ...columns.map(newField)] }),
  }
}

const primitiveTypes: Readonly<Record<string, string>> = {
  string: 'VARCHAR',
  long: 'BIGINT',
  integer: 'INTEGER',
  short: 'SMALLINT',
  byte: 'TINYINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  binary: 'BLOB',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
  timestamp_ntz: 'TIMESTAMP',
}

/** @returns the engine's type for a type of a Delta schema; undefined when it has none. */
export function sqlType(type: JsonValue | undefined): string | undefined {
  if (typeof type === 'string') {
    return primitiveTypes[type] ?? /^decimal\(\s*\d+\s*,\s*\d+\s*\)$/.exec(type)?.[0]
  }
  if (!isJsonObject(type)) return undefined
  const [element, key, value] = [type.elementType, type.keyType, type.valueType].map(sqlType)
  if (type.type === 'array' && element !== undefined) return `${element}[]`
  if (type.type === 'map' && key !== undefined && value !== undefined) return `MAP(${key}, ${value})`
  const fields = fieldsOf(type)?.map(
    ({ name, type: inner }) => [sqlIdentifier(name), sqlType(inner)] as const,
  )
  if (fields === undefined || fields.length === 0) return undefined
  if (fields.some(([, inner]) => inner === undefined)) return undefined
  return `STRUCT(${fields.map((field) => field.join(' ')).join(', ')})`
}

/**
 * @returns SQL that casts a column to the table's type, because a file may store it in an equivalent type, such as the
 * 96-bit timestamps of old writers
 * @throws TABLE_UNSUPPORTED naming the column when this program does not write its type
 */
export function columnCast({ name, type }: Pick<SchemaField, 'name' | 'type'>): string {
  const castType = sqlType(type)
  if (castType === undefined) {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The column ${name} has the type ${JSON.stringify(type)}, which this program does not write.`,
    )
  }
  return `CAST(${sqlIdentifier(name)} AS ${castType}) AS ${sqlIdentifier(name)}`
}

/** A column whose statistics are written to the log. */
export interface IndexedColumn {
  readonly name: string
  readonly type: ColumnType
}

/** Delta's default for `delta.dataSkippingNumIndexedCols`. */
const defaultIndexedColumns = 32

/** The types that can have statistics. */
const indexedTypes: ReadonlySet<unknown> = new Set([
  'string',
  'long',
  'integer',
  'double',
  'date',
  'timestamp',
  'boolean',
])

/**
 * Lists the columns whose statistics readers expect: the first 32 leaf columns, or those set by the table's properties.
 * Partition columns are not among them, because every file's partition values are in the log.
 */
export function indexedColumns(metaData: MetaDataAction): IndexedColumn[] {
  const { configuration = {}, partitionColumns } = metaData
  const named = configuration['delta.dataSkippingStatsColumns']
    ?.split(',')
    .map((name) => name.trim().replaceAll('`', ''))
  const limit = Number(configuration['delta.dataSkippingNumIndexedCols'] ?? defaultIndexedColumns)
  const indexed: IndexedColumn[] = []
  let leaves = 0
  for (const { name, type } of schemaFields(metaData)) {
    if (partitionColumns.includes(name)) continue
    const included = named ? named.includes(name) : limit === -1 || leaves < limit
    leaves += leafCount(type)
    if (included && indexedTypes.has(type)) indexed.push({ name, type: type as ColumnType })
  }
  return indexed
}

function leafCount(type: JsonValue): number {
  const fields = isJsonObject(type) ? fieldsOf(type) : undefined
  return fields === undefined ? 1 : fields.reduce((sum, field) => sum + leafCount(field.type), 0)
}
