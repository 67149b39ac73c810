import type { Clock } from '../clock.ts'
import { type BlobGeneration, type GenerationMark, generationKey } from '../records.ts'
import type { LandedOffsets } from './landed-offsets.ts'
import type { LoadIntent } from './load-intent.ts'
import type { FileOffsetStore, OffsetFile } from './offset-file.ts'

export interface OffsetMirrorOptions {
  readonly store: Pick<FileOffsetStore, 'write'>
  /** What the file knew when the pipeline was opened. */
  readonly marks: readonly GenerationMark[]
  readonly intent?: LoadIntent | undefined
  readonly clock: Clock
}

/** Up to this many blobs the file is written after every commit; it then takes about as long as the commit itself. */
const smallBlobCount = 2_000

/** A larger file is written this often at most: it only follows the table. */
const largeFileMs = 30_000

/** Keeps the offset file behind the table, and in it what each generation is recognized by. */
export class OffsetMirror {
  #store: Pick<FileOffsetStore, 'write'>
  #marks = new Map<string, GenerationMark>()
  #clock: Clock
  #writtenAtMs = Number.NEGATIVE_INFINITY
  #unwritten: { readonly offsets: LandedOffsets; readonly tableVersion: number | undefined } | undefined

  #intent: LoadIntent | undefined
  /** The end of the last write. */
  #writing: Promise<void> = Promise.resolve()

  constructor({ store, marks, intent, clock }: OffsetMirrorOptions) {
    this.#store = store
    this.#intent = intent
    this.#clock = clock
    for (const mark of marks) this.note(mark)
  }

  /** What a generation is recognized by. */
  markOf(source: BlobGeneration): GenerationMark | undefined {
    return this.#marks.get(generationKey(source))
  }

  /** Remembers what a generation is recognized by; the next write stores it. */
  note(mark: GenerationMark): void {
    this.#marks.set(generationKey(mark), mark)
  }

  /** What a sink that holds no offsets was about to do. */
  get intent(): LoadIntent | undefined {
    return this.#intent
  }

  /** Writes offsets that nothing else holds, and what is about to be done or, with `undefined`, is done: at once. */
  async record(offsets: LandedOffsets, intent: LoadIntent | undefined): Promise<void> {
    await this.#inTurn(async () => {
      const before = this.#intent
      this.#intent = intent
      this.#unwritten = { offsets, tableVersion: undefined }
      try {
        await this.#write()
      } catch (error) {
        this.#intent = before
        throw error
      }
    })
  }

  async write(offsets: LandedOffsets, tableVersion: number | undefined): Promise<void> {
    this.#unwritten = { offsets, tableVersion }
    const dueAtMs = this.#writtenAtMs + (offsets.blobCount <= smallBlobCount ? 0 : largeFileMs)
    if (this.#clock.now() >= dueAtMs) await this.flush()
  }

  /** Writes what a pause has held back. */
  async flush(): Promise<void> {
    await this.#inTurn(() => this.#write())
  }

  /** One write at a time: a pipeline that ends flushes while its last batch may still be recorded. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(write)
    this.#writing = written.catch(() => {})
    return written
  }

  async #write(): Promise<void> {
    const unwritten = this.#unwritten
    if (unwritten === undefined) return
    const { offsets, tableVersion } = unwritten
    await this.#store.write(offsets, {
      tableVersion,
      markOf: (source) => this.markOf(source),
      intent: this.#intent,
    })
    if (this.#unwritten === unwritten) this.#unwritten = undefined
    this.#writtenAtMs = this.#clock.now()
  }
}

/** How an offset file compares with the table, which is the truth. */
export type OffsetFinding =
  | { readonly kind: 'equal' }
  /** There is no file, though the table has offsets. */
  | { readonly kind: 'missing' }
  /** The file says less than the table: the process ended between the commit and the mirror. */
  | { readonly kind: 'behind'; readonly blobs: readonly string[] }
  /** The file claims bytes that the table does not have: one of them was restored, replaced or edited. */
  | { readonly kind: 'ahead'; readonly blobs: readonly string[] }

/** Compares an offset file with the table's own offsets. */
export function compareOffsets(file: OffsetFile | undefined, table: LandedOffsets): OffsetFinding {
  if (file === undefined) return table.blobCount === 0 ? { kind: 'equal' } : { kind: 'missing' }
  const ahead = [...file.offsets].filter((claimed) => claimed.offset > (table.get(claimed) ?? 0))
  if (ahead.length > 0) return { kind: 'ahead', blobs: ahead.map(generationKey) }
  const behind = [...table].filter((landed) => landed.offset > (file.offsets.get(landed) ?? -1))
  return behind.length > 0 ? { kind: 'behind', blobs: behind.map(generationKey) } : { kind: 'equal' }
}
