import { isAbort } from '../errors.ts'
import { endProcess, exitCodeOf, type StopSignal, stopSignals } from '../process-end.ts'
import { ProgressLine } from '../progress.ts'
import type { RequestCounts } from '../sources/counted-reader.ts'
import { StopDeadline } from '../stop-deadline.ts'
import { type RunSummary, Tailrace } from '../tailrace.ts'
import type { CommandContext } from './command.ts'

export interface StartOptions {
  readonly once: boolean
  /** Whether one failing pipeline ends the process. */
  readonly failFast?: boolean | undefined
  readonly pipeline?: string | undefined
}

const progressMs = 500

// Ctrl-C reaches every process of the terminal's group, and package managers pass it on once more: what follows
// this soon is the same wish, not a second one.
const sameSignalMs = 1_000

/**
 * Runs the config's pipelines until a signal, or with `once` until the blobs' ends.
 *
 * @returns the exit code: 0, or 128 plus the signal's number
 * @throws why a pipeline does not run at the end
 */
export async function start(
  context: CommandContext,
  { once, failFast, pipeline }: StartOptions,
): Promise<number> {
  const { config, logger, clock, errorOutput, print } = context
  const stopped: { by?: StopSignal; atMs?: number } = {}
  const opening = new AbortController()
  let tailrace: Tailrace | undefined
  const deadline = new StopDeadline({
    stopMs: config.stopMs,
    onLate: () =>
      logger.error(
        { stopMs: config.stopMs },
        'not done in time: what is not landed is read again by the next start',
      ),
    onOverdue: () => endProcess(stopped.by),
    clock,
  })

  const onSignal = (signal: StopSignal): void => {
    if (stopped.by !== undefined) {
      if (clock.now() - (stopped.atMs ?? 0) >= sameSignalMs) endProcess(signal)
      return
    }
    stopped.by = signal
    stopped.atMs = clock.now()
    logger.info(
      { signal, stopMs: config.stopMs },
      'stopping: landing what is complete; a second signal exits at once',
    )
    deadline.begin()
    opening.abort()
    tailrace?.stop()
  }
  for (const signal of Object.keys(stopSignals) as StopSignal[]) process.on(signal, onSignal)

  let progress: NodeJS.Timeout | undefined
  try {
    tailrace = await Tailrace.open(
      { config, only: pipeline, follow: !once, failFast, deadline, clock, logger },
      opening.signal,
    )
    const line = new ProgressLine(tailrace.pipelines)
    progress = setInterval(() => errorOutput.status(line.render(clock.now())), progressMs)
    if (stopped.by !== undefined) tailrace.stop()
    const summary = await tailrace.run()
    errorOutput.status('')
    logger.info(
      { durationMs: summary.durationMs, requests: requestsOf(summary) },
      stopped.by === undefined ? 'done' : 'stopped',
    )
    if (once) await print(`${JSON.stringify(summary)}\n`)
    if (tailrace.failure !== undefined) throw tailrace.failure
    if (once && stopped.by === undefined && isIncomplete(summary)) return 1
  } catch (error) {
    // A stop while tables are being opened or the disk is full ends the pipelines with an abort, which is what was asked for.
    if (stopped.by === undefined || !isAbort(error)) throw error
  } finally {
    clearInterval(progress)
    deadline.cancel()
    errorOutput.status('')
  }
  return stopped.by === undefined ? 0 : exitCodeOf(stopped.by)
}

/** Whether blobs were left that could not be read for now; those that are refused for good are only told. */
function isIncomplete({ pipelines }: RunSummary): boolean {
  return Object.values(pipelines).some(({ setAside }) =>
    setAside.some(({ code }) => code !== 'SOURCE_UNSUPPORTED'),
  )
}

/** What the run asked of storage, by pipeline. */
function requestsOf({ pipelines }: RunSummary): Record<string, RequestCounts> {
  return Object.fromEntries(Object.entries(pipelines).map(([name, { requests }]) => [name, requests]))
}
