import type { Clock } from '../../clock.ts'
import type { LaneSchedule } from './lane-schedule.ts'

/** The schedule of a process whose source is one blob that another shard reads: it waits for the stop. */
export class NoLanes implements LaneSchedule {
  readonly lagBytes = 0
  readonly laneCount = 0
  readonly queuedBlobs = { live: 0, backlog: 0 }
  readonly heldSinceMs = undefined
  readonly setAside = []
  /** Whether the blob exists is for the other shard to say. */
  readonly hasFoundBlobs = true
  #clock: Clock
  #stopped = new AbortController()

  /** @param follow whether to wait at all: a drain ends at once */
  constructor(clock: Clock, follow: boolean) {
    this.#clock = clock
    if (!follow) this.stop()
  }

  get handedOnUpToMs(): number {
    return this.#clock.now()
  }

  knownBlobs(): readonly [] {
    return []
  }

  serverLags(): readonly [] {
    return []
  }

  run(): Promise<void> {
    const { signal } = this.#stopped
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  stop(): void {
    this.#stopped.abort()
  }

  fence(): void {}

  recordMarks(): void {}
}
