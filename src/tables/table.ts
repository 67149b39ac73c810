import { TailraceError } from '../errors.ts'
import type { ViewSet } from './views.ts'

/** Column types: those that every Delta reader supports without a table feature. */
export type ColumnType = 'string' | 'long' | 'integer' | 'double' | 'boolean' | 'date' | 'timestamp'

/** One column of a table. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** A description in one sentence, shown in docs and stored in the table. */
  readonly comment: string
  /** Whether every row has a value. Default false. */
  readonly isRequired?: boolean | undefined
}

/** The three-part name of a table. */
export interface TableName {
  readonly catalog: string
  readonly schema: string
  readonly table: string
}

/** Converts records to rows, by SQL. */
export interface Projection {
  /** The text with which every record of the usual form begins; without such a form undefined. */
  readonly usualBeginning?: string | undefined
  /**
   * Regular expression of the text of a record of the usual form as its server writes it, one character per byte: valid
   * JSON with no nested values, no control characters and no escapes by code point, each key once and with a value of its
   * type. `select` leaves out checks for these records.
   */
  readonly writtenForm?: RegExp | undefined
  /**
   * @param source SQL of a relation with the columns `raw` (the row's text, never NULL), `text` (the JSON object to
   *   project; NULL for a rejected row), `reject` and `note` (VARCHAR or NULL), `is_flat` (true if `text` is known to
   *   hold no nested value; may be NULL), and `is_written` (true if `raw` is `text` and matches `writtenForm`; may be NULL)
   * @returns one SELECT with every column of the declaration except the provenance columns and `ingest_ts`, and with the
   *   columns of `options.passThrough`, which `source` already has
   */
  select(source: string, options: ProjectionOptions): string
  /**
   * For tables of text logs, whose lines begin with a prefix that the server's setting determines.
   *
   * @param source as for `select`, with the column `source_offset`
   * @returns a SELECT of one row per line with a prefix: `source_offset`, `server_name`, `setting` ('' for a prefix that is read by the form
   *   of its parts), `prefix` (its text), `level`, `parts` (JSON, its values by field), `has_unknown_prefix`
   */
  prefixes?(source: string): string
}

export interface ProjectionOptions {
  readonly passThrough: readonly string[]
  /**
   * Selects only the rows of the usual form, for which much cheaper SQL yields the same columns. `unchecked` SQL fails if
   * a text is not JSON; `checked` SQL does not. Default: all rows, by the SQL for any form.
   */
  readonly usual?: 'checked' | 'unchecked' | undefined
  /**
   * Stores the rows of a SELECT and returns SQL of a relation with these rows. Used between the steps of the projection,
   * so that a long text is not in the memory of all steps at a time. Default: all steps are one SELECT.
   */
  readonly store?: ((select: string) => string) | undefined
}

/** A column by which a table is partitioned. Its type is string, integer, long, boolean or date. */
export interface PartitionColumn {
  /** Name of one of the declaration's columns. */
  readonly column: string
  /** DuckDB SQL of its value, computed from columns that are not partition columns. */
  readonly fromSql: string
}

/** Declares a table: its schema and the projection of records to rows. */
export interface TableDeclaration {
  readonly name: TableName
  /** In the table's order, including the partition columns. */
  readonly columns: readonly Column[]
  /** In the order of the folders. The encoder computes their values, so the projection may leave them out. */
  readonly partitionColumns: readonly PartitionColumn[]
  /** Whether a record with a value that does not fit its column is rejected instead of stored partially. */
  readonly strict: boolean
  readonly projection: Projection
  /** Views over the rows of this table and of all others that have the same set. */
  readonly views?: ViewSet | undefined
}

/** Columns that every table has, with the source of a row and its parse status. Filled by the encoder. */
export const provenanceColumns: readonly Column[] = [
  {
    name: 'source_blob',
    type: 'string',
    comment: 'Container and name of the blob, without the account.',
    isRequired: true,
  },
  {
    name: 'source_generation',
    type: 'string',
    comment: 'Creation instant of the blob, which distinguishes blobs of one name.',
    isRequired: true,
  },
  {
    name: 'source_offset',
    type: 'long',
    comment: "Offset of the record's first byte in the blob.",
    isRequired: true,
  },
  {
    name: 'source_length',
    type: 'long',
    comment: 'Bytes of the blob this row accounts for, the newline included.',
    isRequired: true,
  },
  {
    name: 'source_index',
    type: 'integer',
    comment: 'Position among the records of one line; 0 unless a line held several.',
    isRequired: true,
  },
  {
    name: 'parse_status',
    type: 'string',
    comment: 'ok, partial (a value did not fit its column) or rejected (no usable JSON object).',
    isRequired: true,
  },
  { name: 'ingest_ts', type: 'timestamp', comment: 'When the row was encoded.', isRequired: true },
]

/** Rows can become visible this much later than rows with a later `ingest_ts`, because several processes may land. */
export const lateRowMs = 60_000

/** Whether columns of the declaration that an existing table lacks are added to it; `own-tables`: see `mayAddColumns`. */
export type Evolution = boolean | 'own-tables'

/**
 * Whether missing columns may be added to a table. With `own-tables`, only to one that has all provenance columns: any
 * other was not made for these rows, and its name may be a mistake.
 */
export function mayAddColumns(evolve: Evolution, missing: readonly Pick<Column, 'name'>[]): boolean {
  if (evolve !== 'own-tables') return evolve
  return !missing.some(({ name }) => provenanceColumns.some((column) => column.name === name))
}

// https://docs.databricks.com/sql/language-manual/sql-ref-names (read 2026-11-29), but for blanks: the page excludes them,
// and catalogs of other systems have them. The workspace decides.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern has to find them
const tableNamePart = /^(?!\s)[^./\u0000-\u001f\u007f]{1,255}(?<!\s)$/u

/**
 * Parses a three-part table name. A kind of sink may accept fewer characters: `Sink.nameMistake`.
 *
 * @throws CONFIG_INVALID when a part is missing, begins or ends with a blank, or holds `/` or a control character
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

// Names that Parquet, SQL and Delta without column mapping accept unquoted.
const columnName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/**
 * Checks that column names are plain, and unique regardless of case.
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

/** @returns a message about the first mistake in a declaration's partition columns; undefined when there is none */
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
