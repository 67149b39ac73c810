import { isTailraceError } from '../../errors.ts'
import { type ArchivedOffset, hasFactsOf, maxSoughtBlobs } from '../../offsets/archived-offsets.ts'
import { type LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { type BlobGeneration, type GenerationMark, generationKey } from '../../records.ts'
import type { CommitterArchive } from '../table-committer.ts'
import { type ArchiveContext, OffsetArchive } from './archive/offset-archive.ts'
import type { Transactions } from './log/offsets.ts'

export interface PipelineOffsetsOptions extends ArchiveContext {
  /** The transactions of the newest known version. */
  readonly transactions: () => Transactions
  /** Reads the commits of others. Not called by `offsetsOf`. */
  readonly refresh: () => Promise<void>
  /** Whether the pipeline lands a blob, by `source_blob`. */
  readonly landsBlob: (blob: string) => boolean
  /** How a generation is recognized, as far as this process knows. Default: by nothing. */
  readonly markOf?: ((source: BlobGeneration) => GenerationMark | undefined) | undefined
  /** Called with how an archived generation is recognized, when its offset comes into memory. */
  readonly onRecalled?: ((mark: GenerationMark) => void) | undefined
  /** Called with a generation whose offset is in the archive alone from now on. */
  readonly onForgotten?: ((source: BlobGeneration) => void) | undefined
}

/** Offsets of one archive that lacks facts by which their generations are recognized. */
export interface UnmarkedOffsets {
  /** Of the archive. */
  readonly instantMs: number
  readonly offsets: readonly LandedOffset[]
}

/**
 * One pipeline's part of a table's offsets. Those in the log of the newest version are in memory; the archive is read when
 * one of its offsets is needed.
 *
 * An offset that moves into the archive stays in memory until `forget`, because a lane may go on from it.
 */
export class PipelineOffsets implements CommitterArchive {
  readonly #options: PipelineOffsetsOptions
  #known: { readonly transactions: Transactions; readonly offsets: LandedOffsets } | undefined
  #archive: OffsetArchive | undefined
  #hasOwn = false
  /** Whether `#known` may have offsets that are in the archive alone, beside those of `#archive`'s own instant. */
  #hasRecalled = false
  #forgottenAtMs: number | undefined
  /** Offsets of the archive of `#forgottenAtMs` that stay in memory, because their marks are not in it. */
  #unmarked = new Map<string, LandedOffset>()
  /** Reads of the archive share its local files. */
  readonly #reads = new SerialQueue()

  constructor(options: PipelineOffsetsOptions) {
    this.#options = options
  }

  get hasOwn(): boolean {
    return this.#hasOwn
  }

  /** Opens the archive, if the table has one. @throws TABLE_CORRUPT when it is missing */
  async open(): Promise<void> {
    const archive = await this.#reads.run(() => this.#current())
    if (archive === undefined || this.landed().blobCount > 0) return
    this.#hasOwn = await this.#reads.run(() => archive.some(this.#options.landsBlob))
  }

  /** Releases local copies of the archive. */
  async close(): Promise<void> {
    await this.#reads.run(() => this.#options.files.keepOnly([]))
  }

  /** See `TableCommitter.landed`. */
  landed(): LandedOffsets {
    const transactions = this.#options.transactions()
    if (this.#known?.transactions !== transactions) {
      const offsets = new LandedOffsets()
      const { landsBlob } = this.#options
      const set = (landed: LandedOffset): void => {
        if (landsBlob(landed.blob)) offsets.set(landed)
      }
      // The table was loaded again. Offsets that its log no longer has are kept: they may be in the archive, where the next
      // commit looks them up.
      if (transactions.archivedAtMs !== undefined) {
        for (const landed of this.#known?.offsets ?? []) offsets.set(landed)
        this.#hasRecalled = true
      }
      for (const landed of transactions.landed) set(landed)
      transactions.listen(set)
      offsets.archivedCount = this.#archive?.count ?? 0
      this.#known = { transactions, offsets }
    }
    return this.#known.offsets
  }

  mayHave(source: BlobGeneration): boolean {
    return this.#archive?.mayHave(source) === true && this.landed().get(source) === undefined
  }

  async find(blobs: readonly string[]): Promise<readonly ArchivedOffset[]> {
    const { transactions, refresh } = this.#options
    const before = transactions().archivedAtMs
    try {
      return await this.#find(blobs)
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT')) throw error
      // A process that has not landed for a week knows an archive whose files a vacuum has deleted.
      await refresh()
      if (transactions().archivedAtMs === before) throw error
      return this.#find(blobs)
    }
  }

  #find(blobs: readonly string[]): Promise<readonly ArchivedOffset[]> {
    return this.#reads.run(async () => {
      for (;;) {
        const archive = await this.#current()
        const found = (await archive?.find(blobs)) ?? []
        // Read again when the table has got another archive meanwhile.
        const transactions = this.#options.transactions()
        if (transactions.archivedAtMs !== archive?.instantMs) continue
        return found.filter((one) => transactions.landed.get(one) === undefined)
      }
    })
  }

  async recall(blobs: readonly string[]): Promise<void> {
    for (const { mark, ...landed } of await this.find(blobs)) {
      this.landed().set(landed)
      this.#hasRecalled = true
      if (mark !== undefined) this.#options.onRecalled?.(mark)
    }
  }

  async forget(isNeeded: (blob: string) => boolean): Promise<void> {
    const archive = await this.#reads.run(() => this.#current())
    if (archive === undefined || (!this.#hasRecalled && archive.instantMs === this.#forgottenAtMs)) return
    if (archive.instantMs !== this.#forgottenAtMs) this.#unmarked.clear()
    this.#forgottenAtMs = archive.instantMs
    this.#hasRecalled = false
    const archivedOnly = [...this.landed()].filter((one) => this.#isForgettable(one))
    await this.#keepUnmarked(archivedOnly.filter(({ blob }) => !isNeeded(blob)))
    // A lane may have begun to read a blob while the archive was read.
    for (const landed of archivedOnly) {
      if (!this.#isForgettable(landed)) continue
      if (isNeeded(landed.blob)) this.#hasRecalled = true
      else {
        this.landed().delete(landed)
        this.#options.onForgotten?.(landed)
      }
    }
  }

  /** The offsets that stay in memory until an archive has all facts about them. */
  get unmarked(): UnmarkedOffsets | undefined {
    if (this.#forgottenAtMs === undefined || this.#unmarked.size === 0) return undefined
    return { instantMs: this.#forgottenAtMs, offsets: [...this.#unmarked.values()] }
  }

  #isForgettable(landed: LandedOffset): boolean {
    const { landed: resident } = this.#options.transactions()
    return resident.get(landed) === undefined && !this.#unmarked.has(generationKey(landed))
  }

  /**
   * Another process archives offsets without the marks that only this one has. Without its mark, a blob that is copied
   * would land again, and one that is overwritten would go on in the middle.
   */
  async #keepUnmarked(idle: readonly LandedOffset[]): Promise<void> {
    const { markOf = () => undefined } = this.#options
    const marked = idle.filter((one) => markOf(one) !== undefined)
    for (let from = 0; from < marked.length; from += maxSoughtBlobs) {
      const some = marked.slice(from, from + maxSoughtBlobs)
      const archived = await this.find(some.map(({ blob }) => blob))
      const marks = new Map(archived.map((one) => [generationKey(one), one.mark]))
      for (const one of some) {
        const key = generationKey(one)
        if (marks.has(key) && !hasFactsOf(marks.get(key), markOf(one))) this.#unmarked.set(key, one)
      }
    }
  }

  /**
   * Looks up the offsets of some generations, whichever pipeline lands them. The table must stay at its version until the
   * result is there.
   *
   * @returns a function that has the answer for these generations
   */
  async offsetsOf(
    sources: readonly BlobGeneration[],
  ): Promise<(source: BlobGeneration) => number | undefined> {
    const { landed } = this.#options.transactions()
    const archive = await this.#reads.run(() => this.#current())
    const archived = new Map<string, number>()
    const asked = sources.filter((one) => landed.get(one) === undefined && archive?.mayHave(one) === true)
    if (asked.length > 0) {
      for (const one of await this.#find(asked.map(({ blob }) => blob)))
        archived.set(generationKey(one), one.offset)
    }
    for (const { blob, generation } of asked) {
      const offset = archived.get(generationKey({ blob, generation }))
      if (offset !== undefined) this.landed().set({ blob, generation, offset })
    }
    this.#hasRecalled ||= archived.size > 0
    return (source) => landed.get(source) ?? archived.get(generationKey(source))
  }

  /** The archive of the newest known version. */
  async #current(): Promise<OffsetArchive | undefined> {
    const instantMs = this.#options.transactions().archivedAtMs
    if (this.#archive?.instantMs === instantMs) return this.#archive
    this.#archive = instantMs === undefined ? undefined : await OffsetArchive.open(instantMs, this.#options)
    if (this.#known !== undefined) this.#known.offsets.archivedCount = this.#archive?.count ?? 0
    return this.#archive
  }
}
