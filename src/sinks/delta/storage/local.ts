import { randomUUID } from 'node:crypto'
import { copyFile, link, lstat, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { TailraceError } from '../../../errors.ts'
import { makeDirectory } from '../../../offsets/state-files.ts'
import type { DeltaStorage, FolderContents, LocalFile, PutOutcome, StoredObject } from './delta-storage.ts'
import { fileCode, isMissingFile, withFileErrors } from './file-errors.ts'

const temporarySuffix = '.tmp'

/** A crashed writer's temporary file is deleted when it is this old: no living commit takes an hour. */
const temporaryMaxAgeMs = 3_600_000

/** Files of one page of a listing: each is looked at, and who ends it early is spared the others. */
const namesPerPage = 1_000

/** A folder that may not be read, or on a file system without a sync of folders. */
const unreadableCodes = new Set(['EACCES', 'EPERM', 'EINVAL', 'EROFS'])

/** A link cannot be made here, or not between these two places. */
const noLinkCodes = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * A table in a directory of this machine.
 *
 * An object becomes visible by `link()`, which fails when its name is taken and shows all bytes or none;
 * `rename()` would replace a winner's commit, and an exclusive open would show half-written ones. Not for
 * network mounts, where a link's result can be a lie.
 */
export class LocalDeltaStorage implements DeltaStorage {
  readonly location: string
  readonly #durableFolders = new Set<string>()

  constructor(root: string) {
    this.location = resolve(root)
  }

  async prepare(): Promise<void> {
    await withFileErrors(this.location, async () => {
      const log = this.#pathOf('_delta_log')
      await this.#makeFolder(log)
      await syncNamesAbove(this.location)
      await this.#checkLinks(log)
      await removeOldTemporaries(log)
    })
  }

  async putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome> {
    return withFileErrors(path, async () => {
      const target = this.#pathOf(path)
      const temporary = await this.#writeTemporary(target, bytes)
      try {
        await link(temporary, target)
      } catch (error) {
        if (fileCode(error) === 'EEXIST') return 'exists'
        throw error
      } finally {
        // One that stays is harmless; an error from here would say that nothing was created.
        await rm(temporary, { force: true }).catch(() => {})
      }
      // The object is visible by now, so a failure is a doubt.
      return syncFolder(dirname(target)).then(
        () => 'created',
        () => 'unknown',
      )
    })
  }

  async put(path: string, bytes: Buffer): Promise<void> {
    await withFileErrors(path, async () => {
      const target = this.#pathOf(path)
      const temporary = await this.#writeTemporary(target, bytes)
      await rename(temporary, target)
      await syncFolder(dirname(target))
    })
  }

  async read(path: string): Promise<Buffer | undefined> {
    return withFileErrors(path, async () => {
      try {
        return await readFile(this.#pathOf(path))
      } catch (error) {
        if (isMissingFile(error)) return undefined
        throw error
      }
    })
  }

  async list(folder: string, prefix = ''): Promise<string[]> {
    return withFileErrors(folder, async () => {
      try {
        return (await readdir(this.#pathOf(folder))).filter(
          (name) => name.startsWith(prefix) && !name.endsWith(temporarySuffix),
        )
      } catch (error) {
        if (isMissingFile(error)) return []
        throw error
      }
    })
  }

  async *pages(folder: string, prefix = ''): AsyncGenerator<readonly StoredObject[]> {
    const names = (await this.list(folder, prefix)).sort()
    for (let from = 0; from < names.length; from += namesPerPage) {
      yield (await this.#lookAt(folder, names.slice(from, from + namesPerPage))).objects
    }
  }

  async contentsOf(folder: string): Promise<FolderContents> {
    return this.#lookAt(folder, await this.list(folder))
  }

  async #lookAt(folder: string, names: readonly string[]): Promise<FolderContents> {
    return withFileErrors(folder, async () => {
      const objects: StoredObject[] = []
      const folders: string[] = []
      for (const name of names) {
        try {
          // A link is followed by neither: what it leads to is not the table's.
          const found = await lstat(join(this.#pathOf(folder), name))
          if (found.isFile()) objects.push({ name, modifiedMs: found.mtimeMs, bytes: found.size })
          else if (found.isDirectory()) folders.push(name)
        } catch (error) {
          if (!isMissingFile(error)) throw error
        }
      }
      return { objects, folders }
    })
  }

  async remove(path: string): Promise<void> {
    await withFileErrors(path, async () => {
      try {
        await unlink(this.#pathOf(path))
      } catch (error) {
        if (!isMissingFile(error)) throw error
      }
    })
  }

  async putFile(localPath: string, path: string): Promise<void> {
    await withFileErrors(path, async () => {
      const target = this.#pathOf(path)
      const folder = dirname(target)
      await syncFile(localPath)
      await this.#makeFolder(folder)
      try {
        await moveFile(localPath, target, this.#pathOf('_delta_log'))
      } catch (error) {
        if (!isMissingFile(error)) throw error
        // The file was there a moment ago: a vacuum removes folders that it finds empty.
        this.#durableFolders.delete(folder)
        await this.#makeFolder(folder)
        await moveFile(localPath, target, this.#pathOf('_delta_log'))
      }
      await syncFolder(folder)
    })
  }

  async withdrawFile(path: string, localPath: string): Promise<void> {
    await withFileErrors(path, () => moveFile(this.#pathOf(path), localPath))
  }

  async localFile(path: string): Promise<LocalFile> {
    return { path: this.#pathOf(path), release: async () => {} }
  }

  #pathOf(path: string): string {
    const normal = posix.normalize(path)
    if (posix.isAbsolute(normal) || normal.split('/')[0] === '..') {
      throw new TailraceError('TABLE_UNSUPPORTED', `The table names a file outside of its directory: ${path}`)
    }
    return join(this.location, normal)
  }

  /**
   * Creates a folder of the table and makes its name durable in each parent up to the table: a synced file in a lost
   * folder is lost. A folder that exists may be new as well: a process can be killed between these two steps.
   */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#durableFolders.has(folder)) return
    await makeDirectory(folder)
    for (let made = folder; made.length > this.location.length; made = dirname(made))
      await syncFolder(dirname(made))
    this.#durableFolders.add(folder)
  }

  async #writeTemporary(target: string, bytes: Buffer): Promise<string> {
    const temporary = temporaryFor(target)
    try {
      const file = await open(temporary, 'wx').catch((error: unknown) => {
        if (!isMissingFile(error)) throw error
        throw new TailraceError(
          'TABLE_MISSING',
          `The table at ${this.location} was removed while it was in use: there is no ${dirname(target)}.`,
          { cause: error },
        )
      })
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      return temporary
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async #checkLinks(folder: string): Promise<void> {
    const temporary = await this.#writeTemporary(join(folder, 'link-check'), Buffer.alloc(0))
    const linked = `${temporary}${temporarySuffix}`
    try {
      await link(temporary, linked)
    } catch (error) {
      if (!noLinkCodes.has(fileCode(error))) throw error
      throw new TailraceError(
        'TABLE_UNSUPPORTED',
        `The file system at ${this.location} has no hard links, so commits could overwrite one another.`,
        { cause: error },
      )
    } finally {
      await rm(linked, { force: true })
      await rm(temporary, { force: true })
    }
  }
}

async function removeOldTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(temporarySuffix)) continue
    const path = join(folder, name)
    try {
      const { mtimeMs } = await stat(path)
      if (Date.now() - mtimeMs > temporaryMaxAgeMs) await unlink(path)
    } catch (error) {
      if (!isMissingFile(error)) throw error
    }
  }
}

/**
 * Between volumes a file is copied under another name first, so that no one sees half of it.
 *
 * @param waiting the folder of the copy, if it is on the target's volume: one where what a killed process leaves is
 * cleared
 */
async function moveFile(from: string, to: string, waiting = dirname(to)): Promise<void> {
  try {
    return await rename(from, to)
  } catch (error) {
    if (fileCode(error) !== 'EXDEV') throw error
  }
  try {
    return await moveCopy(from, to, waiting)
  } catch (error) {
    if (fileCode(error) !== 'EXDEV') throw error
  }
  // A partition's folder can be a mount or a link of its own.
  await moveCopy(from, to, dirname(to))
}

async function moveCopy(from: string, to: string, folder: string): Promise<void> {
  const temporary = temporaryFor(join(folder, basename(to)))
  try {
    await copyFile(from, temporary)
    await syncFile(temporary)
    await rename(temporary, to)
  } catch (failure) {
    await rm(temporary, { force: true })
    throw failure
  }
  await rm(from, { force: true })
}

function temporaryFor(target: string): string {
  return join(dirname(target), `.${basename(target)}.${randomUUID()}${temporarySuffix}`)
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Makes the names of a table's own folder and of those above it durable. They were made with the table, by this process
 * or by one that was killed; what lies above them may belong to somebody else, who lets nobody read it.
 */
async function syncNamesAbove(location: string): Promise<void> {
  for (let folder = location; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      await syncFolder(dirname(folder))
    } catch (error) {
      if (!unreadableCodes.has(fileCode(error))) throw error
      return
    }
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder, and its file system makes a name durable with the file.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
