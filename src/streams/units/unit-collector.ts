import { randomUUID } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import type { Entry, EntryBlock, StoredEntries } from '../../records.ts'
import type { DiskSpaceMonitor } from '../staging/disk-space-monitor.ts'
import type { Staging } from '../staging/staging.ts'
import { placed, UnitFile } from './unit-file.ts'

export interface UnitCollectorOptions {
  /** Where the entries of large units wait. */
  readonly staging: Staging
  /** Repeats writes that find the volume full; without it they fail. */
  readonly diskSpace?: DiskSpaceMonitor
  /** Entries of a unit go to a file from this many bytes on. Default 1 MiB. */
  readonly maxHeldBytes?: number
}

/** What an entry takes in memory beside its text, roughly: without it, a unit of tiny records would never be large. */
const entryBytes = 128

/**
 * Puts the blocks of each unit together, so that all its rows land in one batch.
 *
 * Out comes one block per unit, whose entries all have the unit's place and differ in their index. A large unit's
 * entries wait in a staging file, and its block carries them as `stored`; whoever takes the block discards them. A
 * unit without a last block is dropped at the stream's end.
 */
export class UnitCollector extends Transform {
  #staging: Staging
  #diskSpace: DiskSpaceMonitor | undefined
  #maxHeldBytes: number
  #held: Entry[] = []
  #heldBytes = 0
  #file: UnitFile | undefined
  /** The file of the block that was handed on last. */
  #handedOn: StoredEntries | undefined
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
      if (unit.stored !== undefined) {
        this.#handedOn = unit.stored
        this.#file = undefined
      }
      done(null, unit)
    }, done)
  }

  override _flush(done: TransformCallback): void {
    this.#forget().then(() => done(), done)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#destroying.abort()
    // A block that nobody has taken has no other owner; the high-water mark lets at most one wait here.
    const untaken = this.readableLength > 0 ? this.#handedOn : undefined
    const release = async (): Promise<void> => {
      await this.#forget()
      await untaken?.discard()
    }
    this.#work.then(release, release).then(
      () => callback(error),
      (closing: Error) => callback(error ?? closing),
    )
  }

  async #collect(block: EntryBlock): Promise<EntryBlock | undefined> {
    if (block.restart) await this.#forget()
    for (const entry of block.entries) {
      this.#held.push(entry)
      this.#heldBytes += entry.raw.length + (entry.json?.length ?? 0) + entryBytes
    }
    if (block.open) {
      if (this.#heldBytes > this.#maxHeldBytes) await this.#store()
      return undefined
    }
    const { span } = block
    if (this.#file !== undefined) await this.#store()
    const file = this.#file
    const held = this.#takeHeld()
    if (file === undefined) return { span, entries: held.map((entry, index) => placed(entry, span, index)) }
    // The file stays this stage's to remove until the block has been handed on.
    return { span, entries: [], stored: file.stored(span) }
  }

  async #store(): Promise<void> {
    if (this.#held.length === 0) return
    this.#file ??= await UnitFile.create(this.#staging.unitPath(randomUUID()), (write) =>
      this.#withSpace(write),
    )
    await this.#file.append(this.#takeHeld())
  }

  #takeHeld(): Entry[] {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    return held
  }

  /** Drops what the unit has so far. */
  async #forget(): Promise<void> {
    this.#takeHeld()
    const file = this.#file
    this.#file = undefined
    await file?.discard()
  }

  #withSpace<T>(write: () => Promise<T>): Promise<T> {
    return this.#diskSpace === undefined ? write() : this.#diskSpace.withSpace(write, this.#destroying.signal)
  }
}
