import { randomUUID } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { Transform, type TransformCallback } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { TailraceError } from '../errors.ts'
import { SerialQueue } from '../offsets/serial-queue.ts'
import { withStateErrors } from '../offsets/state-files.ts'
import {
  type Batch,
  type Entry,
  type EntryBlock,
  generationKey,
  type Span,
  type SpoolRows,
  spanBytes,
  touches,
} from '../records.ts'
import { collectGarbage, longRowBytes } from './staging/collect-garbage.ts'
import type { DiskSpaceMonitor } from './staging/disk-space-monitor.ts'
import { RowLengths } from './staging/row-lengths.ts'
import { spoolRowTexts } from './staging/spool.ts'
import { type Staging, writeAt } from './staging/staging.ts'
import { setSpanIndex } from './staging/usual-rows.ts'

export interface BatcherOptions {
  /** Holds the spool files. */
  readonly staging: Staging
  /** Repeats writes when the volume is full; without it they fail. */
  readonly diskSpace?: DiskSpaceMonitor | undefined
  /** Seals a batch at this many source bytes; a run's first batch has at most 16 MiB. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  /** Seals a batch at this many rows. Default 1,000,000. */
  readonly maxRows?: number | undefined
  /** Seals a batch this long after its first block, in milliseconds. Default 10,000. */
  readonly maxAgeMs?: number | undefined
  /** Seals a batch at the next multiple of this time since 1970 instead, in milliseconds. Default none. */
  readonly landEveryMs?: number | undefined
  readonly clock?: Clock | undefined
}

/** Rows on their way into the table. */
export interface WaitingRows {
  /** When the first of them arrived, in milliseconds since the epoch. */
  readonly sinceMs: number
  readonly rows: number
}

/** Maximum size of one write to the spool. */
const maxWriteBytes = 1024 * 1024

/** Limit of a run's first batch, in source bytes, so that encoding begins early. More short batches would cost more CPU. */
const firstBatchBytes = 16 * 1024 * 1024

/** The batch that is being filled. */
interface OpenBatch {
  readonly id: string
  readonly spoolPath: string
  readonly file: FileHandle
  readonly openedAtMs: number
  readonly spans: Span[]
  readonly spanIndexes: Map<string, number>
  sourceBytes: number
  spoolBytes: number
  readonly lengths: RowLengths
  rejected: number
  /** Bytes of rows in the batcher's buffer, behind those in the file. */
  heldBytes: number
}

/**
 * Writes entries to a spool file, and seals it as a batch when it reaches a number of bytes or rows, or an age.
 *
 * Only whole blocks enter a batch, so each span of a batch ends on a newline or with a unit. While a sealed batch still
 * waits for the sink, age does not seal the next one: a slow sink gets larger batches instead of more of them.
 */
export class Batcher extends Transform {
  #staging: Staging
  #diskSpace: DiskSpaceMonitor | undefined
  #maxBytes: number
  /** Limit of the open batch. */
  #sealBytes: number
  #maxRows: number
  #maxAgeMs: number
  #landEveryMs: number | undefined
  #clock: Clock
  #batch: OpenBatch | undefined
  /** The batches that have not been read from this stream, oldest first; older ones may precede them. */
  #sealed: Batch[] = []
  /** Rows of the open batch that are written together. */
  #held = Buffer.allocUnsafeSlow(maxWriteBytes)
  #cancelAgeTimer = (): void => {}
  /** Blocks, and seals by age, work on the same open batch. */
  #work = new SerialQueue()
  #destroying = new AbortController()

