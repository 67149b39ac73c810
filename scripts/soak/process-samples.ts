import { readdirSync, readFileSync } from 'node:fs'

/** What a process held at one moment. */
export interface ProcessSample {
  readonly rssMiB: number
  /** Open file descriptors: files, sockets and the like. */
  readonly handles: number
  readonly threads: number
}

/** Medians of the second and the last third of a process's life; its first third is warming up. */
export interface ProcessTrend {
  readonly samples: number
  readonly middle: ProcessSample
  readonly late: ProcessSample
}

/** Memory of the allocator that comes and goes, in MiB and as a part. */
const spareMiB = 24
const sparePart = 0.1
/** Connections that come and go. */
const spareHandles = 8
const spareThreads = 2
const minSamples = 30

/** @returns undefined when the process has ended */
export function sampleProcess(pid: number): ProcessSample | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
    return {
      rssMiB: Math.round(number('VmRSS') / 1024),
      handles: readdirSync(`/proc/${pid}/fd`).length,
      threads: number('Threads'),
    }
  } catch {
    return undefined
  }
}

/** @throws when there are too few samples to say anything */
export function trendOf(samples: readonly ProcessSample[]): ProcessTrend {
  if (samples.length < minSamples) throw new Error(`Only ${samples.length} samples: the soak is too short.`)
  const third = Math.floor(samples.length / 3)
  const medians = (part: readonly ProcessSample[]): ProcessSample => {
    const median = (of: (sample: ProcessSample) => number): number =>
      part.map(of).toSorted((a, b) => a - b)[part.length >> 1]!
    return {
      rssMiB: median(({ rssMiB }) => rssMiB),
      handles: median(({ handles }) => handles),
      threads: median(({ threads }) => threads),
    }
  }
  return {
    samples: samples.length,
    middle: medians(samples.slice(third, 2 * third)),
    late: medians(samples.slice(2 * third)),
  }
}

/** @returns what grows, in words; nothing when the process is flat */
export function growthOf({ middle, late }: ProcessTrend): readonly string[] {
  const limits: readonly [keyof ProcessSample, number][] = [
    ['rssMiB', middle.rssMiB * (1 + sparePart) + spareMiB],
    ['handles', middle.handles + spareHandles],
    ['threads', middle.threads + spareThreads],
  ]
  return limits.flatMap(([name, limit]) =>
    late[name] > limit ? [`${name} grew from ${middle[name]} to ${late[name]}`] : [],
  )
}
