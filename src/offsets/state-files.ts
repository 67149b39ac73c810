import { access, constants, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TailraceError } from '../errors.ts'

/** The path and the system's code say it all; a full volume is waited for, by whoever writes. */
const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: 'a part of the path is a file, not a directory',
  EEXIST: 'it is a file, not a directory',
  EACCES: 'the process lacks the right to it',
  EPERM: 'the process lacks the right to it',
  EROFS: 'the file system is read-only',
  ENOENT: 'it, or a directory above it, does not exist',
}

/**
 * Runs work in a directory of the process's own, such as the state directory, and translates the errors of the file
 * system, once.
 *
 * @throws DISK_FULL, DIRECTORY_UNUSABLE naming the path that was refused
 */
export async function withStateErrors<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TailraceError || !(error instanceof Error)) throw error
    const { code, path = directory } = error as NodeJS.ErrnoException
    // Without a system's code it is a mistake of the program, and says more as it is.
    if (code === undefined || !/^(?:ERR_FS_)?E[A-Z]+$/.test(code)) throw error
    const options = { context: { reason: code }, cause: error }
    if (fullCodes.has(code)) throw new TailraceError('DISK_FULL', `No space left to write ${path}.`, options)
    const why = reasons[code] === undefined ? code : `${reasons[code]} (${code})`
    throw new TailraceError('DIRECTORY_UNUSABLE', `${path} cannot be used: ${why}.`, options)
  }
}

/**
 * Makes a directory with those above it. Node's own recursive `mkdir` reports ENOENT for a read-only file system, and
 * never ends below `/proc`.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await isMade(path)) return
  await makeDirectory(dirname(path))
  await mkdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}

/** @returns false when there is no directory above it */
async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(path) !== path) return false
    // Some file systems refuse before they notice that it is there.
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) return true
    throw error
  }
}

/** Fails where a directory cannot be written, or, as long as it does not exist, the nearest one above it. */
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
