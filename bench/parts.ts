import type { BlobsResult } from './measures/blobs.ts'
import type { CommitTimes } from './measures/commits.ts'
import type { CompactionResult } from './measures/compaction.ts'
import type { DatabricksResult } from './measures/databricks.ts'
import type { IdleResult } from './measures/idle.ts'
import type { LatencyResult } from './measures/latency.ts'
import type { ListingRun } from './measures/listing.ts'
import type { OpeningTimes } from './measures/opening.ts'
import type { PageResult } from './measures/page.ts'
import type { StartResult } from './measures/start.ts'
import type { ThroughputResult } from './measures/throughput.ts'
import type { WritersResult } from './measures/writers.ts'
import type { MachineFacts } from './reports/machine.ts'

/** The parts of the bench and their results. */
export interface PartResults {
  readonly throughput: ThroughputResult
  /** Tailrace alone on a much larger input. */
  readonly large: ThroughputResult
  readonly blobs: BlobsResult
  readonly listing: readonly ListingRun[]
  readonly idle: readonly IdleResult[]
  readonly latency: readonly LatencyResult[]
  readonly start: StartResult
  readonly commits: readonly CommitTimes[]
  readonly writers: readonly WritersResult[]
  readonly opening: readonly OpeningTimes[]
  readonly compaction: CompactionResult
  readonly databricks: DatabricksResult
  readonly page: PageResult
}

export type Part = keyof PartResults

/** In the order in which they run. */
export const parts = [
  'throughput',
  'large',
  'blobs',
  'listing',
  'idle',
  'latency',
  'start',
  'commits',
  'writers',
  'opening',
  'compaction',
  'databricks',
  'page',
] as const satisfies readonly Part[]

/** A part's result, and where and how it was measured. */
export interface Measured<Result> {
  readonly machine: MachineFacts
  readonly rounds: number
  /** Whether it only shows that everything runs. */
  readonly isSmoke: boolean
  readonly result: Result
}

/** The parts that ran. */
export type BenchResults = { readonly [Name in Part]?: Measured<PartResults[Name]> | undefined }
