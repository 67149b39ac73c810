import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { makeDirectory } from '../../../offsets/state-files.ts'
import { type Counted, countsText, parseCounts } from './unit-counts.ts'

const compressed = promisify(gzip)
const decompressed = promisify(gunzip)

/** Counts that nobody has asked for in this time may be of files that the tables no longer have. */
const maxAgeMs = 14 * 24 * 3_600_000

/** All counts together, in bytes; the oldest go first. */
const maxBytes = 256 * 1024 * 1024
const maxFiles = 20_000

const suffix = '.json.gz'

/**
 * Counts of units in a directory of their own, one file each. They are a cache: losing them costs the time to count again,
 * so they are written without waiting for the disk, and a file that cannot be read is as good as none.
 */
export class CountsStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async read(key: string): Promise<Counted | undefined> {
    try {
      return parseCounts(String(await decompressed(await readFile(this.#pathOf(key)))))
    } catch {
      return undefined
    }
  }

  /**
   * @returns the bytes written
   * @throws the system's error
   */
  async write(key: string, counts: Counted): Promise<number> {
    await makeDirectory(this.#directory)
    const path = this.#pathOf(key)
    // Two processes may count the same files.
    const fresh = `${path}.${process.pid}.new`
    try {
      const bytes = await compressed(countsText(counts), { level: 1 })
      await writeFile(fresh, bytes)
      await rename(fresh, path)
      return bytes.length
    } catch (error) {
      await rm(fresh, { force: true })
      throw error
    }
  }

  /** Removes counts of other files than `live` that are old, and the oldest beyond a total of bytes or files. */
  async clean(live: ReadonlySet<string>, nowMs: number): Promise<void> {
    const names = await readdir(this.#directory).catch(() => [])
    const files: { readonly path: string; readonly key: string; bytes: number; readonly atMs: number }[] = []
    for (const name of names) {
      const path = join(this.#directory, name)
      const found = await stat(path).catch(() => undefined)
      if (found === undefined) continue
      files.push({ path, key: name.slice(0, -suffix.length), bytes: found.size, atMs: found.mtimeMs })
    }
    files.sort((a, b) => b.atMs - a.atMs)
    let bytes = 0
    for (const [index, file] of files.entries()) {
      bytes += file.bytes
      const isOld = !live.has(file.key) && nowMs - file.atMs > maxAgeMs
      if (isOld || bytes > maxBytes || index >= maxFiles) await rm(file.path, { force: true })
    }
  }

  #pathOf(key: string): string {
    return join(this.#directory, `${key}${suffix}`)
  }
}
