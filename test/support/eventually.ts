import { setTimeout as delay } from 'node:timers/promises'

const limitMs = 60_000
const pauseMs = 10

/**
 * Looks again and again until a condition holds, for what tells nobody when it happens, such as a file.
 *
 * @throws after a minute
 */
export async function eventually(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error(`No ${what} in ${limitMs} ms.`)
    await delay(pauseMs)
  }
}
