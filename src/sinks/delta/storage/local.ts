import { randomUUID } from 'node:crypto'
import { copyFile, link, lstat, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { type Clock, systemClock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import { makeDirectory } from '../../../offsets/state-files.ts'
import { archiveFolder } from '../archive/archive-manifest.ts'
import type { DeltaStorage, FolderContents, LocalFile, PutOutcome, StoredObject } from './delta-storage.ts'
import { fileCode, isMissingFile, withFileErrors } from './file-errors.ts'

const temporarySuffix = '.tmp'

/** Age at which a temporary file is taken for a crashed writer's and deleted: no running commit takes an hour. */
const temporaryMaxAgeMs = 3_600_000

/** Files per page of a listing. Each file costs a system call, which a caller that stops early saves for later pages. */
const namesPerPage = 1_000

/** Codes for a folder that may not be read, or a file system that cannot sync folders. */
const unreadableCodes = new Set(['EACCES', 'EPERM', 'EINVAL', 'EROFS'])

/** Codes for a file system without hard links, or places between which a link is impossible. */
const noLinkCodes = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * A table in a directory of this machine.
 *
 * `link()` makes an object visible, because it fails when the name is taken and shows all bytes or none. `rename()` would
 * replace another writer's commit, and an exclusive open would show half-written ones. Not for network mounts, where the
 * result of `link()` can be wrong.
 */
export class LocalDeltaStorage implements DeltaStorage {
  readonly location: string
  readonly #durableFolders = new Set<string>()
  readonly #clock: Clock

  constructor(root: string, clock: Clock = systemClock) {
    this.location = resolve(root)
    this.#clock = clock
  }

  async prepare(): Promise<void> {
    await withFileErrors(this.location, async () => {
      const log = this.#pathOf('_delta_log')
      await this.#makeFolder(log)
      await syncNamesAbove(this.location)
      await this.#checkLinks(log)
      for (const folder of [log, this.#pathOf(archiveFolder)])
        await removeOldTemporaries(folder, this.#clock.now())
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
        // A leftover is harmless, but an error here would claim that nothing was created.
        await rm(temporary, { force: true }).catch(() => {})
      }
      // The object is already visible, so after a failed sync its durability is unknown.
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
      yield (await this.#inspect(folder, names.slice(from, from + namesPerPage))).objects
    }
  }

  async contentsOf(folder: string): Promise<FolderContents> {
    return this.#inspect(folder, await this.list(folder))
  }

  async #inspect(folder: string, names: readonly string[]): Promise<FolderContents> {
    return withFileErrors(folder, async () => {
      const objects: StoredObject[] = []
      const folders: string[] = []
      for (const name of names) {
        try {
          // Symbolic links are not followed: their targets do not belong to the table.
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
        // A vacuum may have removed the folder because it was empty.
        this.#durableFolders.delete(folder)
        await this.#makeFolder(folder)
        await moveFile(localPath, target, this.#pathOf('_delta_log'))
      }
      try {
        await syncFolder(folder)
      } catch (error) {
        await moveFile(target, localPath).catch(() => {})
        throw error
      }
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
   * Creates a folder of the table and makes its name durable in each parent up to the table's root: a synced file in a
   * folder that is lost is lost too. Parents are synced even if the folder exists, because a process may have been
   * killed between creating it and the sync.
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
          `The table at ${this.location} was removed while it was in use: ${dirname(target)} does not exist.`,
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
        `The file system at ${this.location} has no hard links, without which commits could overwrite one another.`,
        { cause: error },
      )
    } finally {
      await rm(linked, { force: true })
      await rm(temporary, { force: true })
    }
  }
}

async function removeOldTemporaries(folder: string, nowMs: number): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissingFile(error)) return []
    throw error
  })
  for (const name of names) {
    if (!name.endsWith(temporarySuffix)) continue
    const path = join(folder, name)
    try {
      const { mtimeMs } = await stat(path)
      if (nowMs - mtimeMs > temporaryMaxAgeMs) await unlink(path)
    } catch (error) {
      if (!isMissingFile(error)) throw error
    }
  }
}

/**
 * Moves a file. Between volumes it is copied to a temporary name first, so that no reader sees a partial file.
 *
 * @param temporaryFolder preferred folder of that copy: one from which leftovers of killed processes are deleted. Used
 * only when it is on the target's volume
 */
async function moveFile(from: string, to: string, temporaryFolder = dirname(to)): Promise<void> {
  try {
    return await rename(from, to)
  } catch (error) {
    if (fileCode(error) !== 'EXDEV') throw error
  }
  try {
    return await moveCopy(from, to, temporaryFolder)
  } catch (error) {
    if (fileCode(error) !== 'EXDEV') throw error
  }
  // A partition's folder may be on a third volume, through a mount or a symbolic link.
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
 * Makes the names of a table's folder and of its parents durable, because they may have been created together with the
 * table, also by a process that was killed before it could sync them. Stops at a parent that may not be read.
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
  // Windows cannot open folders, and its file system makes a name durable together with the file.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
