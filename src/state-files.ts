import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TailraceError } from './errors.ts'

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
 *
 * @returns the topmost directory that was made; undefined when all were there
 */
export async function makeDirectory(path: string): Promise<string | undefined> {
  const made = await makeOne(path)
  if (made !== 'no parent') return made === 'made' ? path : undefined
  const topmost = await makeDirectory(dirname(path))
  await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return topmost ?? path
}

async function makeOne(path: string): Promise<'made' | 'was there' | 'no parent'> {
  try {
    await mkdir(path)
    return 'made'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && dirname(path) !== path) return 'no parent'
    // Some file systems refuse before they notice that it is there.
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() === true) return 'was there'
    throw error
  }
}
