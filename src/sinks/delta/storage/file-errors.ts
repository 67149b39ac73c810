import { TailraceError } from '../../../errors.ts'
import { fullCodes } from '../../../offsets/state-files.ts'

const deniedCodes = new Set(['EACCES', 'EPERM', 'EROFS'])
/** Codes of errors that may not occur again; after any other code, the same call fails again. */
const transientCodes = new Set([
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ENOLCK',
  'ENOMEM',
  'ESTALE',
  'ETIMEDOUT',
])

const explanations: Readonly<Record<string, string>> = {
  ENOTDIR: ': a part of the path is a file, not a directory',
  EEXIST: ': it is a file, not a directory',
  ENAMETOOLONG: ': the path is too long',
}

/**
 * Runs work on local files and translates its errors.
 *
 * @param what names the file in the message when the system's error does not
 * @throws DISK_FULL, TABLE_DENIED, TABLE_UNAVAILABLE, TABLE_UNSUPPORTED
 */
export async function withFileErrors<T>(what: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    if (error instanceof TailraceError) throw error
    const code = fileCode(error)
    const place = (error as NodeJS.ErrnoException).path ?? what
    const cause = { context: { reason: code }, cause: error }
    if (fullCodes.has(code))
      throw new TailraceError('DISK_FULL', `No space left on the volume of ${place}.`, cause)
    if (deniedCodes.has(code))
      throw new TailraceError('TABLE_DENIED', `Permission denied for ${place}.`, cause)
    if (transientCodes.has(code)) {
      throw new TailraceError('TABLE_UNAVAILABLE', `The file system failed on ${place}.`, cause)
    }
    // An error without a code is a bug of this program: keep it unchanged.
    if (code === '') throw error
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The file system refused ${place} with ${code}${explanations[code] ?? ''}.`,
      cause,
    )
  }
}

/** @returns whether a local file or folder does not exist, by the system's error. */
export function isMissingFile(error: unknown): boolean {
  return fileCode(error) === 'ENOENT'
}

/** @returns the system's code of a file error; empty for other errors, such as an abort, whose code is a number. */
export function fileCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
