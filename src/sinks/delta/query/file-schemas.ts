import { type EmbeddedEngine, filePathSql } from '../../encoding/engine.ts'
import type { LiveFile } from '../files/live-files.ts'

/** Files whose footers one statement reads. */
const maxFilesPerStatement = 1_000

/** The engine's name for a row's file, as an index in the list of files; a column of that name would hide it. */
export const fileIndex = 'file_index'

/** A data file of a table, and its place on this machine. */
interface DataFile {
  readonly file: Pick<LiveFile, 'path'>
  readonly path: string
}

/**
 * The columns of a table's Parquet files, by path. Files do not change, so each is read once.
 *
 * Files of the same columns are read by one scan without `union_by_name`, by which the engine would read all footers before
 * the first row and keep them: 5 MB for each million rows of logs.
 */
export class FileSchemas {
  readonly #known = new Map<string, string>()
  /** Each text of columns once: it has some kilobytes, and thousands of files have the same. */
  #texts = new Map<string, string>()

  /**
   * Groups files by their columns.
   *
   * @returns groups of files whose columns have the same names and types; and as `others` files that have nested columns
   *   or one named `file_index`, and so are not compared
   */
  async groups<One extends DataFile>(
    engine: EmbeddedEngine,
    files: readonly One[],
  ): Promise<{ readonly alike: readonly (readonly One[])[]; readonly others: readonly One[] }> {
    const unknown = files.filter(({ file }) => !this.#known.has(file.path))
    for (let next = 0; next < unknown.length; next += maxFilesPerStatement)
      await this.#read(engine, unknown.slice(next, next + maxFilesPerStatement))
    const alike = new Map<string, One[]>()
    const others: One[] = []
    for (const one of files) {
      const columns = this.#known.get(one.file.path) ?? ''
      const same = alike.get(columns)
      if (columns === '') others.push(one)
      else if (same === undefined) alike.set(columns, [one])
      else same.push(one)
    }
    return { alike: [...alike.values()], others }
  }

  /** Forgets all files but those of a table's version. */
  keepOnly(files: readonly Pick<LiveFile, 'path'>[]): void {
    const live = new Set(files.map(({ path }) => path))
    for (const path of this.#known.keys()) if (!live.has(path)) this.#known.delete(path)
    this.#texts = new Map(Array.from(this.#known.values(), (columns) => [columns, columns]))
  }

  async #read(engine: EmbeddedEngine, files: readonly DataFile[]): Promise<void> {
    // The first element of a schema is its root; nested columns are further elements with children.
    const rows = await engine.rows(
      `SELECT file_name AS path, CASE WHEN count(num_children) = 1 AND NOT bool_or(lower(name) = '${fileIndex}' OR repetition_type = 'REPEATED')
          THEN string_agg(name || ' ' || duckdb_type, chr(10) ORDER BY column_id) FILTER (WHERE num_children IS NULL) END AS columns
        FROM parquet_schema([${files.map(({ path }) => filePathSql(path)).join(', ')}]) GROUP BY file_name`,
    )
    const columnsOf = new Map(
      rows.map(({ path, columns }) => [String(path), columns === null ? '' : String(columns)]),
    )
    for (const { file, path } of files) {
      const columns = columnsOf.get(path) ?? ''
      const text = this.#texts.get(columns) ?? columns
      this.#texts.set(text, text)
      this.#known.set(file.path, text)
    }
  }
}
