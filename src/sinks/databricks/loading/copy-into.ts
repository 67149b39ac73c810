import { isTailraceError, TailraceError } from '../../../errors.ts'
import { intendedRows, type LoadIntent } from '../../../offsets/load-intent.ts'
import { type RetryOptions, retry } from '../../../retry.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { Column, TableDeclaration } from '../../../tables/table.ts'
import { databricksTypes } from '../tables/definition.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { rangesOf } from './range-rows.ts'

/**
 * Error class while another COPY of the same file is running, for instance one that a killed process started. It ends by
 * itself, and then the file counts as loaded.
 */
const concurrentCopyClass = 'COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED'

/** The limit of one COPY INTO: https://docs.databricks.com/sql/language-manual/delta-copy-into (read 2026-11-30) */
export const maxFilesPerStatement = 1_000

/** Pauses while the other COPY runs: 15 s, doubled each time, up to 4 min. */
const firstPauseMs = 15_000
const maxPauseMs = 240_000

/** Error classes for a missing file. */
const missingFileClasses: ReadonlySet<string> = new Set([
  'PATH_NOT_FOUND',
  'FILE_NOT_EXIST',
  'FAILED_READ_FILE.FILE_NOT_EXIST',
  'FAILED_READ_FILE.DBR_FILE_NOT_EXIST',
  'COPY_INTO_SOURCE_FILE_NOT_FOUND',
  'CF_PATH_DOES_NOT_EXIST_FOR_READ_FILES',
])

/**
 * Formats the statement that loads staged files of one folder. Every column is named and cast, so that columns are
 * matched by name, whatever the table's column order, its further columns, and the Parquet files' types.
 *
 * @param options.loadsAgain whether files that the table counts as loaded are loaded, too: only where the same transaction
 * has removed their rows before. Default false.
 *
 * https://docs.databricks.com/sql/language-manual/delta-copy-into
 */
export function copyIntoSql(
  { name, columns }: Pick<TableDeclaration, 'name' | 'columns'>,
  {
    folder,
    files,
    loadsAgain = false,
  }: { readonly folder: string; readonly files: readonly string[]; readonly loadsAgain?: boolean },
): string {
  return [
    `COPY INTO ${qualifiedName(name)}`,
    `FROM (SELECT ${columns.map(selected).join(', ')} FROM ${quoteText(folder)})`,
    'FILEFORMAT = PARQUET',
    `FILES = (${files.map(quoteText).join(', ')})`,
    "FORMAT_OPTIONS ('ignoreMissingFiles' = 'false', 'mode' = 'FAILFAST')",
    ...(loadsAgain ? ["COPY_OPTIONS ('force' = 'true')"] : []),
  ].join('\n')
}

/**
 * Formats the statement that adds the rows of staged files, without the table's list of loaded files: executed twice, it
 * adds them twice.
 *
 * https://docs.databricks.com/aws/en/transactions/ has the hint of a transaction (read 2026-11-29)
 */
export function insertFilesSql(
  { name, columns }: Pick<TableDeclaration, 'name' | 'columns'>,
  paths: readonly string[],
  { isInTransaction }: { readonly isInTransaction: boolean },
): string {
  const hint = isInTransaction ? ' WITH (allow_nontransactional_reads = true)' : ''
  const names = columns.map((column) => quoteName(column.name)).join(', ')
  return `INSERT INTO ${qualifiedName(name)} (${names})\n${selectFilesSql(columns, paths, hint)}`
}

/**
 * Formats the query of the rows of staged files, with each column named and cast: once for all files, because a statement
 * may have a thousand of them.
 *
 * https://docs.databricks.com/sql/language-manual/functions/read_files (read 2026-11-29)
 */
export function selectFilesSql(columns: readonly Column[], paths: readonly string[], hint = ''): string {
  const names = columns.map((column) => quoteName(column.name)).join(', ')
  const files = paths.map(
    (path) => `SELECT ${names} FROM read_files(${quoteText(path)}, format => 'parquet')${hint}`,
  )
  return `SELECT ${columns.map(selected).join(', ')} FROM (${files.join('\nUNION ALL ')})`
}

