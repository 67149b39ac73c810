import type { Clock } from '../../../clock.ts'
import type { Histogram, RecordFilter } from '../../api.ts'
import type { FoundTable } from '../found-tables.ts'

/** A reply waits no longer for counts, so that the first one comes at once and later ones show progress. */
export const countingMs = 1_000

/** What a histogram shows, and the part of it that one reply counts. */
export interface Grid {
  /** Of the filter, or of all records when the first reply was made. */
  readonly fromMs: number
  readonly toMs: number
  readonly bucketMs: number
  /** Records from here on were counted by earlier replies. */
  readonly beforeMs: number
}

export interface Limits {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** A histogram under way. */
export interface Counting {
  readonly found: readonly FoundTable[]
  readonly filter: RecordFilter
  readonly grid: Grid
  readonly tally: Tally
}

/** What a reply has counted. */
export interface Reach {
  /** All records from here on are counted. */
  readonly countedFromMs: number
  readonly filesRead: number
}

/** Counts of records by name and bucket. */
export class Tally {
  readonly #by: Histogram['by']
  readonly #grid: { readonly firstMs: number; readonly bucketMs: number; readonly buckets: number }
  readonly series = new Map<string, number[]>()
  total = 0

  constructor(by: Histogram['by'], grid: Tally['grid']) {
    this.#by = by
    this.#grid = grid
  }

  get by(): Histogram['by'] {
    return this.#by
  }

  get grid(): { readonly firstMs: number; readonly bucketMs: number; readonly buckets: number } {
    return this.#grid
  }

  /** @param name null for records without a value */
  add(name: string | null, bucket: number, count: number): void {
    if (bucket < 0 || bucket >= this.#grid.buckets) return
    const key = name ?? 'none'
    const counts = this.series.get(key) ?? Array<number>(this.#grid.buckets).fill(0)
    this.series.set(key, counts)
    counts[bucket]! += count
    this.total += count
  }
}
