import { type ArchivedOffset, type ArchivedOffsets, newerOf } from '../../../offsets/archived-offsets.ts'
import { type BlobGeneration, generationKey, generationParts } from '../../../records.ts'
import { type LoadContext, loadState } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { hasArchiveFormat } from '../protocol/features.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import type { ArchiveFiles } from './archive-files.ts'
import {
  type ArchiveFile,
  type ArchiveManifest,
  lostArchive,
  newestManifest,
  readManifest,
} from './archive-manifest.ts'

export interface ArchiveContext {
  readonly storage: DeltaStorage
  readonly files: ArchiveFiles
}

/**
 * Checks a table whose log has just been read. A log may have lost the transaction that names the archive: another engine's
 * checkpoint may have left it out, and with it every archived offset. A table without manifests is a clone, whose offsets
 * are taken from its rows.
 *
 * @throws TABLE_CORRUPT when the log of a table that has an archive does not name it
 */
export async function requireArchive(state: ArchiveNaming, { storage, engine }: LoadContext): Promise<void> {
  if (!lacksArchive(state)) return
  const manifest = await newestManifest(storage)
  if (manifest === undefined) return
  // A clone's first archive may be under way: it changes the format before it stores a manifest.
  const newest = await loadState(storage, engine, { keepFiles: false })
  if (newest !== undefined && lacksArchive(newest)) throw lostArchive(storage, manifest)
}

type ArchiveNaming = Pick<TableState, 'metaData' | 'transactions'>

/** Whether a table has the format of tables with an archive, and none: it is a clone, or the log has lost it. */
export function lacksArchive({ metaData, transactions }: ArchiveNaming): boolean {
  return transactions.archivedAtMs === undefined && hasArchiveFormat(metaData)
}

/** The offset archive of a table at one version. */
export class OffsetArchive implements ArchivedOffsets {
  /** The version of the transaction that names it. */
  readonly instantMs: number
  readonly #manifest: ArchiveManifest
  readonly #files: ArchiveFiles
  readonly #bounds: readonly FileBounds[]

  private constructor(instantMs: number, manifest: ArchiveManifest, files: ArchiveFiles) {
    this.instantMs = instantMs
    this.#manifest = manifest
    this.#files = files
    this.#bounds = manifest.files.map((file) => ({
      file,
      first: Buffer.from(file.firstBlob),
      last: Buffer.from(file.lastBlob),
    }))
  }

  /** @throws TABLE_CORRUPT when its manifest is missing or cannot be read */
  static async open(instantMs: number, { storage, files }: ArchiveContext): Promise<OffsetArchive> {
    const manifest = await readManifest(storage, instantMs)
    await files.keepOnly(manifest.files)
    return new OffsetArchive(instantMs, manifest, files)
  }

  get count(): number {
    return this.#manifest.files.reduce((sum, { offsets }) => sum + offsets, 0)
  }

  /** Its files, oldest first. */
  get files(): ArchiveManifest['files'] {
    return this.#manifest.files
  }

  /** Whether it may have a generation, as far as its manifest shows: it has none that was created lately. */
  mayHave({ blob, generation }: BlobGeneration): boolean {
    const instant = generationParts(generation)[0]
    const bytes = Buffer.from(blob)
    return this.#bounds.some((bounds) => instant <= bounds.file.lastInstant && overlaps(bounds, bytes, bytes))
  }

  async find(blobs: readonly string[]): Promise<readonly ArchivedOffset[]> {
    if (blobs.length === 0) return []
    const sorted = blobs.map((blob) => Buffer.from(blob)).sort(Buffer.compare)
    const [first, last] = [sorted[0]!, sorted.at(-1)!]
    const files = this.#bounds.filter((bounds) => overlaps(bounds, first, last)).map(({ file }) => file)
    if (files.length === 0) return []
    const found = new Map<string, ArchivedOffset>()
    for (const one of await this.#files.find(files, sorted.map(String))) {
      const key = generationKey(one)
      const earlier = found.get(key)
      found.set(key, earlier === undefined ? one : newerOf(earlier, one))
    }
    return [...found.values()]
  }

  replaced(): Promise<readonly string[]> {
    return this.#files.replaced(this.#manifest.files)
  }

  each(take: (offsets: readonly ArchivedOffset[]) => Promise<boolean>): Promise<void> {
    return this.#files.each(this.#manifest.files, take)
  }

  /** Whether it has any blob for which `test` holds; reads up to the first one. */
  async some(test: (blob: string) => boolean): Promise<boolean> {
    let isFound = false
    for (const file of this.#manifest.files) {
      if (isFound) break
      await this.#files.eachBlob(file, async (blobs) => {
        isFound = blobs.some(test)
        return !isFound
      })
    }
    return isFound
  }
}

/** Bytes are compared: for some characters, JavaScript's order of text is another one than the engine's. */
interface FileBounds {
  readonly file: ArchiveFile
  readonly first: Buffer
  readonly last: Buffer
}

/** Whether a file may have blobs from `first` to `last`. */
function overlaps(bounds: FileBounds, first: Buffer, last: Buffer): boolean {
  return Buffer.compare(bounds.first, last) <= 0 && Buffer.compare(first, bounds.last) <= 0
}
