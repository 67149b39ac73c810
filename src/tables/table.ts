import { TailraceError } from '../errors.ts'

/** Types a column can have: those that every Delta reader knows without a table feature. */
export type ColumnType = 'string' | 'long' | 'integer' | 'double' | 'boolean' | 'date' | 'timestamp'

/** One column of a table, wherever its values come from. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** What the column holds, in one sentence: shown in docs and stored in the table. */
  readonly comment: string
}

/** The three-part name of a table. */
export interface TableName {
  readonly catalog: string
  readonly schema: string
  readonly table: string
}

/** How records become rows. */
export interface Projection {
  /**
   * One SELECT that yields every column of the declaration but the provenance columns and `ingest_ts`,
   * and `passThrough`, the names of columns that `source` already has.
   *
   * @param source a SQL relation with the columns `raw` (the row's text, never NULL), `text` (the JSON
   *   object to project, NULL for a rejected row), `reject` and `note` (VARCHAR or NULL), and `is_flat`
   *   (whether `text` is known to hold no nested value; NULL counts as no)
   */
  select(source: string, options: ProjectionOptions): string
}

export interface ProjectionOptions {
  readonly passThrough: readonly string[]
  /**
   * Only the rows of the usual form, which take a much shorter way to the same columns, or only the others.
   * Together they are all rows, each once. Default: all rows, the long way.
   */
  readonly part?: RowsPart
}

/** One of two parts that together are all rows. */
export type RowsPart = 'usual' | 'others'

/** A column by whose values a table's files are kept apart: of type string, integer, long, boolean or date. */
export interface PartitionColumn {
  /** Its name; it is one of the declaration's columns. */
  readonly column: string
  /** SQL (DuckDB's) of its value, from columns that are no partition columns. */
  readonly fromSql: string
}

/** A table, declared once: its schema, what fills it, and how strictly. */
export interface TableDeclaration {
  readonly name: TableName
  /** In the table's order, the partition columns included. */
  readonly columns: readonly Column[]
  /** In the order of the folders. The encoder computes their values; the projection may leave them out. */
  readonly partitionColumns: readonly PartitionColumn[]
  /** Whether a record with a value that does not fit is rejected instead of stored in part. */
  readonly strict: boolean
  readonly projection: Projection
}

/** Columns every table has, which say where a row comes from and how it was read. Filled by the encoder. */
export const provenanceColumns: readonly Column[] = [
  {
    name: 'source_blob',
    type: 'string',
    comment: 'Container and name of the blob, without the account.',
  },
  {
    name: 'source_generation',
    type: 'string',
    comment: 'Creation instant of the blob, which tells apart blobs of one name.',
  },
  { name: 'source_offset', type: 'long', comment: "Offset of the record's first byte in the blob." },
  {
    name: 'source_length',
    type: 'long',
    comment: 'Bytes of the blob this row accounts for, the newline included.',
  },
  {
    name: 'source_index',
    type: 'integer',
    comment: 'Position among the records of one line; 0 unless a line held several.',
  },
  {
    name: 'parse_status',
    type: 'string',
    comment: 'ok, partial (a value did not fit its column) or rejected (no usable JSON object).',
  },
  { name: 'ingest_ts', type: 'timestamp', comment: 'When the row was encoded.' },
]

const tableNamePart = /^[A-Za-z_][A-Za-z0-9_-]{0,127}$/

/**
 * Reads a three-part table name.
 *
 * @throws CONFIG_INVALID when a part is missing or holds anything but letters, digits, `_` and `-`
 */
export function parseTableName(name: string): TableName {
  const [catalog, schema, table, ...rest] = name.split('.')
  if (
    !catalog ||
    !schema ||
    !table ||
    rest.length > 0 ||
    ![catalog, schema, table].every((part) => tableNamePart.test(part))
  ) {
    throw new TailraceError(
      'CONFIG_INVALID',
      `${JSON.stringify(name)} is not a table name of the form catalog.schema.table`,
    )
  }
  return { catalog, schema, table }
}

// Delta allows almost any name with column mapping and few without; what Parquet and SQL both take plainly is this.
const columnName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/**
 * Checks that column names are plain and unique, whatever their case.
 *
 * @throws CONFIG_INVALID that names the column
 */
export function checkColumnNames(columns: readonly Column[]): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    if (!columnName.test(name)) {
      throw new TailraceError(
        'CONFIG_INVALID',
        `${JSON.stringify(name)} is not a column name: use letters, digits and _`,
      )
    }
    if (seen.has(name.toLowerCase())) {
      throw new TailraceError('CONFIG_INVALID', `the column ${JSON.stringify(name)} is declared twice`)
    }
    seen.add(name.toLowerCase())
  }
}

const partitionTypes: readonly ColumnType[] = ['string', 'integer', 'long', 'boolean', 'date']

/** @returns what is wrong with the partition columns of a declaration, or `undefined` */
export function partitionMistake({
  columns,
  partitionColumns,
}: Pick<TableDeclaration, 'columns' | 'partitionColumns'>): string | undefined {
  if (!Array.isArray(partitionColumns)) return 'expected a list of partitionColumns, which may be empty'
  for (const partition of partitionColumns as readonly Partial<PartitionColumn>[]) {
    const { column, fromSql } = partition
    if (typeof column !== 'string' || typeof fromSql !== 'string') {
      return 'expected each of partitionColumns to be { column, fromSql }'
    }
    const declared = columns.find(({ name }) => name === column)
    if (declared === undefined || !partitionTypes.includes(declared.type)) {
      return `expected the partition column ${column} to be a column of type ${partitionTypes.join(', ')}`
    }
    const other = partitionColumns.find(({ column: name }) => new RegExp(`\\b${name}\\b`, 'i').test(fromSql))
    if (other !== undefined) {
      return `expected fromSql of the partition column ${column} to read no partition column; it reads ${other.column}`
    }
  }
  return undefined
}
