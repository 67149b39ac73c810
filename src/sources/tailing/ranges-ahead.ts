import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { type RetryEvent, type RetryPolicy, retry } from '../../retry.ts'
import type { BlobRead, BlobReader } from '../blob-reader.ts'
import { overlapBytes } from '../recognition/fingerprint.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { BytesRead } from './read-position.ts'

export interface RangesAheadOptions {
  readonly reader: BlobReader
  readonly blobName: string
  /** Bytes of one range. */
  readonly rangeBytes: number
  /** Ranges requested before their turn, at most. */
  readonly readsAhead: number
  /** A range that was read before. */
  readonly first?: { readonly start: number; readonly read: BytesRead } | undefined
  readonly budget: ByteBudget
  /** Whether ranges get bytes of the budget before those of a backlog. */
  readonly urgent: boolean
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly retry: Partial<RetryPolicy>
  readonly giveUp: (event: RetryEvent) => boolean
  readonly onRetry: (event: RetryEvent) => void
}

/** The answer to the request for one range. */
export interface RangeAnswer {
  readonly read: BlobRead
  /** Bytes of the answer that lie before the range: they were read before, and have to be the same. */
  readonly overlap: number
  /** Requested before its turn, so it may be older than the bytes read since. */
  readonly isEarly: boolean
}

interface PendingRange {
  readonly start: number
  readonly end: number
  readonly overlap: number
  readonly heldBytes: number
  readonly reading: Promise<BlobRead>
  /** Ends the request, whose answer is not wanted any more. */
  readonly abort: () => void
}

/**
 * Reads the ranges of one blob in order, some of them requested ahead of their turn, all within the budget.
 *
 * Every request begins up to 64 bytes early. A healthy blob always has a byte there, so "nothing new" never depends on
 * how a server answers an empty range; and the bytes read before have to be there still, or it is another generation.
 */
export class RangesAhead {
  #options: RangesAheadOptions
  #pending: PendingRange[] = []
  /** Bytes of the budget that the answer taken last still holds. */
  #takenBytes = 0

  constructor(options: RangesAheadOptions) {
    const { first, budget } = options
    this.#options = { ...options, first: undefined }
    if (first === undefined) return
    const { start, read } = first
    // Its bytes are in memory already, so without room in the budget they are not counted.
    const heldBytes = budget.tryTake(read.bytes.length) ? read.bytes.length : 0
    const range = { start, end: start + read.bytes.length, overlap: 0, heldBytes }
    this.#pending.push({ ...range, reading: Promise.resolve(read), abort: () => {} })
  }

  /** Takes the answer for the range that begins at `offset`, and requests it if that has not been done. */
  async take(offset: number, until: number, ifNoneMatch?: string): Promise<RangeAnswer> {
    const isEarly = this.#pending[0]?.start === offset
    if (!isEarly) this.#pending.unshift(await this.#ask(offset, until, ifNoneMatch))
    const range = this.#pending.shift() as PendingRange
    const { overlap, heldBytes } = range
    try {
      const read = await range.reading
      this.#takenBytes = heldBytes
      // After an answer that came short, its rest is requested next; the ranges behind it stay as they are.
      return { read, overlap, isEarly }
    } catch (error) {
      this.#options.budget.give(heldBytes)
      throw error
    }
  }

  /** Gives the budget back the bytes of the answer taken last, but for so many. */
  keepOnly(bytes: number): void {
    const surplus = this.#takenBytes - bytes
    if (surplus <= 0) return
    this.#takenBytes = bytes
    this.#options.budget.give(surplus)
  }

  /** Requests the ranges from `offset` up to `end`, as far as the limits allow it now. */
  askAhead(offset: number, end: number): void {
    const { readsAhead, rangeBytes, budget } = this.#options
    let start = this.#pending.at(-1)?.end ?? offset
    while (this.#pending.length < readsAhead && start < end) {
      const range = rangeOf(start, Math.min(end, start + rangeBytes))
      if (!budget.tryTake(range.heldBytes)) return
      this.#pending.push({ ...range, ...this.#read(range, undefined) })
      start = range.end
    }
  }

  /** Drops the ranges that were requested ahead. */
  drop(): void {
    for (const { heldBytes, abort } of this.#pending.splice(0)) {
      abort()
      this.#options.budget.give(heldBytes)
    }
  }

  /** Reads the blob's first byte, outside of the budget: what is asked for is the blob's state. */
  readHead(): Promise<BlobRead> {
    const { reader, blobName, signal, clock, retry: policy, giveUp, onRetry } = this.#options
    const readOnce = () => reader.read(blobName, { offset: 0, maxBytes: 1, signal })
    return retry(readOnce, { policy, clock, signal, giveUp, onRetry })
  }

  async #ask(offset: number, until: number, ifNoneMatch: string | undefined): Promise<PendingRange> {
    const { rangeBytes, budget, urgent, signal } = this.#options
    // Only up to the next range that is requested already.
    const end = Math.min(until, this.#pending[0]?.start ?? Number.POSITIVE_INFINITY, offset + rangeBytes)
    const range = rangeOf(offset, end)
    if (!budget.tryTake(range.heldBytes)) {
      // Holds nothing while it waits: otherwise two lanes with ranges ahead could wait for each other.
      this.drop()
      await budget.take(range.heldBytes, urgent, signal)
    }
    return { ...range, ...this.#read(range, ifNoneMatch) }
  }

  #read(
    { start, heldBytes, overlap }: Range,
    ifNoneMatch: string | undefined,
  ): Pick<PendingRange, 'reading' | 'abort'> {
    const { reader, blobName, signal: outer, clock, retry: policy, giveUp, onRetry } = this.#options
    const aborting = new AbortController()
    const { signal } = aborting
    const abort = (): void => aborting.abort(outer.reason)
    if (outer.aborted) abort()
    else outer.addEventListener('abort', abort, { once: true })
    const request = { offset: start - overlap, maxBytes: heldBytes, signal, ifNoneMatch }
    const readOnce = async (): Promise<BlobRead> => {
      const read = await reader.read(blobName, request)
      if (read.kind === 'bytes' && read.bytes.length <= overlap && read.totalBytes > start) {
        throw new TailraceError(
          'SOURCE_UNAVAILABLE',
          `The answer for ${blobName} ended before its first new byte.`,
          {
            context: { offset: start },
          },
        )
      }
      return read
    }
    const reading = retry(readOnce, { policy, clock, signal, giveUp, onRetry }).finally(() =>
      outer.removeEventListener('abort', abort),
    )
    // Reported when it is taken; until then it must not count as an unhandled rejection.
    reading.catch(() => {})
    return { reading, abort }
  }
}

type Range = Omit<PendingRange, 'reading' | 'abort'>

function rangeOf(start: number, end: number): Range {
  const overlap = Math.min(overlapBytes, start)
  return { start, end, overlap, heldBytes: overlap + end - start }
}
