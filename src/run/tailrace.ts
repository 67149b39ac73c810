import type { Clock } from '../clock.ts'
import { choosePipelines } from '../config/choose-pipelines.ts'
import type { ResolvedConfig, ResolvedPipeline } from '../config/resolved.ts'
import { isAbort } from '../errors.ts'
import type { LandedOffset } from '../offsets/landed-offsets.ts'
import type { Logger } from '../reporting/logger.ts'
import { countedReader, RequestCounter, type RequestCounts } from '../sources/readers/counted-reader.ts'
import { ContainerStorage } from './container-storage.ts'
import type { PipelineCounters } from './landing-log.ts'
import type { SetAsideBlob } from './lanes/lane-schedule.ts'
import type { MeasuredPipeline } from './metrics.ts'
import type { MetricsServer } from './metrics-server.ts'
import { Pipeline } from './pipeline.ts'
import { FailureFile } from './pipeline-failure.ts'
import { StopDeadline } from './stop-deadline.ts'
import { SupervisedPipeline } from './supervised-pipeline.ts'

export interface TailraceOptions {
  readonly config: ResolvedConfig
  /** Run only this pipeline. */
  readonly only?: string | undefined
  readonly follow: boolean
  /** Whether one failing pipeline ends the run. Default false: it is started again, and the others go on. */
  readonly failFast?: boolean | undefined
  /** Limits the time of a stop, whether a caller or a failure caused it. Default: `stopMs` of the config. */
  readonly deadline?: StopDeadline | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** The result of a run, which `--once` prints. */
export interface RunSummary {
  readonly durationMs: number
  readonly pipelines: Readonly<
    Record<
      string,
      PipelineCounters & {
        readonly requests: RequestCounts
        /** Blobs that could not be read, and why. */
        readonly setAside: readonly SetAsideBlob[]
        /** Whether the source has had any blob, be it empty or landed before. */
        readonly hasFoundBlobs: boolean
        /** Blobs that have landed, at least in part, in this run or before. */
        readonly blobs: number
        /** The landed offset of each; left out when there are more than 1,000. */
        readonly offsets?: readonly LandedOffset[] | undefined
      }
    >
  >
}

/** The summary is one line for a person; the offsets of more blobs are in the offset file. */
const maxOffsets = 1_000

/** All pipelines of a config, side by side in one process. */
export class Tailrace {
  #options: TailraceOptions
  #deadline: StopDeadline
  #storage: ContainerStorage
  #members: SupervisedPipeline[] = []
  #openings: readonly Promise<void>[] = []
  #metricsServer: MetricsServer | undefined
  #startedAtMs: number

  private constructor(options: TailraceOptions) {
    const { config, follow, clock, logger } = options
    this.#options = options
    this.#deadline = options.deadline ?? new StopDeadline({ stopMs: config.stopMs, clock })
    this.#storage = new ContainerStorage(config.stateDirectory, follow, clock, logger)
    this.#startedAtMs = clock.now()
  }

