import { access, constants, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TailraceError } from '../errors.ts'

/** Codes of a volume without room, or of a used up quota. */
export const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: 'a part of the path is a file, not a directory',
  EEXIST: 'it is a file, not a directory',
  EACCES: 'the process has no permission',
  EPERM: 'the process has no permission',
  EROFS: 'the file system is read-only',
  ENOENT: 'it, or a directory above it, does not exist',
}

/**
 * Runs work on the process's own files, such as those of the state directory, and translates file system errors.
 *
 * @param directory named in the message when the system's error has no path
 * @throws DISK_FULL
 * @throws DIRECTORY_UNUSABLE with the path and the system's code
 */
export async function withStateErrors<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TailraceError || !(error instanceof Error)) throw error
    const { code, path = directory } = error as NodeJS.ErrnoException
    // An error without a system code is a bug of the program: its own stack says more than a translation.
    if (code === undefined || !/^(?:ERR_FS_)?E[A-Z]+$/.test(code)) throw error
    const options = { context: { reason: code }, cause: error }
    if (fullCodes.has(code)) throw new TailraceError('DISK_FULL', `No space left to write ${path}.`, options)
    const why = reasons[code] === undefined ? code : `${reasons[code]} (${code})`
    throw new TailraceError('DIRECTORY_UNUSABLE', `${path} cannot be used: ${why}.`, options)
  }
}

/**
 * Creates a directory and its missing parents.
 *
 * Not `mkdir({ recursive: true })`: Node's own reports ENOENT for a read-only file system, and never ends below `/proc`.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await isMade(path)) return
  await makeDirectory(dirname(path))
  await mkdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}

/** @returns false when the parent directory is missing */
async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(path) !== path) return false
    // For a directory that exists, some file systems report EROFS or EACCES instead of EEXIST.
    const found = await stat(path).catch((failure: NodeJS.ErrnoException) => {
      if (failure.code === 'ENOENT' || failure.code === 'ENOTDIR') throw error
      throw failure
    })
    if (found.isDirectory()) return true
    throw error
  }
}

/** Checks that a directory is writable or, if it does not exist, its nearest existing parent. @throws the system's error */
export async function requireWritable(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(directory) === directory) throw error
    return undefined
  })
  if (found === undefined) return requireWritable(dirname(directory))
  if (!found.isDirectory())
    throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR', path: directory })
  await access(directory, constants.W_OK)
}

/**
 * Replaces a file's content so that a crash at any instant leaves the old or the new content, complete.
 *
 * Temporary file, fsync, rename, fsync of the directory: without the last step a power cut can undo the rename.
 */
export async function writeDurably(path: string, text: string | Iterable<Buffer>): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      for (const part of typeof text === 'string' ? [text] : text) await file.writeFile(part)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Replaces a file's content in one step, without waiting for the disk: a power cut may undo it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`
  await writeFile(fresh, text)
  await rename(fresh, path)
}
