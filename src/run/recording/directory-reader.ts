import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { instantOf } from '../../records.ts'
import type { BlobRead, BlobReader, ListedPage, ListRequest, ReadRequest } from '../../sources/blob-reader.ts'

/** Reads the files of a directory as append blobs, whose names begin with a prefix. */
export class DirectoryReader implements BlobReader {
  readonly container: string
  readonly #directory: string
  readonly #prefix: string
  /** The instant of a file's creation by its name: file systems do not all keep one. */
  readonly #createdAtOf: (file: string) => Date | undefined

  constructor(
    container: string,
    directory: string,
    prefix: string,
    createdAtOf: (file: string) => Date | undefined,
  ) {
    this.container = container
    this.#directory = directory
    this.#prefix = prefix
    this.#createdAtOf = createdAtOf
  }

  async read(blobName: string, { offset, maxBytes, ifNoneMatch }: ReadRequest): Promise<BlobRead> {
    const name = blobName.slice(this.#prefix.length)
    const file = await open(join(this.#directory, name)).catch(ifMissing)
    if (file === undefined) return { kind: 'missing', what: 'blob' }
    try {
      const { size, mtimeMs } = await file.stat()
      const etag = `${size}-${mtimeMs}`
      if (etag === ifNoneMatch) return { kind: 'unchanged' }
      if (offset >= size) return { kind: 'nothing-there' }
      const bytes = Buffer.allocUnsafe(Math.min(maxBytes, size - offset))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset)
      return {
        kind: 'bytes',
        bytes: bytes.subarray(0, bytesRead),
        totalBytes: size,
        etag,
        createdAt: instantOf(this.#createdAtOf(name)),
        blobType: 'append',
      }
    } finally {
      await file.close()
    }
  }

  /** All files are on one page. */
  async listPage({ prefix }: ListRequest): Promise<ListedPage> {
    const names = (await readdir(this.#directory).catch(ifMissing)) ?? []
    const blobs = await Promise.all(
      names.toSorted().map(async (file) => {
        const name = `${this.#prefix}${file}`
        const stats = await stat(join(this.#directory, file)).catch(ifMissing)
        if (stats === undefined || !name.startsWith(prefix) || this.#createdAtOf(file) === undefined)
          return []
        const createdAt = instantOf(this.#createdAtOf(file))
        return [{ name, bytes: stats.size, createdAt, modifiedAtMs: stats.mtimeMs }]
      }),
    )
    return { blobs: blobs.flat(), folders: [], next: undefined }
  }
}

function ifMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
