import type { LakehouseSink } from '../sinks/lakehouse-sink.ts'
import type { ByteBudget } from '../sources/tailing/byte-budget.ts'
import type { Batcher } from '../streams/batcher.ts'
import type { LaneMerge } from '../streams/lane-merge.ts'
import type { DiskSpaceMonitor } from '../streams/staging/disk-space-monitor.ts'
import type { LaneSchedule, QueuedBlobs } from './lanes/lane-schedule.ts'
import { failureLine } from './pipeline-failure.ts'

/** What a pipeline holds at one instant, for its health and metrics. Instants are in milliseconds since the epoch. */
export interface PipelinePulse {
  /** The last instant of which every complete line that storage had has landed, as far as storage has answered. */
  readonly landedUpToMs: number
  /** Since when the oldest row waits that was read and has not landed; undefined when none does. */
  readonly waitingSinceMs: number | undefined
  /** Rows in batches that have not landed. */
  readonly waitingRows: number
  /** Code and message of the last attempt to commit the current batch; undefined when none has failed. */
  readonly commitFailure: string | undefined
  /** Since when the stream is held because disk space is short. */
  readonly heldSinceMs: number | undefined
  readonly holds: number
  readonly heldMs: number
  /** Free bytes of the volume with the fewest, as last measured. */
  readonly freeBytes: number | undefined
  readonly minFreeBytes: number
  readonly queuedBlobs: QueuedBlobs
  /** Bytes that were requested, or read and not handed on. */
  readonly bufferedBytes: number
}

/** The stages that hold records which have not landed. `batcher` and `sink` exist only while the pipeline runs. */
export interface HoldingStages {
  readonly schedule: LaneSchedule
  readonly lanes: LaneMerge
  readonly diskSpace: DiskSpaceMonitor
  readonly budget: ByteBudget
  readonly batcher?: Batcher | undefined
  readonly sink?: LakehouseSink | undefined
}

/** @returns what the stages of a pipeline hold now */
export function pulseOf(stages: HoldingStages, nowMs: number): PipelinePulse {
  const { schedule, lanes, diskSpace, budget, batcher, sink } = stages
  const { heldSinceMs, counters } = diskSpace
  const waiting = batcher?.waiting
  const underWay = sink?.underWay
  const waits = [
    schedule.heldSinceMs,
    lanes.waitingSinceMs,
    heldSinceMs,
    waiting?.sinceMs,
    underWay?.sinceMs,
  ].filter((sinceMs) => sinceMs !== undefined)
  const waitingSinceMs = waits.toSorted((a, b) => a - b)[0]
  return {
    landedUpToMs: Math.min(schedule.handedOnUpToMs, waitingSinceMs ?? Number.POSITIVE_INFINITY),
    waitingSinceMs,
    waitingRows: (waiting?.rows ?? 0) + (underWay?.rows ?? 0),
    commitFailure: underWay?.failure === undefined ? undefined : failureLine(underWay.failure),
    heldSinceMs,
    holds: counters.holds,
    heldMs: counters.heldMs + (heldSinceMs === undefined ? 0 : nowMs - heldSinceMs),
    freeBytes: diskSpace.latestFreeBytes(),
    minFreeBytes: diskSpace.minFreeBytes,
    queuedBlobs: schedule.queuedBlobs,
    bufferedBytes: budget.heldBytes,
  }
}
