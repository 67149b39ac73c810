import type { Clock } from '../clock.ts'
import { isAbort, TailraceError } from '../errors.ts'
import type { Logger } from '../reporting/logger.ts'
import { endProcess, exitCodeOf, type StopSignal, stopSignals } from '../run/process-end.ts'
import { StopDeadline } from '../run/stop-deadline.ts'
import { type RunSummary, Tailrace } from '../run/tailrace.ts'
import { openTelemetry } from '../run/telemetry/open-telemetry.ts'
import type { RequestCounts } from '../sources/readers/counted-reader.ts'
import type { CommandContext } from './command.ts'
import { codeOfEmptySources, exitCodes } from './exit-code.ts'
import { ConfigReloader } from './starting/config-reloader.ts'
import { FileWatch } from './starting/file-watch.ts'
import { limitHeapGrowth } from './starting/heap-growth.ts'
import { PageDoor } from './starting/page-door.ts'
import { ProgressReporter } from './starting/progress-reporter.ts'

export interface StartOptions {
  readonly once: boolean
  /** End the process when a pipeline fails, instead of restarting the pipeline. Default false. */
  readonly failFast?: boolean | undefined
  readonly pipeline?: string | undefined
  /** With `once`, a source without a blob is no failure. Default false. */
  readonly allowEmpty?: boolean | undefined
  /** Stop the run after this time, in milliseconds. Default: no limit. */
  readonly maxDurationMs?: number | undefined
  /** Load the config again when one of its files changes. Default false: only at SIGHUP. */
  readonly watch?: boolean | undefined
}

const progressMs = 500

/** The last telemetry gets this long at the end of a run, in milliseconds, and no more than is left of `stopMs`. */
const maxFlushMs = 5_000

// Ctrl-C reaches every process of the terminal's group, and package managers forward it again. A second signal within
// this time is a copy of the first, not a request to exit at once.
const sameSignalMs = 1_000

/**
 * Runs the pipelines of the config until a signal or, with `once`, up to the current end of each blob.
 *
 * SIGHUP loads the config again, unless the run is to end by itself or hangs on a terminal, which has then been closed.
 *
 * @returns the exit code: one of `exitCodes`, or 128 plus the signal's number
 * @throws the error of a pipeline that has failed and is not running at the end
 */
export async function start(
  context: CommandContext,
  { once, failFast, pipeline, allowEmpty, maxDurationMs, watch = false }: StartOptions,
): Promise<number> {
  if (once && watch) throw new TailraceError('USAGE', '--watch and --once exclude each other.')
  const { config, source, logger, logCopies, clock, errorOutput, print, terminal } = context
  limitHeapGrowth()
  const telemetry = await openTelemetry({ clock, logger })
  if (telemetry !== undefined) logCopies?.add(telemetry)
  const stopped: { by?: StopSignal; atMs?: number } = {}
  const opening = new AbortController()
  let tailrace: Tailrace | undefined
  const deadline = new StopDeadline({
    stopMs: config.stopMs,
    onLate: () =>
      logger.error(
        { stopMs: config.stopMs },
        'not done in time: the next start reads the bytes again that have not landed',
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
          logger.info({ maxDurationMs }, '--max-duration is over: landing the complete batches')
          stop()
        })

  const reloader = once || source === undefined ? undefined : new ConfigReloader(source, logger)
  const onSignal = (signal: StopSignal): void => {
    if (signal === 'SIGHUP' && reloader !== undefined && !terminal.isAttached) {
      reloader.request('SIGHUP')
      return
    }
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
  const door = once ? undefined : await PageDoor.open(context, pipeline)

  let progress: NodeJS.Timeout | undefined
  let reporter: ProgressReporter | undefined
  let fileWatch: FileWatch | undefined
  try {
    tailrace = await Tailrace.open(
      { config, only: pipeline, follow: !once, failFast, deadline, telemetry, clock, logger },
      opening.signal,
    )
    reporter = new ProgressReporter(context, tailrace, once)
    progress = setInterval(() => reporter?.report(), progressMs)
    if (stopped.by !== undefined || isTimeUp) tailrace.stop()
    const running = tailrace.run()
    reloader?.begin(tailrace)
    if (watch && source !== undefined)
      fileWatch = new FileWatch(source.files, clock, (file) => reloader?.request(`a change of ${file}`))
    const summary = await running
    errorOutput.status('')
    logger.info(
      { durationMs: summary.durationMs, requests: requestsOf(summary) },
      stopped.by === undefined && !isTimeUp ? 'done' : 'stopped',
    )
    if (once) await print(`${JSON.stringify(summary)}\n`)
    if (tailrace.failure !== undefined) throw tailrace.failure
    if (stopped.by === undefined) return codeOf(summary, { once, allowEmpty, isTimeUp, logger })
  } catch (error) {
    // A stop while tables are being opened or the disk is full ends the pipelines with an AbortError, which is expected.
    if ((stopped.by === undefined && !isTimeUp) || !isAbort(error)) throw error
  } finally {
    cancelTimer?.()
    clearInterval(progress)
    fileWatch?.close()
    door?.close()
    deadline.cancel()
    errorOutput.status('')
    await reporter?.close()
    await telemetry?.close(timeLimit(clock, Math.min(maxFlushMs, deadline.leftMs)))
  }
  // No summary: the run was stopped while tables were being opened.
  if (stopped.by === undefined) return exitCodes.timeUp
  // A package manager reports any other code of its script as a failure of the command, though Ctrl-C ended it in order.
  const isExpected = stopped.by === 'SIGINT' && terminal.isScript && terminal.hasInput
  return isExpected ? exitCodes.done : exitCodeOf(stopped.by)
}

function timeLimit(clock: Clock, ms: number): AbortSignal {
  const controller = new AbortController()
  clock.after(ms, () => controller.abort())
  return controller.signal
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
      logger.error({ pipelines: unanswered }, 'storage answered no request of these pipelines')
    // A run that follows blobs for a limited time is complete when the time is over, if storage answered at all.
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

/** Whether blobs are left that could be read later. Unsupported blobs are logged, but do not make a run incomplete. */
function isIncomplete({ pipelines }: RunSummary): boolean {
  return Object.values(pipelines).some(({ setAside }) =>
    setAside.some(({ code }) => code !== 'SOURCE_UNSUPPORTED'),
  )
}

/** The number of requests to storage, by pipeline. */
function requestsOf({ pipelines }: RunSummary): Record<string, RequestCounts> {
  return Object.fromEntries(Object.entries(pipelines).map(([name, { requests }]) => [name, requests]))
}
