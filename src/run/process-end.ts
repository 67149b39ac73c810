import { statementsUnderWay } from '../sinks/encoding/engine.ts'

/** Signals that stop a run, with their numbers. SIGHUP is sent when a terminal closes or an ssh session ends. */
export const stopSignals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
export type StopSignal = keyof typeof stopSignals

/** The exit code by which shells report a process that a signal ended. */
export function exitCodeOf(signal: StopSignal): number {
  return 128 + stopSignals[signal]
}

/**
 * Ends this process now, with the exit code of a signal, or with 1 without one.
 *
 * `process.exit` waits for threads that run statements or name lookups, however long these take. While there are any, the
 * process sends itself the signal (SIGKILL without one), which shells and service managers report as the same code.
 */
export function endProcess(signal: StopSignal | undefined): never {
  if (joinsThreads()) {
    if (signal !== undefined) process.removeAllListeners(signal)
    process.kill(process.pid, signal ?? 'SIGKILL')
    // Only process 1 of a container gets here: the kernel ignores signals that it sends itself.
  }
  process.exit(signal === undefined ? 1 : exitCodeOf(signal))
}

function joinsThreads(): boolean {
  return (
    statementsUnderWay() > 0 || process.getActiveResourcesInfo().some((name) => name === 'GetAddrInfoReqWrap')
  )
}
