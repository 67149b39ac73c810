import { isAbort } from '../errors.ts'
import type { Logger } from '../reporting/logger.ts'
import { endProcess, exitCodeOf, type StopSignal, stopSignals } from '../run/process-end.ts'
import { ProgressLine } from '../run/progress.ts'
import { StopDeadline } from '../run/stop-deadline.ts'
import { type RunSummary, Tailrace } from '../run/tailrace.ts'
import type { RequestCounts } from '../sources/readers/counted-reader.ts'
import type { CommandContext } from './command.ts'
import { codeOfEmptySources, exitCodes } from './exit-code.ts'

export interface StartOptions {
  readonly once: boolean
  /** Whether one failing pipeline ends the process. */
  readonly failFast?: boolean | undefined
  readonly pipeline?: string | undefined
  /** Whether a drain that finds no blob is done. */
  readonly allowEmpty?: boolean | undefined
  /** Stops the run after this many milliseconds. */
  readonly maxDurationMs?: number | undefined
}

const progressMs = 500

// Ctrl-C reaches every process of the terminal's group, and package managers pass it on once more: what follows
// this soon is the same wish, not a second one.
const sameSignalMs = 1_000

/**
 * Runs the config's pipelines until a signal, or with `once` until the blobs' ends.
 *
 * @returns the exit code: one of `exitCodes`, or 128 plus the signal's number
 * @throws why a pipeline does not run at the end
 */
export async function start(
  context: CommandContext,
  { once, failFast, pipeline, allowEmpty, maxDurationMs }: StartOptions,
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

  const stop = (): void => {
    deadline.begin()
    opening.abort()
    tailrace?.stop()
  }
  let isTimeUp = false
  const cancelTimer =
    maxDurationMs === undefined
      ? undefined
      : clock.after(maxDurationMs, () => {
          if (stopped.by !== undefined) return
          isTimeUp = true
          logger.info({ maxDurationMs }, 'the time is up: landing what is complete')
          stop()
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
    stop()
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
    if (stopped.by !== undefined || isTimeUp) tailrace.stop()
    const summary = await tailrace.run()
    errorOutput.status('')
    logger.info(
      { durationMs: summary.durationMs, requests: requestsOf(summary) },
      stopped.by === undefined && !isTimeUp ? 'done' : 'stopped',
    )
    if (once) await print(`${JSON.stringify(summary)}\n`)
    if (tailrace.failure !== undefined) throw tailrace.failure
    if (stopped.by === undefined) return codeOf(summary, { once, allowEmpty, isTimeUp, logger })
  } catch (error) {
    // A stop while tables are being opened or the disk is full ends the pipelines with an abort, which is what was asked for.
    if ((stopped.by === undefined && !isTimeUp) || !isAbort(error)) throw error
  } finally {
    cancelTimer?.()
    clearInterval(progress)
    deadline.cancel()
    errorOutput.status('')
  }
  // Without a summary, the time was up while tables were being opened.
  return stopped.by === undefined ? exitCodes.timeUp : exitCodeOf(stopped.by)
}

/** The exit code of a run that no signal stopped. */
function codeOf(
  summary: RunSummary,
  {
    once,
    allowEmpty,
    isTimeUp,
    logger,
  }: Pick<StartOptions, 'once' | 'allowEmpty'> & {
    readonly isTimeUp: boolean
    readonly logger: Logger
  },
): number {
  const pipelines = Object.entries(summary.pipelines)
  if (isTimeUp) {
    const unanswered = pipelines.filter(([, { requests }]) => !isAnswered(requests)).map(([name]) => name)
    if (unanswered.length > 0)
      logger.error({ pipelines: unanswered }, 'storage has answered no request of these pipelines')
    // Whoever follows blobs for a time is done when it is up, unless nothing was followed.
    return once || unanswered.length > 0 ? exitCodes.timeUp : exitCodes.done
  }
  if (!once) return exitCodes.done
  if (isIncomplete(summary)) return exitCodes.failed
  const empty = pipelines.filter(([, { hasFoundBlobs }]) => !hasFoundBlobs).map(([name]) => name)
  return codeOfEmptySources(empty, { allowEmpty, logger })
}

function isAnswered({ read, unchanged, empty, missing, list }: RequestCounts): boolean {
  return read + unchanged + empty + missing + list > 0
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
