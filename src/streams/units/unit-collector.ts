import { Transform, type TransformCallback } from 'node:stream'
import type { Entry, EntryBlock, StoredEntries } from '../../records.ts'
import type { DiskSpaceMonitor } from '../staging/disk-space-monitor.ts'
import type { Staging } from '../staging/staging.ts'
import { placed, UnitFile } from './unit-file.ts'

export interface UnitCollectorOptions {
  /** Holds the files of large units. */
  readonly staging: Staging
  /** Repeats writes when the volume is full; without it they fail. */
  readonly diskSpace?: DiskSpaceMonitor | undefined
  /** Above this size, the entries of a unit are moved to a file. Default 1 MiB. */
  readonly maxHeldBytes?: number | undefined
}

/** Approximate memory of an entry without its text. It bounds a unit of many tiny records. */
const entryBytes = 128

/**
 * Joins the blocks of each unit into one block, so that all rows of a unit land in one batch.
 *
 * All entries of a unit have the unit's offset and length, and differ in their index. The entries of a large unit are
 * held in a staging file and passed on as `stored`; the stage that takes the block discards them. A unit without a last
 * block is dropped at the stream's end.
 */
export class UnitCollector extends Transform {
  #staging: Staging
  #diskSpace: DiskSpaceMonitor | undefined
  #maxHeldBytes: number
  #held: Entry[] = []
  #heldBytes = 0
  #file: UnitFile | undefined
  /** The file of the block that was pushed last, if it has one. */
  #pushed: StoredEntries | undefined
  #work: Promise<unknown> = Promise.resolve()
  #destroying = new AbortController()

  constructor(options: UnitCollectorOptions) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#staging = options.staging
    this.#diskSpace = options.diskSpace
    this.#maxHeldBytes = options.maxHeldBytes ?? 1024 * 1024
  }

  override _transform(block: EntryBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    const work = this.#collect(block)
    this.#work = work
    work.then((unit) => {
      if (unit === undefined || this.destroyed) {
        done()
        return
      }
      this.#pushed = unit.stored
      this.#file = undefined
      done(null, unit)
    }, done)
  }

  override _flush(done: TransformCallback): void {
    this.#discardUnit().then(() => done(), done)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#destroying.abort()
    // A block that the next stage has not taken is still owned here; the high-water mark admits at most one.
    const untaken = this.readableLength > 0 ? this.#pushed : undefined
    const release = async (): Promise<void> => {
      await this.#discardUnit()
      await untaken?.discard()
    }
    this.#work.then(release, release).then(() => callback(error))
  }

  async #collect(block: EntryBlock): Promise<EntryBlock | undefined> {
    if (block.restart) await this.#discardUnit()
    for (const entry of block.entries) {
      this.#held.push(entry)
      this.#heldBytes += entry.raw.length + (entry.json?.length ?? 0) + entryBytes
    }
    const { span, release } = block
    if (block.open) {
      if (this.#heldBytes > this.#maxHeldBytes) await this.#store()
      release?.()
      return undefined
    }
    if (this.#file !== undefined) await this.#store()
    const file = this.#file
    const held = this.#takeHeld()
    if (file === undefined)
      return { span, entries: held.map((entry, index) => placed(entry, span, index)), release }
    release?.()
    // This stage owns the file until the block is pushed.
    return { span, entries: [], stored: file.stored(span) }
  }

  async #store(): Promise<void> {
    if (this.#held.length === 0) return
    this.#file ??= await UnitFile.create(this.#staging, (write) => this.#withSpace(write))
    await this.#file.append(this.#takeHeld())
  }

  #takeHeld(): Entry[] {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    return held
  }

  /** Discards all entries of the current unit. */
  async #discardUnit(): Promise<void> {
    this.#takeHeld()
    const file = this.#file
    this.#file = undefined
    await file?.discard()
  }

  #withSpace<T>(write: () => Promise<T>): Promise<T> {
    return this.#diskSpace === undefined ? write() : this.#diskSpace.withSpace(write, this.#destroying.signal)
  }
}
