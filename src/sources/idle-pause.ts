/** How much longer each pause gets while nothing new is found. */
const idleFactor = 1.5

/** @returns the pause that follows one after which nothing new was found, in milliseconds */
export function longerPause(pauseMs: number, mostMs: number): number {
  return Math.min(mostMs, pauseMs * idleFactor)
}
