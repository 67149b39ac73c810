import type { ArchivedOffset } from '../../src/offsets/archived-offsets.ts'
import { generationKey, generationParts } from '../../src/records.ts'
import type { ArchiveFiles } from '../../src/sinks/delta/archive/archive-files.ts'
import {
  type ArchiveFile,
  archiveFolder,
  missingFile,
} from '../../src/sinks/delta/archive/archive-manifest.ts'
import type { DeltaStorage } from '../../src/sinks/delta/storage/delta-storage.ts'

/** Archive files as JSON, for tables without an engine. */
export class MemoryArchiveFiles implements ArchiveFiles {
  readonly #storage: DeltaStorage
  readonly #nextName: () => string

  constructor(storage: DeltaStorage, nextName: () => string) {
    this.#storage = storage
    this.#nextName = nextName
  }

  async write(offsets: Iterable<ArchivedOffset>): Promise<readonly ArchiveFile[]> {
    return [await this.#write(offsets)]
  }

  async #write(offsets: Iterable<ArchivedOffset>): Promise<ArchiveFile> {
    const sorted = [...offsets].sort((a, b) => (generationKey(a) < generationKey(b) ? -1 : 1))
    const bytes = Buffer.from(JSON.stringify(sorted))
    const name = `${this.#nextName()}.json`
    await this.#storage.put(`${archiveFolder}/${name}`, bytes)
    return {
      name,
      offsets: sorted.length,
      bytes: bytes.length,
      firstBlob: sorted[0]!.blob,
      lastBlob: sorted.at(-1)!.blob,
      lastInstant: sorted
        .map(({ generation }) => generationParts(generation)[0])
        .sort()
        .at(-1)!,
    }
  }

  async merge(files: readonly ArchiveFile[]): Promise<ArchiveFile> {
    return this.#write(await this.#newest(files))
  }

  async find(files: readonly ArchiveFile[], blobs: readonly string[]): Promise<readonly ArchivedOffset[]> {
    const each = await Promise.all(files.map((file) => this.#newest([file])))
    return each.flat().filter(({ blob }) => blobs.includes(blob))
  }

  async replaced(files: readonly ArchiveFile[]): Promise<readonly string[]> {
    const blobs = (await this.#newest(files)).map(({ blob }) => blob)
    return [...new Set(blobs.filter((blob, index) => blobs.indexOf(blob) !== index))]
  }

  async each(
    files: readonly ArchiveFile[],
    take: (offsets: readonly ArchivedOffset[]) => Promise<boolean>,
  ): Promise<void> {
    await take(await this.#newest(files))
  }

  async eachBlob(file: ArchiveFile, take: (blobs: readonly string[]) => Promise<boolean>): Promise<void> {
    await take((await this.#newest([file])).map(({ blob }) => blob))
  }

  async keepOnly(): Promise<void> {}

  async #newest(files: readonly ArchiveFile[]): Promise<readonly ArchivedOffset[]> {
    const newest = new Map<string, ArchivedOffset>()
    for (const { name } of files) {
      const path = `${archiveFolder}/${name}`
      const bytes = await this.#storage.read(path)
      if (bytes === undefined) throw missingFile(this.#storage, path)
      for (const one of JSON.parse(bytes.toString()) as ArchivedOffset[]) newest.set(generationKey(one), one)
    }
    return [...newest.values()]
  }
}
