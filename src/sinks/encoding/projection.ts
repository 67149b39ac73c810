import type { Span } from '../../records.ts'
import { fieldSeparator, formNumbers, spoolColumns } from '../../streams/staging/spool.ts'
import { sqlIdentifier, sqlString } from '../../tables/sql.ts'
import type { ProjectionOptions, TableDeclaration } from '../../tables/table.ts'
import { filePathSql, parquetSql } from './engine.ts'
import type { SpoolPiece } from './spool-pieces.ts'

const mebibyte = 1024 * 1024

/** Columns that come with the rows. */
const spoolColumnsOfTable = [
  'ingest_ts',
  'source_blob',
  'source_generation',
  'source_offset',
  'source_length',
  'source_index',
] as const

/** Spool files to encode, and the spans of their rows. */
export interface SpoolSource {
  readonly pieces: readonly SpoolPiece[]
  readonly spans: readonly Span[]
  /** A Parquet file whose rows are left out; they are recognized by their place in the blob. */
  readonly written?: string | undefined
}

/**
 * SQL that selects every column of the declaration from the rows of a spool.
 *
 * @param ingestMs value of `ingest_ts`, in milliseconds since the epoch
 */
export function spoolProjectionSql(
  declaration: TableDeclaration,
  source: SpoolSource,
  ingestMs: number,
  options: Pick<ProjectionOptions, 'usual' | 'store'> = {},
): string {
  return tableRowsSql(declaration, `(${placedRowsSql(source, ingestMs)})`, options)
}

/**
 * SQL that selects every column of the declaration.
 *
 * @param placedRows SQL of a relation with the columns of `placedRowsSql`
 */
export function tableRowsSql(
  declaration: TableDeclaration,
  placedRows: string,
  options: Pick<ProjectionOptions, 'usual' | 'store'> = {},
): string {
  const rows = declaration.projection.select(placedRows, { ...options, passThrough: spoolColumnsOfTable })
  const list = declaration.columns.map(({ name }) => columnSql(declaration, name))
  return `SELECT ${list.join(', ')} FROM (${rows})`
}

function columnSql({ partitionColumns }: TableDeclaration, name: string): string {
  const partition = partitionColumns.find(({ column }) => column === name)
  return partition === undefined ? sqlIdentifier(name) : `${partition.fromSql} AS ${sqlIdentifier(name)}`
}

/** SQL that selects the records of a spool, as a projection takes them, with the columns that come from the spool. */
export function placedRowsSql({ pieces, spans, written }: SpoolSource, ingestMs: number): string {
  const ingest = `make_timestamptz(${BigInt(Math.trunc(ingestMs)) * 1000n})`
  const decoded = `CASE WHEN encoding = 'raw' THEN json_extract_string(raw, '$') ELSE coalesce(raw, '') END`
  const rows = `SELECT * REPLACE (${decoded} AS raw, coalesce(source_index, 0) AS source_index)
    FROM ${readDelimited(pieces, spoolColumns)}`
  const placed = withSpans(rows, spans)
  return `SELECT ${ingest} AS ingest_ts, span_blob AS source_blob, span_generation AS source_generation,
    source_offset,
    length AS source_length,
    source_index,
    reject, note, raw, form >= ${formNumbers.flat} AS is_flat, form >= ${formNumbers.written} AS is_written,
    CASE WHEN reject IS NULL THEN coalesce(json, raw) END AS text
    FROM ${written === undefined ? placed : without(placed, written, spans)}`
}

/** Excludes the rows that a file already has. With one span, offset and index identify a row. */
function without(placed: string, written: string, spans: readonly Span[]): string {
  const places = ['source_offset', 'source_index']
  const blobs =
    spans.length === 1 ? '' : ' AND span_blob = source_blob AND span_generation = source_generation'
  return `${placed} AS placed ANTI JOIN ${parquetSql([written])} AS written
    ON ${places.map((place) => `placed.${place} = written.${place}`).join(' AND ')}${blobs}`
}

/** Adds the span's columns to each row. A single span is added as constants, which is cheaper than a join. */
function withSpans(rows: string, spans: readonly Span[]): string {
  const [only] = spans
  if (spans.length === 1 && only !== undefined) {
    const { blob, generation } = only
    return `(SELECT *, ${sqlString(blob)} AS span_blob, ${sqlString(generation)} AS span_generation
      FROM (${rows}))`
  }
  // A join, because DuckDB would build a list of all spans again for every vector of rows.
  const values = spans.map(
    ({ blob, generation }, index) => `(${index}, ${sqlString(blob)}, ${sqlString(generation)})`,
  )
  return `(SELECT * FROM (${rows}) JOIN (VALUES ${values.join(', ')})
    AS spans(span_key, span_blob, span_generation) ON span_index = span_key)`
}

function readDelimited(
  files: readonly Pick<SpoolPiece, 'path' | 'longestRowBytes'>[],
  columns: readonly { readonly name: string; readonly type: string }[],
): string {
  // `read_csv` fails on a row that does not fit into one buffer together with its neighbors.
  const longestRowBytes = Math.max(...files.map((file) => file.longestRowBytes))
  const lineBytes = Math.max(2 * mebibyte, longestRowBytes + 1024)
  const bufferBytes = Math.max(4 * mebibyte, 2 * lineBytes)
  const struct = columns.map(({ name, type }) => `${sqlString(name)}: ${sqlString(type)}`).join(', ')
  return `read_csv([${files.map(({ path }) => filePathSql(path)).join(', ')}], columns = {${struct}},
    delim = '${fieldSeparator}', quote = '', escape = '', header = false, auto_detect = false, new_line = '\\n',
    max_line_size = ${lineBytes}, buffer_size = ${bufferBytes})`
}
