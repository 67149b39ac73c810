import { readdirSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/**
 * A query takes the time that tailing leaves. Linux gives 45 shares of a busy core to a thread of this priority, and 1,024
 * to one that tails: two statements at once, with a thread each on every core, slow tailing by 9 %; 10 steps would by 21 %.
 */
export const prioritySteps = 14

/** Lowers the priority of this process, where that is allowed. Threads that begin later have the one of those that begin them. */
export function lowerPriority(): void {
  const priority = Math.min(constants.priority.PRIORITY_LOW, getPriority() + prioritySteps)
  for (const id of threads()) {
    try {
      setPriority(id, priority)
    } catch {
      // Not allowed here, or a thread that has ended: the page works all the same.
    }
  }
}

/** @returns their ids on Linux, where a priority is that of a thread; elsewhere this process */
function threads(): readonly number[] {
  try {
    return readdirSync('/proc/self/task').map(Number)
  } catch {
    return [process.pid]
  }
}
