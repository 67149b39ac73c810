import { sqlString } from '../tables/sql.ts'

/** @returns a path as SQL that stands for this one file: the engine takes a plain `*`, `?` or `[` for a pattern */
export function filePathSql(path: string): string {
  return sqlString(path.replace(/[*?[]/g, '[$&]'))
}

/** SQL of a relation of the rows of some Parquet files, at least one, with every column that one of them has. */
export function parquetSql(paths: readonly string[]): string {
  return `read_parquet([${paths.map(filePathSql).join(', ')}], hive_partitioning = false, union_by_name = true)`
}