function selected({ name, type }: Column): string {
  return `CAST(${quoteName(name)} AS ${databricksTypes[type]}) AS ${quoteName(name)}`
}

/**
 * Says durably that a load is about to be sent, so that a process which has lost everything else knows how long it may run.
 *
 * @returns the last instant at which it may be sent, in milliseconds since the epoch
 */
export type AnnounceLoad = () => Promise<number>

const anyTime: AnnounceLoad = async () => Number.POSITIVE_INFINITY

/** Loads the files of an intent. Idempotent, because Databricks keeps a list of loaded files per table. */
export class CopyInto {
  readonly #warehouse: Warehouse
  readonly #declaration: TableDeclaration
  readonly #stagingFolder: string
  readonly #retry: RetryOptions

  constructor(options: {
    readonly warehouse: Warehouse
    readonly declaration: TableDeclaration
    /** The volume folder to which file names are relative. */
    readonly stagingFolder: string
    /** Limits the wait for another load of the same files. */
    readonly retry: RetryOptions
  }) {
    this.#warehouse = options.warehouse
    this.#declaration = options.declaration
    this.#stagingFolder = options.stagingFolder
    this.#retry = options.retry
  }

  /**
   * Loads the files, after any other running load of them has ended. The load is announced again while the warehouse cannot
   * be reached.
   *
   * @returns the number of added rows: all rows of the files, or 0 when they were loaded before
   * @throws LOAD_UNCLEAR when any other number of rows was added
   * @throws STATEMENT_FAILED, also for a missing file: see `isMissingStagedFile`
   */
  async load(intent: LoadIntent, announce: AnnounceLoad = anyTime): Promise<number> {
    return retry(async (attempt) => this.#once(intent, attempt, await announce()), this.#retry)
  }

  /** @throws COMMIT_CONTENDED while another COPY of the files is running */
  async #once(intent: LoadIntent, attempt: number, sendBeforeMs: number): Promise<number> {
    const rows = intendedRows(intent)
    const { folder, files } = this.#placed(intent)
    const [result] = await this.#warehouse
      .execute({
        label: 'load files',
        sql: copyIntoSql(this.#declaration, { folder, files }),
        repeatable: true,
        batch: intent.id,
        sendBeforeMs,
      })
      .catch((error: unknown) => {
        if (!isTailraceError(error) || error.context.errorClass !== concurrentCopyClass) throw error
        throw new TailraceError('COMMIT_CONTENDED', 'Another statement is loading the files of the batch.', {
          context: {
            batch: intent.id,
            retryAfterMs: Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(attempt - 1, 10)),
          },
          cause: error,
        })
      })
    // Without a count in the answer, 0 makes the caller count the rows in the table.
    const inserted = Number(result?.num_inserted_rows ?? 0)
    if (inserted === rows || inserted === 0) return inserted
    throw new TailraceError(
      'LOAD_UNCLEAR',
      `Loading ${files.length} files added ${inserted} rows, expected ${rows}${rangesOf(intent.spans)}.`,
      { context: { batch: intent.id, rows, inserted } },
    )
  }

  /** Splits file names into their folder, which is the same for all files of a batch, and the rest. */
  #placed({ files }: LoadIntent): { readonly folder: string; readonly files: readonly string[] } {
    const slash = (files[0]?.name ?? '').lastIndexOf('/')
    const folder = `${this.#stagingFolder}/${(files[0]?.name ?? '').slice(0, slash)}`
    return { folder, files: files.map(({ name }) => name.slice(slash + 1)) }
  }
}

/** @returns whether a load failed because a file is missing in the volume */
export function isMissingStagedFile(error: unknown): boolean {
  return (
    isTailraceError(error, 'STATEMENT_FAILED') && missingFileClasses.has(String(error.context.errorClass))
  )
}
