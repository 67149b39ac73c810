import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** CPU time of a thread, in seconds. */
export interface ThreadTime {
  readonly userSeconds: number
  readonly systemSeconds: number
}

const sampleEveryMs = 20
/** Unit of the times in /proc. */
const ticksPerSecond = 100

/**
 * Follows the CPU time of a process's threads until it has ended. What a thread does after its last sample is missing:
 * at most a few hundredths of a second.
 *
 * @returns by thread id; the main thread's is the process id
 */
export async function followThreads(pid: number): Promise<ReadonlyMap<number, ThreadTime>> {
  const times = new Map<number, ThreadTime>()
  for (;;) {
    const ids = await readdir(`/proc/${pid}/task`).catch(() => [])
    if (ids.length === 0) return times
    await Promise.all(
      ids.map(async (id) => {
        const stat = await readFile(`/proc/${pid}/task/${id}/stat`, 'utf8').catch(() => undefined)
        if (stat !== undefined) times.set(Number(id), timeIn(stat))
      }),
    )
    await delay(sampleEveryMs)
  }
}

/** Reads the user and system time, the 12th and 13th fields after the name in brackets. */
export function timeIn(stat: string): ThreadTime {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    userSeconds: Number(fields[11]) / ticksPerSecond,
    systemSeconds: Number(fields[12]) / ticksPerSecond,
  }
}
