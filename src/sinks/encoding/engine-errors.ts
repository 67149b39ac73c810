import { type ErrorContext, isAbort, TailraceError } from '../../errors.ts'
import type { Batch } from '../../records.ts'
import { dataFileError } from './data-file-errors.ts'

const noSpace = /no space left|ENOSPC|disk quota|max_temp_directory_size/i

/**
 * Translates an error of DuckDB or the file system during the encoding of a batch.
 *
 * Keeps only the kind of DuckDB's errors, because their messages quote the records. An abort stays unchanged.
 */
export function encodeError(error: unknown, batch: Batch): Error {
  const context = { batch: batch.id, rows: batch.rows, spoolBytes: batch.spoolBytes }
  return engineError(error, `batch ${batch.id}`, context)
}

/** Translates an error like `encodeError`, for any Parquet file. @param what names the file's content in the message */
export function engineError(error: unknown, what: string, context: ErrorContext): Error {
  if (error instanceof TailraceError || isAbort(error)) return error
  const text = error instanceof Error ? error.message : ''
  if (noSpace.test(text)) {
    return new TailraceError('DISK_FULL', `No space left on the volume while ${what} was encoded`, {
      context,
    })
  }
  const damaged = dataFileError(error, false)
  if (damaged !== undefined) return damaged
  // Errors of other kinds may quote records.
  const cause = volumeErrors.test(text) ? error : undefined
  return new TailraceError('ENCODE_FAILED', `${what} could not be encoded: ${errorKind(error)}`, {
    context,
    cause,
  })
}

/** Errors of the volume, which name files. */
const volumeErrors = /^(?:IO|Permission) Error/

// Kinds of errors that rows cannot cause: errors of the volume, of the statement itself, or at the end of the process.
const foreignErrors =
  /^(?:IO|INTERRUPT|Interrupt|Permission|Connection|Network|HTTP|Catalog|Binder|Parser|Syntax|Settings|Missing Extension|Dependency|Transaction|TransactionContext) Error/

/** @returns whether a statement may have failed because of values in its rows, so that fewer rows may succeed. */
export function isCausedByRows(error: unknown): error is Error {
  return (
    error instanceof Error &&
    error.name !== 'AbortError' &&
    !(error instanceof TailraceError) &&
    codeOf(error) === undefined &&
    !noSpace.test(error.message) &&
    !foreignErrors.test(error.message) &&
    / Error: /.test(error.message)
  )
}

/** @returns whether a statement failed at DuckDB's memory limit. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Out of Memory Error')
}

/** @returns the kind of an engine's error, without its message, which may quote records. */
export function errorKind(error: unknown): string {
  const text = error instanceof Error ? error.message : ''
  return /^([A-Z][A-Za-z /-]{0,40} Error):/.exec(text)?.[1] ?? codeOf(error) ?? 'an unnamed error'
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}