  constructor(options: BatcherOptions) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#staging = options.staging
    this.#diskSpace = options.diskSpace
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024
    this.#sealBytes = Math.min(this.#maxBytes, firstBatchBytes)
    this.#maxRows = options.maxRows ?? 1_000_000
    this.#maxAgeMs = options.maxAgeMs ?? 10_000
    this.#landEveryMs = options.landEveryMs
    this.#clock = options.clock ?? systemClock
  }

  /** The rows that this stage holds, in the open batch and in sealed ones; undefined when it holds no batch. */
  get waiting(): WaitingRows | undefined {
    this.#forgetRead()
    const open = this.#batch
    const oldest = this.#sealed[0] ?? open
    if (oldest === undefined) return undefined
    const rows = this.#sealed.reduce((sum, { rows }) => sum + rows, open?.lengths.rows ?? 0)
    return { sinceMs: oldest.openedAtMs, rows }
  }

  override _transform(block: EntryBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#enqueue(() => this.#take(block)).then(() => done(), done)
  }

  override _flush(done: TransformCallback): void {
    this.#enqueue(() => this.#seal()).then(() => done(), done)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#cancelAgeTimer()
    this.#destroying.abort()
    const discard = async (): Promise<void> => {
      // A batch that was being opened at the first call has started its timer since.
      this.#cancelAgeTimer()
      const batch = this.#batch
      this.#batch = undefined
      // Its content is not needed any more, whatever became of it.
      await batch?.file.close().catch(() => {})
      if (batch !== undefined) await this.#staging.remove(batch.spoolPath)
      this.#forgetRead()
      for (const { spoolPath } of this.#sealed) await this.#staging.remove(spoolPath)
    }
    this.#work.run(discard).then(
      () => callback(error),
      (closing: Error) => callback(error ?? closing),
    )
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    return this.#work.run(async () => {
      // After a failed step the open batch may be incomplete, and must not be sealed.
      if (!this.destroyed) await withStateErrors(this.#staging.directory, step)
    })
  }

  async #take(block: EntryBlock): Promise<void> {
    try {
      await this.#add(block)
    } finally {
      await block.stored?.discard()
      block.release?.()
    }
  }

  async #add(block: EntryBlock): Promise<void> {
    const batch = this.#batch ?? (await this.#open())
    const spanIndex = this.#spanIndexFor(batch, block.span)
    if (block.usual !== undefined) await this.#spoolUsual(batch, block.usual, spanIndex)
    if (block.entries.length > 0) await this.#spool(batch, block.entries, spanIndex)
    // All rows of a unit must land in one commit, so the batch is not sealed between its slices, whatever its size.
    for await (const entries of block.stored?.read() ?? []) {
      await this.#spool(batch, entries, spanIndex)
    }
    batch.spans[spanIndex] = { ...(batch.spans[spanIndex] as Span), end: block.span.end }
    batch.sourceBytes += spanBytes(block.span)
    if (batch.sourceBytes < this.#sealBytes && batch.lengths.rows < this.#maxRows) return
    this.#sealBytes = this.#maxBytes
    await this.#seal()
  }

  async #spoolUsual(batch: OpenBatch, rows: SpoolRows, spanIndex: number): Promise<void> {
    setSpanIndex(rows, spanIndex)
    batch.lengths.addAll(rows.starts, rows.bytes.length, rows.longestRowBytes)
    for (let from = 0; from < rows.bytes.length; ) {
      if (batch.heldBytes === maxWriteBytes) await this.#writeHeld(batch)
      const copied = rows.bytes.copy(this.#held, batch.heldBytes, from)
      batch.heldBytes += copied
      from += copied
    }
    rows.release()
  }

  async #spool(batch: OpenBatch, entries: readonly Entry[], spanIndex: number): Promise<void> {
    let longest = 0
    for (const entry of entries) {
      let rowBytes = 0
      for (const text of spoolRowTexts(entry, spanIndex)) {
        rowBytes += text.length
        for (let from = 0; from < text.length; ) {
          if (batch.heldBytes === maxWriteBytes) await this.#writeHeld(batch)
          const end = Math.min(text.length, from + maxWriteBytes - batch.heldBytes)
          batch.heldBytes += this.#held.write(text.slice(from, end), batch.heldBytes, 'latin1')
          from = end
        }
      }
      longest = Math.max(longest, rowBytes)
      batch.lengths.add(rowBytes)
      if (entry.reject !== undefined) batch.rejected += 1
    }
    if (longest > longRowBytes) collectGarbage()
  }

  async #writeHeld(batch: OpenBatch): Promise<void> {
    const bytes = this.#held.subarray(0, batch.heldBytes)
    await this.#withSpace(async () => {
      // Written at a fixed position: after a full volume, the repeated write overwrites the partial one.
      await writeAt(batch.file, bytes, batch.spoolBytes)
    })
    batch.spoolBytes += bytes.length
    batch.heldBytes = 0
  }

  #spanIndexFor(batch: OpenBatch, span: Span): number {
    const key = generationKey(span)
    const index = batch.spanIndexes.get(key)
    if (index === undefined) {
      batch.spanIndexes.set(key, batch.spans.length)
      return batch.spans.push({ ...span, end: span.start }) - 1
    }
    if (!touches(batch.spans[index] as Span, span)) {
      throw new TailraceError(
        'SPAN_GAP',
        `A block of ${span.blob} begins at byte ${span.start}, but the batch ends at byte ${batch.spans[index]?.end}.`,
        {
          context: { expected: batch.spans[index]?.end, found: span.start },
        },
      )
    }
    return index
  }

  async #open(): Promise<OpenBatch> {
    const id = randomUUID()
    const spoolPath = this.#staging.spoolPath(id)
    const file = await this.#withSpace(() => open(spoolPath, 'wx'))
    this.#batch = {
      id,
      spoolPath,
      file,
      openedAtMs: this.#clock.now(),
      spans: [],
      spanIndexes: new Map(),
      sourceBytes: 0,
      spoolBytes: 0,
      lengths: new RowLengths(),
      rejected: 0,
      heldBytes: 0,
    }
    const every = this.#landEveryMs
    this.#sealAfter(every === undefined ? this.#maxAgeMs : every - (this.#clock.now() % every))
    return this.#batch
  }

  #sealAfter(ms: number): void {
    this.#cancelAgeTimer = this.#clock.after(ms, () => this.#sealByAge())
  }

  #sealByAge(): void {
    if (this.readableLength > 0) {
      this.#sealAfter(Math.min(this.#maxAgeMs, 250))
      return
    }
    this.#enqueue(() => this.#seal()).catch((error: Error) => this.destroy(error))
  }

  async #seal(): Promise<void> {
    const batch = this.#batch
    if (batch === undefined) return
    this.#cancelAgeTimer()
    if (batch.heldBytes > 0) await this.#writeHeld(batch)
    this.#batch = undefined
    await batch.file.close()
    const { id, spoolPath, openedAtMs, spans, spoolBytes, rejected, lengths } = batch
    const sealed: Batch = {
      id,
      spoolPath,
      spans,
      rows: lengths.rows,
      rejected,
      spoolBytes,
      longestRowBytes: lengths.longest,
      largestVectorBytes: lengths.largestVector,
      openedAtMs,
      sealedAtMs: this.#clock.now(),
    }
    if (this.destroyed) {
      await this.#staging.remove(batch.spoolPath)
      return
    }
    this.#forgetRead()
    this.#sealed.push(sealed)
    this.push(sealed)
  }

  /** A batch that was read belongs to the sink, which removes its spool. */
  #forgetRead(): void {
    this.#sealed.splice(0, this.#sealed.length - this.readableLength)
  }

  #withSpace<T>(write: () => Promise<T>): Promise<T> {
    return this.#diskSpace === undefined ? write() : this.#diskSpace.withSpace(write, this.#destroying.signal)
  }
}
