import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../json.ts'
import type { Column } from '../../../tables/table.ts'
import { sqlIdentifier } from '../../encoding/engine.ts'
import type { DeltaAction, MetaDataAction } from './actions.ts'

/** One top-level column of a Delta table. */
export interface SchemaField {
  readonly name: string
  /** A primitive's name, or an object for a struct, array or map. */
  readonly type: JsonValue
  readonly nullable: boolean
  readonly metadata: JsonObject
}

/** @returns the `schemaString` of a table that has exactly these columns. */
export function schemaString(columns: readonly Column[]): string {
  return JSON.stringify({ type: 'struct', fields: columns.map(newField) })
}

/** @returns a column as the schema of a table states it: it can be NULL. */
export function newField({ name, type, comment }: Column): JsonObject {
  return { name, type, nullable: true, metadata: { comment } }
}

/**
 * Reads a table's schema.
 *
 * @throws TABLE_CORRUPT when it is not one
 */
export function schemaFields(metaData: MetaDataAction): SchemaField[] {
  const fields = fieldsOf(parsed(metaData.schemaString))
  if (fields === undefined)
    throw new TailraceError('TABLE_CORRUPT', 'The schema of the table cannot be read.')
  return fields
}

/** @returns the fields of a struct type, or undefined when the value is no struct type. */
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
 * Checks that rows of `columns` can be appended: each column is there with its type, and nothing else is needed.
 *
 * The table may have more columns that can be NULL, and its own order and comments.
 *
 * @param options.evolve whether a commit will add columns that are missing
 * @throws TABLE_SCHEMA_MISMATCH naming every difference
 */
export function checkSchema(
  metaData: MetaDataAction,
  columns: readonly Column[],
  partitionColumns: readonly string[],
  options: { readonly evolve?: boolean } = {},
): void {
  const fields = new Map(schemaFields(metaData).map((field) => [field.name, field]))
  const byLowerCase = new Map([...fields.keys()].map((name) => [name.toLowerCase(), name]))
  const own = new Set(columns.map(({ name }) => name))
  const differences: string[] = []

  for (const { name, type } of columns) {
    const field = fields.get(name)
    const namesake = byLowerCase.get(name.toLowerCase())
    if (field === undefined && namesake !== undefined)
      differences.push(`column ${name} is there as ${namesake}, which differs only by case`)
    else if (field === undefined) {
      const missing = `column ${name} (${type}) is missing`
      if (isReserved(name, metaData))
        differences.push(`${missing}, and its change data feed reserves the name`)
      else if (partitionColumns.includes(name)) differences.push(missing)
      else if (options.evolve !== true) differences.push(`${missing}, which \`sink.evolve: true\` would add`)
    } else if (field.type !== type)
      differences.push(`column ${name} is ${typeName(field.type)} and not ${type}`)
    else if (!field.nullable) differences.push(`column ${name} is NOT NULL`)
  }
  for (const { name, nullable } of fields.values()) {
    if (!own.has(name) && !nullable) differences.push(`column ${name} is NOT NULL and has no source`)
  }
  if (metaData.partitionColumns.join('\n') !== partitionColumns.join('\n')) {
    const found = metaData.partitionColumns.join(', ') || 'nothing'
    differences.push(`it is partitioned by ${found} and not by ${partitionColumns.join(', ') || 'nothing'}`)
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

/** https://docs.delta.io/latest/delta-change-data-feed.html, read 2026-11. */
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
 * How a table's schema stood when a commit was planned, and what the commit adds to it: the columns of the
 * declaration that the table lacks.
 */
export class SchemaPlan {
  /** The schema that the commit's rows will be read with. */
  readonly metaData: MetaDataAction
  /** Empty where the table has every column. */
  readonly actions: readonly DeltaAction[]
  readonly #base: MetaDataAction
  readonly #columns: readonly Column[]

  /** @param columns those that the rows of the commit have; none for a commit without rows */
  constructor(base: MetaDataAction, columns: readonly Column[]) {
    this.#base = base
    this.#columns = columns
    const missing = missingColumns(base, columns)
    this.metaData = missing.length === 0 ? base : withColumns(base, missing)
    this.actions = missing.length === 0 ? [] : [{ metaData: this.metaData }]
  }

  /**
   * Whether another writer's schema came first and this commit would undo it, or leave rows with columns that the
   * table does not have: a `metaData` action replaces all of the one before.
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

/** Everything else stays as it was found: the id, the properties, and every field with its own metadata. */
function withColumns(metaData: MetaDataAction, columns: readonly Column[]): MetaDataAction {
  const schema = parseJson(metaData.schemaString)
  if (!isJsonObject(schema) || !Array.isArray(schema.fields)) {
    throw new TailraceError('TABLE_CORRUPT', 'The schema of the table cannot be read.')
  }
  const { provider, options = {} } = metaData.format
  return {
    ...metaData,
    // A checkpoint is read without the options, which other readers insist on.
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

/** @returns the engine's type for a type of a Delta schema; undefined for one that it has no match for. */
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
 * @returns SQL that gives a column the type which the table says it has: a file may state another one that means the
 * same, such as the 96-bit timestamps of old writers
 * @throws TABLE_UNSUPPORTED naming a column of a type that this program does not write
 */
export function columnCast({ name, type }: Pick<SchemaField, 'name' | 'type'>): string {
  const castType = sqlType(type)
  if (castType === undefined) {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The column ${name} is of the type ${JSON.stringify(type)}, which this program does not write.`,
    )
  }
  return `CAST(${sqlIdentifier(name)} AS ${castType}) AS ${sqlIdentifier(name)}`
}
