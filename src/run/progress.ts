import type { PipelineCounters } from './landing-log.ts'

/** The numbers of a pipeline that its part of the line shows. */
interface PipelineProgress {
  readonly name: string
  readonly counters: PipelineCounters
  /** Bytes of its blobs, as last seen, that are not landed yet. */
  readonly lagBytes: number
}

/** The bytes that a pipeline had landed at an instant. */
interface Sample {
  readonly atMs: number
  readonly bytes: number
}

/** The speed is the average of this time, so that it follows a change without jumping. */
const windowMs = 5_000

/** Renders one line with the bytes landed, the speed and the remaining time of each pipeline. */
export class ProgressLine {
  #pipelines: readonly PipelineProgress[]
  #samples = new Map<string, Sample[]>()

  constructor(pipelines: readonly PipelineProgress[]) {
    this.#pipelines = pipelines
  }

  render(nowMs: number): string {
    return this.#pipelines.map((pipeline) => this.#describe(pipeline, nowMs)).join('   ')
  }

  #describe({ name, counters, lagBytes }: PipelineProgress, nowMs: number): string {
    const { bytes } = counters
    const samples = this.#samples.get(name) ?? []
    samples.push({ atMs: nowMs, bytes })
    while ((samples[0]?.atMs ?? nowMs) < nowMs - windowMs) samples.shift()
    this.#samples.set(name, samples)

    const [oldest] = samples
    const seconds = (nowMs - (oldest?.atMs ?? nowMs)) / 1000
    const bytesPerSecond = seconds > 0 ? (bytes - (oldest?.bytes ?? 0)) / seconds : 0
    const total = bytes + lagBytes
    const part = total === 0 ? 100 : Math.floor((bytes / total) * 100)
    const speed = `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`
    const eta = lagBytes > 0 && bytesPerSecond > 0 ? `, ${duration(lagBytes / bytesPerSecond)} left` : ''
    return `${name}: ${amount(bytes)} of ${amount(total)} (${part}%), ${speed}${eta}`
  }
}

function amount(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}
