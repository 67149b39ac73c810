import { isTailraceError } from '../errors.ts'
import type { LandedBatch } from '../records.ts'

/** Upper bounds of the buckets, in seconds: from an append to a local table to a warehouse that has to start. */
const bucketSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] as const

/** Durations counted by upper bound, as a histogram of Prometheus. */
export class DurationHistogram {
  #counts = bucketSeconds.map(() => 0)
  #count = 0
  #sumSeconds = 0

  observe(seconds: number): void {
    this.#count += 1
    this.#sumSeconds += seconds
    const bucket = bucketSeconds.findIndex((bound) => seconds <= bound)
    if (bucket >= 0) this.#counts[bucket]! += 1
  }

  get count(): number {
    return this.#count
  }

  get sumSeconds(): number {
    return this.#sumSeconds
  }

  /** The buckets, the one without a bound left out; counts are not cumulative. */
  get buckets(): readonly { readonly boundSeconds: number; readonly count: number }[] {
    return bucketSeconds.map((boundSeconds, index) => ({ boundSeconds, count: this.#counts[index]! }))
  }
}

/** Batches that are remembered. */
const maxRecent = 120

/** A batch that has landed. */
export interface RecentCommit {
  readonly atMs: number
  readonly tableVersion: number | undefined
  readonly rows: number
  readonly rejected: number
  /** Bytes of the blobs. */
  readonly bytes: number
  readonly encodeMs: number
  readonly commitMs: number
}

/** Numbers of a pipeline since the start of the process, over all its runs. */
export class PipelineStatistics {
  readonly encodeSeconds = new DurationHistogram()
  readonly commitSeconds = new DurationHistogram()
  readonly #rejectedByReason = new Map<string, number>()
  readonly #retriesByCode = new Map<string, number>()
  readonly #recent: RecentCommit[] = []

  get rejectedByReason(): ReadonlyMap<string, number> {
    return this.#rejectedByReason
  }

  /** Failed attempts that were repeated, by error code. */
  get retriesByCode(): ReadonlyMap<string, number> {
    return this.#retriesByCode
  }

  /** The last batches, oldest first. */
  get recentCommits(): readonly RecentCommit[] {
    return this.#recent
  }

  noteCommit(commit: RecentCommit): void {
    this.#recent.push(commit)
    if (this.#recent.length > maxRecent) this.#recent.shift()
  }

  noteLanded({ encodeMs, commitMs, rejectedBy }: LandedBatch): void {
    this.encodeSeconds.observe(encodeMs / 1000)
    this.commitSeconds.observe(commitMs / 1000)
    for (const [reason, rows] of Object.entries(rejectedBy ?? {})) add(this.#rejectedByReason, reason, rows)
  }

  noteRetry(error: unknown): void {
    add(this.#retriesByCode, isTailraceError(error) ? error.code : 'UNEXPECTED', 1)
  }
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
