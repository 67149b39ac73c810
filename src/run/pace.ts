/** Whether a pipeline reads older records, or records as they are appended. */
export type Phase = 'backfill' | 'following'

/** How fast a pipeline lands. */
export interface Pace {
  readonly phase: Phase
  readonly bytesPerSecond: number
  readonly rowsPerSecond: number
  /** How much of the backfill has landed; undefined while following. */
  readonly percent?: number | undefined
  /** Undefined while following, and when nothing lands. */
  readonly leftSeconds?: number | undefined
}

/** The totals of a pipeline at an instant. */
export interface PaceSample {
  readonly atMs: number
  readonly bytes: number
  readonly rows: number
  readonly lagBytes: number
}

/** The speed is the average of this time, so that it follows a change without jumping. */
const windowMs = 5_000

/** A pipeline has caught up when its lag is below the greater of this and of the bytes of five seconds. */
const caughtUpBytes = 1024 * 1024
const caughtUpSeconds = 5

/** It has fallen back into a backfill when its lag is above the greater of this and of the bytes of a minute. */
const fallenBackBytes = 64 * 1024 * 1024
const fallenBackSeconds = 60

/** Measures the pace of one pipeline from samples of its totals. */
export class PaceMeter {
  readonly #ends: boolean
  #samples: PaceSample[] = []
  #phase: Phase = 'backfill'
  /** The bytes landed when the backfill began. */
  #beganAt = 0

  /** @param ends whether the pipeline ends at the blobs' ends, and so never follows */
  constructor(ends: boolean) {
    this.#ends = ends
  }

  /** @param sample not older than the one before */
  note(sample: PaceSample): Pace {
    const { atMs, bytes, rows, lagBytes } = sample
    this.#samples.push(sample)
    while ((this.#samples[0]?.atMs ?? atMs) < atMs - windowMs) this.#samples.shift()
    const oldest = this.#samples[0] ?? sample
    const seconds = (atMs - oldest.atMs) / 1_000
    const bytesPerSecond = seconds > 0 ? (bytes - oldest.bytes) / seconds : 0
    const rowsPerSecond = seconds > 0 ? (rows - oldest.rows) / seconds : 0
    this.#changePhase(sample, bytesPerSecond)
    if (this.#phase === 'following') return { phase: 'following', bytesPerSecond, rowsPerSecond }
    const landed = bytes - this.#beganAt
    const total = landed + lagBytes
    return {
      phase: 'backfill',
      bytesPerSecond,
      rowsPerSecond,
      percent: total === 0 ? undefined : Math.floor((landed / total) * 100),
      leftSeconds: lagBytes > 0 && bytesPerSecond > 0 ? lagBytes / bytesPerSecond : undefined,
    }
  }

  #changePhase({ bytes, lagBytes }: PaceSample, bytesPerSecond: number): void {
    // Before the first listing, the lag is unknown.
    if (this.#ends || (lagBytes === 0 && bytes === 0)) return
    if (this.#phase === 'backfill') {
      if (lagBytes <= Math.max(caughtUpBytes, caughtUpSeconds * bytesPerSecond)) this.#phase = 'following'
    } else if (lagBytes > Math.max(fallenBackBytes, fallenBackSeconds * bytesPerSecond)) {
      this.#phase = 'backfill'
      this.#beganAt = bytes
    }
  }
}
