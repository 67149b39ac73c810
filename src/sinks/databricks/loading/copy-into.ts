import { isTailraceError, TailraceError } from '../../../errors.ts'
import { intendedRows, type LoadIntent } from '../../../offsets/load-intent.ts'
import { type RetryOptions, retry } from '../../../retry.ts'
import type { Column, TableDeclaration } from '../../../tables/table.ts'
import { databricksTypes, qualifiedName, quoteName, quoteText } from '../tables/definition.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { rangesOf } from './range-rows.ts'

/**
 * What Databricks answers while another COPY of the same file is under way, such as one that a killed process began:
 * it ends by itself, and then the file counts as loaded.
 */
const underWay = 'COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED'

/** Pauses while the other one ends: 15 s, then twice as long each time, up to 4 min. */
const firstPauseMs = 15_000
const longestPauseMs = 240_000

/** Classes that say that a file is not there. */
const missingFile: ReadonlySet<string> = new Set([
  'PATH_NOT_FOUND',
  'FILE_NOT_EXIST',
  'FAILED_READ_FILE.FILE_NOT_EXIST',
  'FAILED_READ_FILE.DBR_FILE_NOT_EXIST',
  'COPY_INTO_SOURCE_FILE_NOT_FOUND',
])

/**
 * The statement that loads staged files of one folder. Every column is named and cast, so that the table's own order,
 * further columns of it, and what a Parquet file says of itself do not matter: columns are matched by name.
 *
 * https://docs.databricks.com/sql/language-manual/delta-copy-into
 */
export function copyIntoSql(
  { name, columns }: Pick<TableDeclaration, 'name' | 'columns'>,
  { folder, files }: { readonly folder: string; readonly files: readonly string[] },
): string {
  return [
    `COPY INTO ${qualifiedName(name)}`,
    `FROM (SELECT ${columns.map(selected).join(', ')} FROM ${quoteText(folder)})`,
    'FILEFORMAT = PARQUET',
    `FILES = (${files.map(quoteText).join(', ')})`,
    "FORMAT_OPTIONS ('ignoreMissingFiles' = 'false', 'mode' = 'FAILFAST')",
  ].join('\n')
}

function selected({ name, type }: Column): string {
  return `CAST(${quoteName(name)} AS ${databricksTypes[type]}) AS ${quoteName(name)}`
}

/** Loads the files of an intent; the loaded-file list of the table makes a repetition load nothing. */
export class CopyInto {
  readonly #warehouse: Warehouse
  readonly #declaration: TableDeclaration
  readonly #stagingFolder: string
  readonly #retry: RetryOptions

  constructor(options: {
    readonly warehouse: Warehouse
    readonly declaration: TableDeclaration
    /** The volume folder that file names are relative to. */
    readonly stagingFolder: string
    /** How another load of the same files is waited for. */
    readonly retry: RetryOptions
  }) {
    this.#warehouse = options.warehouse
    this.#declaration = options.declaration
    this.#stagingFolder = options.stagingFolder
    this.#retry = options.retry
  }

  /**
   * Loads the files, as soon as no other load of them is under way.
   *
   * @returns the rows that were added: all of the files', or none when they had been loaded before
   * @throws LOAD_UNCLEAR when another number of rows was added
   * @throws STATEMENT_FAILED, see `isMissingFile`
   */
  async load(intent: LoadIntent): Promise<number> {
    return retry((attempt) => this.#once(intent, attempt), this.#retry)
  }

  /** @throws COMMIT_CONTENDED while another COPY of the files is under way */
  async #once(intent: LoadIntent, attempt: number): Promise<number> {
    const rows = intendedRows(intent)
    const { folder, files } = this.#placed(intent)
    const [result] = await this.#warehouse
      .execute({
        label: 'load files',
        sql: copyIntoSql(this.#declaration, { folder, files }),
        repeatable: true,
        batch: intent.id,
      })
      .catch((error: unknown) => {
        if (!isTailraceError(error) || error.context.errorClass !== underWay) throw error
        throw new TailraceError('COMMIT_CONTENDED', 'The files of the batch are being loaded already.', {
          context: {
            batch: intent.id,
            retryAfterMs: Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt - 1, 10)),
          },
          cause: error,
        })
      })
    // What is not told has to be counted, as if it had been there before.
    const inserted = Number(result?.num_inserted_rows ?? 0)
    if (inserted === rows || inserted === 0) return inserted
    throw new TailraceError(
      'LOAD_UNCLEAR',
      `Loading ${files.length} files of ${rows} rows added ${inserted} rows${rangesOf(intent.spans)}.`,
      { context: { batch: intent.id, rows, inserted } },
    )
  }

  /** All files of a batch lie in one folder, and are named below it. */
  #placed({ files }: LoadIntent): { readonly folder: string; readonly files: readonly string[] } {
    const slash = (files[0]?.name ?? '').lastIndexOf('/')
    const folder = `${this.#stagingFolder}/${(files[0]?.name ?? '').slice(0, slash)}`
    return { folder, files: files.map(({ name }) => name.slice(slash + 1)) }
  }
}

/** @returns whether a load failed because a file is not in the volume */
export function isMissingFile(error: unknown): boolean {
  return isTailraceError(error, 'STATEMENT_FAILED') && missingFile.has(String(error.context.errorClass))
}
