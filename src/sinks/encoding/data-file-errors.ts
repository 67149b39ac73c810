import { isAbort, isTailraceError, TailraceError } from '../../errors.ts'

const kinds = '(?:IO|Invalid|Invalid Input|Serialization) Error'
const ofOneFile = new RegExp(`^${kinds}: [^]*?["']([^"']+?\\.parquet)["']`)
/** Messages about unreadable pages name no file, and often come from a compression library. */
const ofAnyFile = new RegExp(
  `^Invalid Error: |^${kinds}: .*(?:zstd|snappy|decompress|parquet|page header)`,
  'i',
)

/**
 * Recognizes the engine's error for a missing or damaged data file of a table.
 *
 * @param readsOnly whether the statement only read data files, so that an error that names no file is about them as well
 * @returns undefined for any other error
 */
export function dataFileError(error: unknown, readsOnly: boolean): TailraceError | undefined {
  if (!(error instanceof Error) || isTailraceError(error) || isAbort(error)) return undefined
  const { message } = error
  const path = ofOneFile.exec(message)?.[1]
  if (path === undefined && !(readsOnly && ofAnyFile.test(message))) return undefined
  const isMissing = /no files found|no such file/i.test(message)
  const state = isMissing ? 'is missing' : 'is damaged: it cannot be read as Parquet'
  const file = path === undefined ? 'A data file' : `The data file ${path}`
  return new TailraceError('TABLE_CORRUPT', `${file} of the table ${state}.`, { cause: error })
}

/**
 * Runs work that only reads a table's data files, and translates its errors.
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
