import { TailraceError } from '../../../errors.ts'

const fullCodes = new Set(['ENOSPC', 'EDQUOT'])
const deniedCodes = new Set(['EACCES', 'EPERM', 'EROFS'])
/** What can pass by itself; the same call fails the same way again after any other. */
const passingCodes = new Set([
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
 * Runs work on this machine's files and translates their errors, once.
 *
 * @param what names the file for the message, where the system's error does not
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
    if (fullCodes.has(code)) throw new TailraceError('DISK_FULL', `No space left to write ${place}.`, cause)
    if (deniedCodes.has(code)) throw new TailraceError('TABLE_DENIED', `No right to use ${place}.`, cause)
    if (passingCodes.has(code)) {
      throw new TailraceError('TABLE_UNAVAILABLE', `The file system failed on ${place}.`, cause)
    }
    // Without a code it is a mistake of the program, and says more as it is.
    if (code === '') throw error
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The file system refused ${place} with ${code}${explanations[code] ?? ''}.`,
      cause,
    )
  }
}

/** @returns whether an error says that there is no such file or folder. */
export function isMissingFile(error: unknown): boolean {
  return fileCode(error) === 'ENOENT'
}

/** @returns the system's code of a file error, or an empty text: an abort has a code as well, a number. */
export function fileCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