  /**
   * Serves the metrics, starts the embedded storage if the config uses it, and opens the pipelines. Where one failure ends
   * the run, it waits for all of them; otherwise only for the first, and `run` waits for the others.
   *
   * @param signal aborts the opening
   * @throws CONFIG_INVALID when the metrics cannot be served or a source cannot be connected to, and the error of a pipeline
   * that cannot be opened: of any where one failure ends the run, otherwise of the first when none can be opened
   */
  static async open(options: TailraceOptions, signal?: AbortSignal): Promise<Tailrace> {
    const tailrace = new Tailrace(options)
    const stop = (): void => tailrace.stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      await tailrace.#serveMetrics()
      for (const [name, config] of choosePipelines(options.config, options.only)) {
        tailrace.#members.push(await tailrace.#member(name, config))
      }
      signal?.throwIfAborted()
      await tailrace.#open()
      return tailrace
    } catch (error) {
      await Promise.all(tailrace.pipelines.map((pipeline) => pipeline.close()))
      await tailrace.#close()
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  get pipelines(): readonly SupervisedPipeline[] {
    return this.#members
  }

  /** The failure of a pipeline that did not run at the end; undefined when all ended in order. */
  get failure(): unknown {
    return this.#members.find(({ failure }) => failure !== undefined)?.failure?.error
  }

  /**
   * Runs all pipelines. A failed one is restarted after a pause, and the others go on; with `failFast` or without `follow`,
   * the others stop in order instead.
   *
   * @throws the first failure that ends the run
   */
  async run(): Promise<RunSummary> {
    const { signal } = this.#deadline
    const abort = (): void => this.abort()
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    const failures: unknown[] = []
    const runOne = async (member: SupervisedPipeline, index: number): Promise<void> => {
      // The member has noted a failed opening, and opens itself again.
      await this.#openings[index]?.catch(() => {})
      await member.run().catch((error: unknown) => {
        failures.push(error)
        if (this.#endsByFailure || isAbort(error)) this.stop()
      })
    }
    try {
      await Promise.all(this.#members.map(runOne))
    } finally {
      signal.removeEventListener('abort', abort)
      this.#deadline.cancel()
      await this.#close()
    }
    const [failure] = failures
    if (failure !== undefined) throw failure
    return this.summary()
  }

  /** Stops reading and lands the complete lines, as long as the deadline allows; `run` resolves after that. */
  stop(): void {
    this.#deadline.begin()
    for (const member of this.#members) member.stop()
  }

  /** Ends at once; the next start reads again the bytes that have not landed. */
  abort(): void {
    for (const member of this.#members) member.abort()
  }

  summary(): RunSummary {
    return {
      durationMs: this.#options.clock.now() - this.#startedAtMs,
      pipelines: Object.fromEntries(
        this.#members.map(({ name, counters, landed, setAside, hasFoundBlobs, requests }) => [
          name,
          {
            ...counters,
            requests: requests.counts,
            setAside,
            hasFoundBlobs,
            blobs: landed.blobCount,
            offsets: landed.blobCount > maxOffsets ? undefined : [...landed],
          },
        ]),
      ),
    }
  }

  /** Whether one failure ends the run. A drain always ends: its caller waits for the result and can start it again. */
  get #endsByFailure(): boolean {
    return this.#options.failFast === true || !this.#options.follow
  }

  async #open(): Promise<void> {
    this.#openings = this.#members.map((member) => member.open())
    // Also awaited in `run`; until then a rejection must not count as unhandled.
    for (const opening of this.#openings) opening.catch(() => {})
    if (this.#endsByFailure) await Promise.all(this.#openings)
    else {
      await Promise.any(this.#openings).catch((failed: AggregateError) => {
        throw failed.errors[0]
      })
    }
  }

  async #member(name: string, config: ResolvedPipeline): Promise<SupervisedPipeline> {
    const { config: shared, follow, clock, logger } = this.#options
    const requests = new RequestCounter()
    const reader = await this.#storage.reader(config.source)
    const log = logger.child({ pipeline: name })
    return new SupervisedPipeline({
      name,
      open: (signal) =>
        Pipeline.open({
          name,
          config,
          shared,
          reader: countedReader(reader, requests),
          succeededSince: (instantMs) => reader.health.succeededSince(instantMs),
          follow,
          signal,
          clock,
          logger: log,
        }),
      requests,
      restart: this.#endsByFailure ? undefined : shared.restart,
      failureFile: new FailureFile(shared.stateDirectory, name),
      clock,
      logger: log,
    })
  }

  async #serveMetrics(): Promise<void> {
    const { config, only, logger } = this.#options
    const names = choosePipelines(config, only).map(([name]) => name)
    if (config.metrics === undefined) return
    const { host } = config.metrics
    // Loaded only when configured: the metrics library would slow every start down.
    const [{ Metrics }, { MetricsServer }] = await Promise.all([
      import('./metrics.ts'),
      import('./metrics-server.ts'),
    ])
    this.#metricsServer = await MetricsServer.listen({
      ...config.metrics,
      metrics: new Metrics(() => this.#members.map(measured)),
      notRunning: () => names.flatMap((name) => this.#whyNotRunning(name)),
      logger,
    })
    logger.info({ host, port: this.#metricsServer.port }, 'serving /metrics and /healthz')
  }

  /** @returns the name, with the code of the failure if there is one; nothing for a pipeline that runs */
  #whyNotRunning(name: string): readonly string[] {
    const member = this.#members.find((one) => one.name === name)
    if (member?.isRunning === true) return []
    return [member?.failure === undefined ? name : `${name} (${member.failure.code})`]
  }

  async #close(): Promise<void> {
    await this.#metricsServer?.close()
    await this.#storage.stop()
  }
}

function measured(member: SupervisedPipeline): MeasuredPipeline {
  const { name, counters, requests, isRunning, failuresByCode, lagBytes, laneCount, setAside } = member
  const gauges = { isRunning, lagBytes, openLanes: laneCount, setAsideBlobs: setAside.length }
  return { name, counters, requests: requests.counts, failuresByCode, gauges }
}
