import { randomUUID } from 'node:crypto'
import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { volumeNotFound } from './sql-failures.ts'
import { SqlFailure, type VolumeFiles } from './warehouse-engine.ts'

export interface VolumeEntry {
  readonly path: string
  readonly name: string
  readonly bytes: number
  readonly modifiedAtMs: number
}

/** Volumes in a directory on disk: a file's place below it is its volume path. */
export class DiskVolumes implements VolumeFiles {
  readonly #root: string
  readonly #volumes = new Set<string>()

  /** @param root a directory that exists and holds nothing else */
  constructor(root: string) {
    this.#root = root
  }

  /** The directory on disk that is prefixed to volume paths. */
  get root(): string {
    return this.#root
  }

  /** Makes a volume that can hold files; one that is there already stays as it is. */
  async create(catalog: string, schema: string, volume: string): Promise<void> {
    const name = [catalog, schema, volume].map((part) => part.toLowerCase())
    await mkdir(join(this.#root, 'Volumes', ...name), { recursive: true })
    this.#volumes.add(name.join('/'))
  }

  /** Keeps files as they are now. @returns where a reader finds them, even if they are removed */
  async kept(paths: readonly string[]): Promise<Pick<DiskVolumes, 'root' | 'onDisk'>> {
    const root = join(this.#root, `kept-${randomUUID()}`)
    for (const path of paths) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await link(this.onDisk(path), join(root, path))
    }
    return { root, onDisk: (path) => join(root, path) }
  }

  /** @returns the names of a schema's volumes */
  names(catalog: string, schema: string): readonly string[] {
    const prefix = `${catalog}/${schema}/`
    return [...this.#volumes]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
  }

  has(catalog: string, schema: string, volume: string): boolean {
    return this.#volumes.has(`${catalog}/${schema}/${volume}`)
  }

  /**
   * @returns the path without a scheme or doubled slashes, the volume's name in lower case
   * @throws SqlFailure when it is no path in a volume that exists
   */
  normalize(path: string): string {
    const parts = path
      .replace(/^dbfs:/, '')
      .split('/')
      .filter((part) => part !== '')
    const [top, catalog, schema, volume, ...rest] = parts
    if (top !== 'Volumes' || volume === undefined || parts.some((part) => part === '.' || part === '..')) {
      // Databricks' own message is not publicly documented.
      throw new SqlFailure('INVALID_PARAMETER_VALUE', '22023', `${path} is not a path in a volume.`)
    }
    const name = [catalog!, schema!, volume].map((part) => part.toLowerCase())
    if (!this.#volumes.has(name.join('/'))) throw volumeNotFound(name)
    return `/${['Volumes', ...name, ...rest].join('/')}`
  }

  onDisk(volumePath: string): string {
    return join(this.#root, this.normalize(volumePath))
  }

  async write(volumePath: string, content: Buffer): Promise<void> {
    const path = this.onDisk(volumePath)
    const incoming = join(this.#root, `incoming-${randomUUID()}`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(incoming, content)
    await rename(incoming, path)
  }

  async read(volumePath: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.onDisk(volumePath))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async exists(volumePath: string): Promise<boolean> {
    try {
      return (await stat(this.onDisk(volumePath))).isFile()
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  async remove(volumePath: string): Promise<boolean> {
    try {
      await rm(this.onDisk(volumePath))
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  async list(folder: string): Promise<readonly VolumeEntry[]> {
    const files: VolumeEntry[] = []
    for (const entry of (await this.entries(folder)) ?? []) {
      if (entry.name.endsWith('/')) files.push(...(await this.list(entry.path)))
      else files.push(entry)
    }
    return files
  }

  /** The files and folders right in a folder, these with a slash at the end of their names; undefined for no folder. */
  async entries(folder: string): Promise<readonly VolumeEntry[] | undefined> {
    const path = this.normalize(folder)
    const directory = join(this.#root, path)
    try {
      const found = await readdir(directory, { withFileTypes: true })
      const entries = found.map(async (entry): Promise<VolumeEntry> => {
        const { size, mtimeMs } = await stat(join(directory, entry.name))
        const name = entry.isDirectory() ? `${entry.name}/` : entry.name
        const bytes = entry.isDirectory() ? 0 : size
        return { path: `${path}/${name}`, name, bytes, modifiedAtMs: Math.floor(mtimeMs) }
      })
      return (await Promise.all(entries)).sort((a, b) => (a.path < b.path ? -1 : 1))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}
