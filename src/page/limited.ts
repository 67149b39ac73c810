import { type Clock, Deadline } from '../clock.ts'

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
  const deadline = new Deadline(clock, 'result', maxMs, AbortSignal.any([...signals]))
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
