import { type Clock, Deadline } from '../clock.ts'

/** A query of a room takes no longer. */
export const maxQueryMs = 60_000

/**
 * Runs work with a signal that fires after a limited time, or when one of others does.
 *
 * `AbortSignal.timeout` is not used: Node 20 drops such a signal when only `AbortSignal.any` refers to it.
 */
export async function limited<Result>(
  clock: Clock,
  maxMs: number,
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const [only, ...more] = signals
  // A composed signal stays in memory for as long as a signal that it is composed of, such as that of a client who follows.
  const outer = more.length === 0 ? only : AbortSignal.any([...signals])
  const deadline = new Deadline(clock, 'result', maxMs, outer)
  try {
    return await work(deadline.signal)
  } catch (error) {
    // What an interrupted statement reports is not why it was interrupted.
    deadline.signal.throwIfAborted()
    throw error
  } finally {
    deadline.clear()
  }
}
