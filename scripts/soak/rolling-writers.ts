import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { jsonlogLine } from '../../test/support/log-lines.ts'
import type { TestStorage } from '../../test/support/storage.ts'

const serverCount = 6
/** An hour of the servers, in milliseconds: each begins a blob of its own. */
const hourMs = 20_000
/** Some records still go to the hour before, for this part of an hour. */
const latePart = 0.2
const appendEveryMs = 200
const maxLinesPerAppend = 60

/** What the servers wrote. */
export interface WrittenLogs {
  readonly lines: number
  /** The names of all blobs. */
  readonly blobs: readonly string[]
}

/**
 * Several servers that log into one blob an hour each, until the signal. They reach storage without faults.
 *
 * @returns when the last append has ended
 */
export async function writeRollingHours(
  storage: TestStorage,
  seed: number,
  signal: AbortSignal,
): Promise<WrittenLogs> {
  const blobs = new Set<string>()
  let lines = 0
  const beganAtMs = Date.now()
  const write = async (server: number): Promise<void> => {
    const random = seededRandom(seed + server)
    let written = 0
    while (!signal.aborted) {
      const hours = (Date.now() - beganAtMs) / hourMs
      const hour = Math.floor(hours)
      const isLate = hour > 0 && hours - hour < latePart && random.next() < 0.5
      const blob = `servers/h=${String(isLate ? hour - 1 : hour).padStart(4, '0')}/server-${server}.json`
      const count = random.between(1, maxLinesPerAppend)
      const text = Array.from({ length: count }, () => `${jsonlogLine(written++, `server ${server}`)}\n`)
      await storage.append(blob, text.join(''))
      blobs.add(blob)
      lines += count
      await delay(appendEveryMs, undefined, { signal }).catch(() => {})
    }
  }
  await Promise.all(Array.from({ length: serverCount }, (_, server) => write(server)))
  return { lines, blobs: [...blobs].sort() }
}
