import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { type RetryEvent, type RetryPolicy, retry } from '../../retry.ts'
import type { BlobRead, BlobReader } from '../blob-reader.ts'
import { overlapBytes } from '../recognition/fingerprint.ts'
import type { ByteBudget } from './byte-budget.ts'

export interface RangesAheadOptions {
  readonly reader: BlobReader
  readonly blobName: string
  /** Bytes of one range. */
  readonly rangeBytes: number
  /** Ranges asked for before it is their turn, at most. */
  readonly readsAhead: number
  readonly budget: ByteBudget
  /** Whether ranges are due before those of a backlog. */
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
  /** So many of the answer's first bytes lie before the range: they were read before, and have to be the same. */
  readonly overlap: number
  /** What the budget holds for it. */
  readonly heldBytes: number
  /** It was asked for before its turn: what it tells may be older than what was read since. */
  readonly isEarly: boolean
}

interface PendingRange {
  readonly start: number
  readonly end: number
  readonly overlap: number
  readonly heldBytes: number
  readonly reading: Promise<BlobRead>
  /** Ends the request; its answer does not matter any more. */
  readonly abort: () => void
}

/**
 * The ranges of one blob, in order, some of them asked for ahead of their turn and all within the budget.
 *
 * Every request begins up to 64 bytes early. A healthy blob always has a byte there, so "nothing new" never depends on
 * how a server answers an empty range; and what was read before has to be there still, or it is another blob by now.
 */
export class RangesAhead {
  #options: RangesAheadOptions
  #pending: PendingRange[] = []

  constructor(options: RangesAheadOptions) {
    this.#options = options
  }

  /** Takes the answer for the range that begins at `offset`; asks for it if nobody has. */
  async take(offset: number, until: number, ifNoneMatch?: string): Promise<RangeAnswer> {
    const isEarly = this.#pending[0]?.start === offset
    if (!isEarly) this.#pending.unshift(await this.#ask(offset, until, ifNoneMatch))
    const range = this.#pending.shift() as PendingRange
    const { overlap, heldBytes } = range
    try {
      const read = await range.reading
      // Of an answer that came short, the rest is asked for next; what follows it stays as it is.
      return { read, overlap, heldBytes, isEarly }
    } catch (error) {
      this.#options.budget.give(heldBytes)
      throw error
    }
  }

  /** Asks for the ranges from `offset` up to `end`, as far as the limits allow it now. */
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

  /** Lets go of what was asked for ahead: its answers do not matter any more. */
  drop(): void {
    for (const { heldBytes, abort } of this.#pending.splice(0)) {
      abort()
      this.#options.budget.give(heldBytes)
    }
  }

  async #ask(offset: number, until: number, ifNoneMatch: string | undefined): Promise<PendingRange> {
    const { rangeBytes, budget, urgent, signal } = this.#options
    // Up to the next range that is on its way.
    const end = Math.min(until, this.#pending[0]?.start ?? Number.POSITIVE_INFINITY, offset + rangeBytes)
    const range = rangeOf(offset, end)
    if (!budget.tryTake(range.heldBytes)) {
      // Whoever waits holds nothing: two lanes with ranges ahead would else wait for each other.
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
    const request = {
      offset: start - overlap,
      maxBytes: heldBytes,
      signal,
      ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    }
    const readOnce = async (): Promise<BlobRead> => {
      const read = await reader.read(blobName, request)
      if (read.kind === 'bytes' && read.bytes.length <= overlap && read.totalBytes > start) {
        throw new TailraceError('SOURCE_UNAVAILABLE', `An answer for ${blobName} broke off at once.`, {
          context: { offset: start },
        })
      }
      return read
    }
    const reading = retry(readOnce, { policy, clock, signal, giveUp, onRetry }).finally(() =>
      outer.removeEventListener('abort', abort),
    )
    // A read ahead that fails is reported when it is taken, not as an unhandled rejection.
    reading.catch(() => {})
    return { reading, abort }
  }
}

type Range = Omit<PendingRange, 'reading' | 'abort'>

function rangeOf(start: number, end: number): Range {
  const overlap = Math.min(overlapBytes, start)
  return { start, end, overlap, heldBytes: overlap + end - start }
}
