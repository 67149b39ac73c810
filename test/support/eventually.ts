import { setTimeout as delay } from 'node:timers/promises'

const limitMs = 60_000
const pauseMs = 10

/**
 * Looks again and again until a condition holds, for what tells nobody when it happens, such as a file.
 *
 * It pauses for twice as long as a look takes: one that reads a table would take the CPU from those who fill it.
 *
 * @throws after a minute
 */
export async function eventually(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + limitMs; ; ) {
    const beganAtMs = performance.now()
    if (await condition()) return
    if (Date.now() > deadline) throw new Error(`No ${what} in ${limitMs} ms.`)
    await delay(Math.max(pauseMs, 2 * (performance.now() - beganAtMs)))
  }
}
