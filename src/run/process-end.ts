import { statementsUnderWay } from '../sinks/encoding/engine.ts'

/** Signals that stop a run, with their numbers. SIGHUP is a terminal that is closed, or an ssh session that ends. */
export const stopSignals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
export type StopSignal = keyof typeof stopSignals

/** The exit code of a process that a signal stopped, as shells write it. */
export function exitCodeOf(signal: StopSignal): number {
  return 128 + stopSignals[signal]
}

/**
 * Ends this process now, with the code of a signal, or with 1 when no signal asked for it.
 *
 * `process.exit` joins the threads that run statements and name lookups, and waits for as long as these take. Then the
 * system ends the process, by the same signal (by SIGKILL when none asked for it), which shells and service managers
 * report as the same code.
 */
export function endProcess(signal: StopSignal | undefined): never {
  if (joinsThreads()) {
    if (signal !== undefined) process.removeAllListeners(signal)
    process.kill(process.pid, signal ?? 'SIGKILL')
    // Reached by process 1 of a container only, which the system shields from signals of its own.
  }
  process.exit(signal === undefined ? 1 : exitCodeOf(signal))
}

function joinsThreads(): boolean {
  return (
    statementsUnderWay() > 0 || process.getActiveResourcesInfo().some((name) => name === 'GetAddrInfoReqWrap')
  )
}
