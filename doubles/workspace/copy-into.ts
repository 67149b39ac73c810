import { sqlIdentifier, sqlString } from '../../src/tables/sql.ts'
import { type CatalogTable, type TableParts, tableKey } from './sql-catalog.ts'
import type { CopyStatement } from './sql-copy.ts'
import { Translator } from './sql-expressions.ts'
import { pathNotFound, tableNotFound } from './sql-failures.ts'
import { duckDbType, fitsWithoutLoss, fullDataType } from './sql-types.ts'
import type { DiskVolumes } from './volume-files.ts'
import { SqlFailure } from './warehouse-engine.ts'

export interface LoadedFile {
  /** In its volume, such as `/Volumes/catalog/schema/volume/folder/name`. */
  readonly path: string
  readonly rows: number
}

/**
 * Which of two COPY INTO of one file is refused. The message speaks of files that were committed, so it is the one that
 * would commit second; a client sees the same when the one that starts second is refused.
 */
export type CopyGuard = 'refuses-second-start' | 'refuses-second-commit'

/** SQLSTATE from the Databricks reference; the text as in estuary/connectors#4986 (read 2026-11-24). */
function duplicatedFiles(): SqlFailure {
  return new SqlFailure(
    'COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED',
    '25000',
    'Duplicated files were committed in a concurrent COPY INTO operation. Please try again later.',
  )
}

/** Which files a table was loaded from, and which a COPY INTO is loading right now. */
class FileLog {
  readonly #loaded = new Map<string, LoadedFile>()
  readonly #loading = new Set<string>()

  get loaded(): readonly LoadedFile[] {
    return [...this.#loaded.values()]
  }

  /** @returns the paths of files that are not loaded */
  unloaded(paths: readonly string[]): readonly string[] {
    return paths.filter((path) => !this.#loaded.has(path))
  }

  /**
   * Begins to load those files that were not loaded yet.
   *
   * @throws SqlFailure when another COPY INTO loads one of them and the guard refuses the one that starts second
   */
  begin(paths: readonly string[], guard: CopyGuard): readonly string[] {
    const pending = this.unloaded(paths)
    if (guard === 'refuses-second-start' && pending.some((path) => this.#loading.has(path)))
      throw duplicatedFiles()
    for (const path of pending) this.#loading.add(path)
    return pending
  }

  /** @throws SqlFailure when another COPY INTO has loaded one of the files since `begin` */
  requireUnloaded(pending: readonly string[]): void {
    if (pending.some((path) => this.#loaded.has(path))) throw duplicatedFiles()
  }

  /** Ends what `begin` began; without files nothing was loaded. */
  end(pending: readonly string[], loaded: readonly LoadedFile[]): void {
    for (const path of pending) this.#loading.delete(path)
    for (const file of loaded) this.#loaded.set(file.path, file)
  }
}

/** The file logs of all tables; a table that is dropped loses its own. */
export class FileLogs {
  readonly #logs = new Map<string, FileLog>()

  of(name: TableParts): FileLog {
    const key = tableKey(name)
    const log = this.#logs.get(key) ?? new FileLog()
    this.#logs.set(key, log)
    return log
  }

  forget(name: TableParts): void {
    this.#logs.delete(tableKey(name))
  }
}

/** Where a COPY INTO runs. */
export interface CopyEngine {
  rows(sql: string): Promise<readonly Record<string, unknown>[]>
  change(sql: string): Promise<unknown>
}

export interface CopySource {
  readonly volumes: Pick<DiskVolumes, 'root' | 'onDisk'>
  /** The table's name for DuckDB. */
  readonly target: string
  readonly table: CatalogTable
  /** Whether the rows are counted and not stored. */
  readonly countOnly: boolean
}

/**
 * @returns the paths that a COPY INTO names and that exist, each once
 * @throws SqlFailure with PATH_NOT_FOUND for a missing file, loaded before or not, unless missing files are ignored
 */
export async function filesOf(copy: CopyStatement, volumes: DiskVolumes): Promise<readonly string[]> {
  const folder = volumes.normalize(copy.folder)
  const present = new Set<string>()
  for (const file of copy.files) {
    const path = volumes.normalize(`${folder}/${file}`)
    if (await volumes.exists(path)) present.add(path)
    else if (!copy.ignoreMissingFiles) throw pathNotFound(`dbfs:${path}`)
  }
  return [...present]
}

/**
 * Appends the rows of files to a table, all or none.
 *
 * @returns what each file gave
 * @throws SqlFailure when a column does not fit the table without loss, or a value its cast or NOT NULL
 */
export async function load(
  copy: CopyStatement,
  paths: readonly string[],
  source: CopySource,
  engine: CopyEngine,
): Promise<readonly LoadedFile[]> {
  if (paths.length === 0) return []
  const files = `[${paths.map((path) => sqlString(source.volumes.onDisk(path))).join(', ')}]`
  const counts = await engine.rows(
    `SELECT file_name AS path, num_rows AS rows FROM parquet_file_metadata(${files})`,
  )
  const rootLength = source.volumes.root.length
  const loaded = counts.map(({ path, rows }) => ({
    path: String(path).slice(rootLength),
    rows: Number(rows),
  }))
  if (source.countOnly) return loaded

  const select = selectOf(copy, files)
  const columns = await matchedColumns(select, source.table, engine)
  const names = columns.map(sqlIdentifier).join(', ')
  await engine.change(`INSERT INTO ${source.target} (${names}) SELECT ${names} FROM (${select})`)
  return loaded
}

function selectOf(copy: CopyStatement, files: string): string {
  const translator = new Translator({
    parameters: [],
    relation(parts) {
      throw tableNotFound(parts)
    },
  })
  const expressions = copy.expressions.map(({ tokens, alias }) => {
    const sql = translator.translate(tokens)
    return alias === undefined ? sql : `${sql} AS ${sqlIdentifier(alias)}`
  })
  return `SELECT ${expressions.join(', ')} FROM read_parquet(${files}, union_by_name = true)`
}

/**
 * Columns match by name, and only types that need no lossy cast; a table's column that the source lacks is NULL. That
 * a superfluous column or another type fails without `mergeSchema` is from the Databricks page "Schema inference and
 * evolution using COPY INTO" and its class list (read 2026-11-24); which class a type mismatch has is Delta's.
 */
async function matchedColumns(
  select: string,
  table: CatalogTable,
  engine: CopyEngine,
): Promise<readonly string[]> {
  const described = await engine.rows(`DESCRIBE ${select}`)
  return described.map(({ column_name, column_type }) => {
    const name = String(column_name)
    const column = table.columns.find((each) => each.name.toLowerCase() === name.toLowerCase())
    if (column === undefined) {
      throw new SqlFailure(
        'COPY_INTO_SCHEMA_MISMATCH_WITH_TARGET_TABLE',
        '42KDG',
        `The schema of the source does not match that of the table: the table has no column \`${name}\`.`,
      )
    }
    if (!fitsWithoutLoss(String(column_type), column.type)) {
      throw new SqlFailure(
        'DELTA_FAILED_TO_MERGE_FIELDS',
        '22005',
        `Failed to merge fields '${column.name}' and '${name}': ${fullDataType(column.type)} (${duckDbType(column.type)}) and ${String(column_type)}.`,
      )
    }
    return column.name
  })
}
