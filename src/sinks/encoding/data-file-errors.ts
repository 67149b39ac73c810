import { isAbort, isTailraceError, TailraceError } from '../../errors.ts'

const kinds = '(?:IO|Invalid|Invalid Input|Serialization) Error'
const ofOneFile = new RegExp(`^${kinds}: [^]*?["']([^"']+?\\.parquet)["']`)
/** What the engine says of a page that it cannot read names no file, and is often an exception of a library below it. */
const ofAnyFile = new RegExp(
  `^Invalid Error: |^${kinds}: .*(?:zstd|snappy|decompress|parquet|page header)`,
  'i',
)

/**
 * Recognizes an error of the engine that says that a data file of a table is missing or damaged.
 *
 * @param readsOnly whether the statement did nothing but read data files, so that an error that names none is of them too
 * @returns undefined for any other error
 */
export function dataFileError(error: unknown, readsOnly: boolean): TailraceError | undefined {
  if (!(error instanceof Error) || isTailraceError(error) || isAbort(error)) return undefined
  const { message } = error
  const path = ofOneFile.exec(message)?.[1]
  if (path === undefined && !(readsOnly && ofAnyFile.test(message))) return undefined
  const isMissing = /no files found|no such file/i.test(message)
  const what = isMissing ? 'is missing' : 'is damaged: it cannot be read as Parquet'
  const file = path === undefined ? 'A data file' : `The data file ${path}`
  return new TailraceError('TABLE_CORRUPT', `${file} of the table ${what}.`, { cause: error })
}

/**
 * Runs work that does nothing but read a table's data files.
 *
 * @throws TABLE_CORRUPT naming a file that is missing or damaged
 */
export async function withDataFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw dataFileError(error, true) ?? error
  }
}
