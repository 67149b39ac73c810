import { sqlIdentifier, sqlString } from '../duckdb.ts'
import type { NumberSet } from './roaring-bitmap.ts'

/** A Parquet file on this machine. */
export interface RowSource {
  readonly path: string
  /** Numbers of the rows, counted from 0, that are not part of the table. */
  readonly deleted?: NumberSet | undefined
}

/** A name that no column of a table has. */
const pathColumn = 'path of the file on this machine'

/**
 * SQL of a relation of the rows of some files, at least one, with every column that one of them has.
 *
 * Files without deleted rows are read as they are.
 */
export function liveRowsSql(sources: readonly RowSource[]): string {
  const isMarked = ({ deleted }: RowSource): boolean => deleted !== undefined && deleted.count > 0
  const marked = sources.filter(isMarked)
  const whole = sources.filter((source) => !isMarked(source))
  if (marked.length === 0) return parquetSql(whole)
  const rows = unmarkedRows(marked)
  return whole.length === 0 ? `(${rows})` : `(FROM ${parquetSql(whole)} UNION ALL BY NAME ${rows})`
}

/** Each row finds the mask of its 64 rows, if one of those is deleted: a join with far fewer rows than were deleted. */
function unmarkedRows(marked: readonly RowSource[]): string {
  const masks = marked.map(
    ({ path, deleted }) =>
      `SELECT ${sqlString(path)} AS path, unnest('[${deleted!.words}]'::BIGINT[]) AS word,
        unnest('[${deleted!.masks}]'::UBIGINT[]) AS mask`,
  )
  const numbered = parquetSql(marked, `, file_row_number = true, filename = ${sqlString(pathColumn)}`)
  return `SELECT rows.* EXCLUDE (file_row_number, ${sqlIdentifier(pathColumn)})
    FROM ${numbered} AS rows LEFT JOIN (${masks.join(' UNION ALL ')}) AS deleted
    ON deleted.path = rows.${sqlIdentifier(pathColumn)} AND deleted.word = rows.file_row_number // 64
    WHERE deleted.mask IS NULL OR (deleted.mask >> (rows.file_row_number % 64)::UBIGINT) & 1 = 0`
}

function parquetSql(sources: readonly RowSource[], options = ''): string {
  const list = sources.map(({ path }) => sqlString(path)).join(', ')
  return `read_parquet([${list}], hive_partitioning = false, union_by_name = true${options})`
}
