import type { Span } from '../../records.ts'
import { fieldSeparator, spoolColumns } from '../../streams/staging/spool.ts'
import { sqlIdentifier, sqlString } from '../../tables/sql.ts'
import type { RowsPart, TableDeclaration } from '../../tables/table.ts'
import { filePathSql } from './engine.ts'
import type { SpoolPiece } from './spool-pieces.ts'

const mebibyte = 1024 * 1024

/** Columns that the spool's rows bring along. */
const placeColumns = [
  'source_blob',
  'source_generation',
  'source_offset',
  'source_length',
  'source_index',
] as const

/** Spool files, as the encoder reads them. */
export interface SpoolSource {
  readonly pieces: readonly SpoolPiece[]
  readonly spans: readonly Span[]
}

/**
 * SQL of a SELECT with every column of the declaration, for the rows of a spool.
 *
 * @param ingestMs becomes `ingest_ts`, in milliseconds since the epoch
 */
export function spoolProjectionSql(
  declaration: TableDeclaration,
  source: SpoolSource,
  options: { readonly ingestMs: number; readonly part?: RowsPart | undefined },
): string {
  const { projection, columns } = declaration
  const rows = projection.select(spoolRelation(source), {
    passThrough: placeColumns,
    ...(options.part === undefined ? {} : { part: options.part }),
  })
  const ingest = `make_timestamptz(${BigInt(Math.trunc(options.ingestMs)) * 1000n})`
  const list = columns.map(({ name }) =>
    name === 'ingest_ts' ? `${ingest} AS ingest_ts` : columnSql(declaration, name),
  )
  return `SELECT ${list.join(', ')} FROM (${rows})`
}

/**
 * SQL of a SELECT with the declaration's columns for plain text lines, without the columns that say where a row
 * comes from: the very projection of the encoder, on any file.
 *
 * @param options.from SQL of a relation with one VARCHAR column `raw`, a line of JSON per row
 */
export function projectionSql(
  declaration: TableDeclaration,
  options: { readonly from: string; readonly part?: RowsPart },
): string {
  const source = `(SELECT raw, raw AS text, NULL::VARCHAR AS reject, NULL::VARCHAR AS note,
    ${flatSql('raw')} AS is_flat FROM ${options.from})`
  const rows = declaration.projection.select(source, {
    passThrough: [],
    ...(options.part === undefined ? {} : { part: options.part }),
  })
  const placed = new Set<string>([...placeColumns, 'ingest_ts'])
  const list = declaration.columns
    .filter(({ name }) => !placed.has(name))
    .map(({ name }) => columnSql(declaration, name))
  return `SELECT ${list.join(', ')} FROM (${rows})`
}

function columnSql({ partitionColumns }: TableDeclaration, name: string): string {
  const partition = partitionColumns.find(({ column }) => column === name)
  return partition === undefined ? sqlIdentifier(name) : `${partition.fromSql} AS ${sqlIdentifier(name)}`
}

/** SQL of a relation with one VARCHAR column `raw`, a line of the file per row. */
export function linesOf(path: string, longestLineBytes: number): string {
  return readDelimited([{ path, longestRowBytes: longestLineBytes }], [{ name: 'raw', type: 'VARCHAR' }])
}

function spoolRelation({ pieces, spans }: SpoolSource): string {
  const decoded = `CASE WHEN encoding = 'raw' THEN json_extract_string(raw, '$') ELSE coalesce(raw, '') END`
  const rows = `SELECT * REPLACE (${decoded} AS raw) FROM ${readDelimited(pieces, spoolColumns)}`
  return `(SELECT span_blob AS source_blob, span_generation AS source_generation,
    span_start + relative_offset AS source_offset,
    length AS source_length,
    coalesce(source_index, 0) AS source_index,
    reject, note, raw, flat = 1 AS is_flat,
    CASE WHEN reject IS NULL THEN coalesce(json, raw) END AS text
    FROM ${withSpans(rows, spans)})`
}

/** Joins each row with its span; the only span of a batch is constants, which is cheaper. */
function withSpans(rows: string, spans: readonly Span[]): string {
  const [only] = spans
  if (spans.length === 1 && only !== undefined) {
    const { blob, generation, start } = only
    return `(SELECT *, ${sqlString(blob)} AS span_blob, ${sqlString(generation)} AS span_generation,
      ${start}::BIGINT AS span_start FROM (${rows}))`
  }
  // A list indexed by the row would be built anew for every vector of rows: quadratic in the spans.
  const values = spans.map(
    ({ blob, generation, start }, index) =>
      `(${index}, ${sqlString(blob)}, ${sqlString(generation)}, ${start}::BIGINT)`,
  )
  return `(${rows}) JOIN (VALUES ${values.join(', ')})
    AS spans(span_key, span_blob, span_generation, span_start) ON span_index = span_key`
}

function readDelimited(
  files: readonly Pick<SpoolPiece, 'path' | 'longestRowBytes'>[],
  columns: readonly { readonly name: string; readonly type: string }[],
): string {
  // A row that does not fit into one buffer together with its neighbors fails.
  const longestRowBytes = Math.max(...files.map((file) => file.longestRowBytes))
  const lineBytes = Math.max(2 * mebibyte, longestRowBytes + 1024)
  const bufferBytes = Math.max(4 * mebibyte, 2 * lineBytes)
  const struct = columns.map(({ name, type }) => `${sqlString(name)}: ${sqlString(type)}`).join(', ')
  return `read_csv([${files.map(({ path }) => filePathSql(path)).join(', ')}], columns = {${struct}},
    delim = '${fieldSeparator}', quote = '', escape = '', header = false, auto_detect = false, new_line = '\\n',
    max_line_size = ${lineBytes}, buffer_size = ${bufferBytes})`
}

/** SQL that tells whether an object's text can hold no object or array inside; the validator knows it of spooled rows. */
function flatSql(text: string): string {
  return `NOT contains(substring(${text}, 2), '{') AND NOT regexp_matches(${text}, '[: ]\\[')`
}
