import { type EmbeddedEngine, filePathSql } from '../../encoding/engine.ts'

/** Files whose footers one statement reads. */
const maxFilesPerStatement = 1_000

/** The engine's name for a row's file, as an index in the list of files; a column of that name would hide it. */
export const fileIndex = 'file_index'

/**
 * The columns of Parquet files, by path. Files do not change, so each is read once.
 *
 * Files of the same columns are read by one scan without `union_by_name`, by which the engine would read all footers before
 * the first row and keep them: 5 MB for each million rows of logs.
 */
export class FileSchemas {
  readonly #known = new Map<string, string>()

  /**
   * Groups files by their columns.
   *
   * @returns groups of files whose columns have the same names and types; in the last one, files that have nested columns
   *   or one named `file_index`, and so are not compared
   */
  async groups(
    engine: EmbeddedEngine,
    paths: readonly string[],
  ): Promise<{ readonly alike: readonly (readonly string[])[]; readonly others: readonly string[] }> {
    const unknown = paths.filter((path) => !this.#known.has(path))
    for (let next = 0; next < unknown.length; next += maxFilesPerStatement)
      await this.#read(engine, unknown.slice(next, next + maxFilesPerStatement))
    const alike = new Map<string, string[]>()
    const others: string[] = []
    for (const path of paths) {
      const columns = this.#known.get(path) ?? ''
      if (columns === '') others.push(path)
      else alike.set(columns, [...(alike.get(columns) ?? []), path])
    }
    return { alike: [...alike.values()], others }
  }

  async #read(engine: EmbeddedEngine, paths: readonly string[]): Promise<void> {
    // The first element of a schema is its root; nested columns are further elements with children.
    const rows = await engine.rows(
      `SELECT file_name AS path, CASE WHEN count(num_children) = 1 AND NOT bool_or(lower(name) = '${fileIndex}' OR repetition_type = 'REPEATED')
          THEN string_agg(name || ' ' || duckdb_type, chr(10) ORDER BY column_id) FILTER (WHERE num_children IS NULL) END AS columns
        FROM parquet_schema([${paths.map(filePathSql).join(', ')}]) GROUP BY file_name`,
    )
    for (const { path, columns } of rows)
      this.#known.set(String(path), columns === null ? '' : String(columns))
  }
}
