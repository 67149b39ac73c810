import type { SupervisedPipeline } from '../supervised-pipeline.ts'
import {
  type HealthLimits,
  type HealthReason,
  healthReason,
  type Probe,
  uncommittedSinceMs,
  unreadyReasons,
} from './health.ts'
import type { MeasuredPipeline } from './metric-families.ts'

export interface MonitorOptions {
  /** The names of all pipelines, those included that have not been created yet. */
  readonly names: () => readonly string[]
  readonly pipelines: () => readonly SupervisedPipeline[]
  readonly limits: () => HealthLimits
  /** Since when a stop should have ended; undefined while there is time. */
  readonly stopOverdueSinceMs: () => number | undefined
  readonly nowMs: () => number
}

/** Judges and measures the pipelines of a process, for probes and metrics. */
export class Monitor {
  readonly #options: MonitorOptions
  readonly #startedAtMs: number

  constructor(options: MonitorOptions) {
    this.#options = options
    this.#startedAtMs = options.nowMs()
  }

  reasonsAgainst(probe: Probe): readonly HealthReason[] {
    switch (probe) {
      case 'livez':
        return this.#overdueStop()
      case 'readyz':
        return this.#ofEach((pipeline) => this.#unready(pipeline))
      case 'startupz':
        return this.#ofEach((pipeline) => (pipeline.hasOpened ? [] : this.#unready(pipeline)))
    }
  }

  measure(): readonly MeasuredPipeline[] {
    const { pipelines, nowMs } = this.#options
    const now = nowMs()
    const secondsSince = (instantMs: number | undefined): number =>
      instantMs === undefined ? 0 : Math.max(0, now - instantMs) / 1000
    return pipelines().map((pipeline) => {
      const { name, counters, statistics, requests, failuresByCode, pulse, isRunning, lagBytes } = pipeline
      return {
        name,
        counters,
        statistics,
        requests: requests.counts,
        failuresByCode,
        pulse,
        isRunning,
        isReady: this.#unready(pipeline, pulse).length === 0,
        lagBytes,
        serverLags: pipeline.serverLags(),
        lagSeconds: secondsSince(pulse?.landedUpToMs ?? pipeline.landedUpToMs),
        commitAgeSeconds: secondsSince(pipeline.lastLanded?.atMs ?? this.#startedAtMs),
        waitingSeconds: secondsSince(uncommittedSinceMs(pipeline, pulse)),
        batchAgeSeconds: pipeline.batchAgeMs / 1000,
        storageSilentSeconds: secondsSince(pipeline.storageUnansweredSinceMs),
        openLanes: pipeline.laneCount,
        setAsideBlobs: pipeline.setAside.length,
      }
    })
  }

  #unready(pipeline: SupervisedPipeline, pulse = pipeline.pulse): readonly HealthReason[] {
    const { limits, nowMs } = this.#options
    return unreadyReasons(pipeline, pulse, limits(), nowMs())
  }

  #ofEach(judge: (pipeline: SupervisedPipeline) => readonly HealthReason[]): readonly HealthReason[] {
    const { names, pipelines } = this.#options
    return names().flatMap((name) => {
      const pipeline = pipelines().find((one) => one.name === name)
      return pipeline === undefined
        ? [healthReason('PIPELINE_STARTING', this.#startedAtMs, 'its source is being connected to', name)]
        : judge(pipeline)
    })
  }

  /** An event loop that is stuck needs no reason of its own: nothing answers then, and the probe's own limit counts. */
  #overdueStop(): readonly HealthReason[] {
    const sinceMs = this.#options.stopOverdueSinceMs()
    if (sinceMs === undefined) return []
    return [healthReason('STOP_OVERDUE', sinceMs, 'the stop has not ended within stopMs')]
  }
}
