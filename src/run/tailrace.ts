import type { Clock } from '../clock.ts'
import { choosePipelines } from '../config/choose-pipelines.ts'
import { type ConfigChanges, compareConfigs } from '../config/config-changes.ts'
import type { ResolvedConfig, ResolvedPipeline } from '../config/resolved.ts'
import { defaultPrices } from '../config/schema.ts'
import { isAbort } from '../errors.ts'
import type { LandedOffset } from '../offsets/landed-offsets.ts'
import type { Logger, LogLevel } from '../reporting/logger.ts'
import { countedReader, RequestCounter, type RequestCounts } from '../sources/readers/counted-reader.ts'
import type { ObservedReader } from '../sources/readers/observed-reader.ts'
import { ContainerStorage } from './container-storage.ts'
import type { PipelineCounters } from './landing-log.ts'
import type { SetAsideBlob } from './lanes/lane-schedule.ts'
import { buildInfo, type MetricFamily, pipelineFamilies } from './monitoring/metric-families.ts'
import type { MetricsServer } from './monitoring/metrics-server.ts'
import { Monitor } from './monitoring/monitor.ts'
import { Pipeline } from './pipeline.ts'
import { FailureFile } from './pipeline-failure.ts'
import type { RunOutcome, RunRecorder } from './recording/run-recorder.ts'
import { StopDeadline } from './stop-deadline.ts'
import { SupervisedPipeline } from './supervised-pipeline.ts'
import type { RunTelemetry } from './telemetry/run-telemetry.ts'
import { telemetryFamilies } from './telemetry/telemetry-families.ts'

export interface TailraceOptions {
  readonly config: ResolvedConfig
  /** Run only this pipeline. */
  readonly only?: string | undefined
  readonly follow: boolean
  /** Whether one failing pipeline ends the run. Default false: it is started again, and the others go on. */
  readonly failFast?: boolean | undefined
  /** Limits the time of a stop, whether a caller or a failure caused it. Default: `stopMs` of the config. */
  readonly deadline?: StopDeadline | undefined
  /** Receives what the run measures and lands; the caller closes it. Default: nothing is sent. */
  readonly telemetry?: RunTelemetry | undefined
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
        /** Blobs that have landed, at least in part, in this run or before, without those of `archivedBlobs`. */
        readonly blobs: number
        /** Blobs whose offsets are in the table's archive; left out where it has none. */
        readonly archivedBlobs?: number | undefined
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
  /** The current one: `reload` replaces it. */
  #config: ResolvedConfig
  #deadline: StopDeadline
  #storage: ContainerStorage
  #members: SupervisedPipeline[] = []
  #logs = new Map<string, Logger>()
  #openings: readonly Promise<void>[] = []
  /** The pipelines that run, each with its end, which never rejects. */
  #runs = new Map<SupervisedPipeline, Promise<void>>()
  /** The pipelines that a reload ends. */
  #leaving = new Set<SupervisedPipeline>()
  #failures: unknown[] = []
  #reloading: Promise<unknown> | undefined
  #isStopping = false
  #metricsServer: MetricsServer | undefined
  readonly #monitor: Monitor
  #recorder: RunRecorder | undefined
  #startedAtMs: number

  private constructor(options: TailraceOptions) {
    const { config, follow, clock, logger } = options
    this.#options = options
    this.#config = config
    this.#deadline = options.deadline ?? new StopDeadline({ stopMs: config.stopMs, clock })
    this.#storage = new ContainerStorage(config.stateDirectory, follow, clock, logger)
    this.#startedAtMs = clock.now()
    this.#monitor = new Monitor({
      names: () => choosePipelines(this.#config, options.only).map(([name]) => name),
      pipelines: () => this.#members,
      limits: () => this.#config.health,
      stopOverdueSinceMs: () => this.#deadline.overdueSinceMs,
      nowMs: () => clock.now(),
    })
    options.telemetry?.measure(() => this.#families())
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
      const { shard } = options.config
      if (shard !== undefined) options.logger.info(shard, 'reading one part of the blobs')
      await tailrace.#serveMetrics()
      const { config, clock, logger } = options
      if (config.runs !== undefined) {
        // Loaded only when configured.
        const { RunRecorder } = await import('./recording/run-recorder.ts')
        tailrace.#recorder = await RunRecorder.begin({
          config,
          openPipeline: (landing) => Pipeline.open(landing),
          clock,
          logger,
        })
      }
      for (const [name, config] of choosePipelines(options.config, options.only)) {
        tailrace.#members.push(tailrace.#member(name, config, await tailrace.#storage.reader(config.source)))
      }
      signal?.throwIfAborted()
      await tailrace.#open()
      return tailrace
    } catch (error) {
      await Promise.all(tailrace.pipelines.map((pipeline) => pipeline.close()))
      await tailrace.#endRecord('failed', error)
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
    // An opening that failed was noted; the pipeline pauses and opens itself again.
    for (const [index, member] of this.#members.entries())
      this.#launch(
        member,
        this.#openings[index]?.catch(() => {}),
      )
    try {
      while (this.#runs.size > 0 || this.#reloading !== undefined)
        await Promise.all([...this.#runs.values(), this.#reloading])
    } finally {
      this.#isStopping = true
      signal.removeEventListener('abort', abort)
      const [failure] = this.#failures
      await this.#endRecord(failure === undefined ? 'done' : 'failed', failure)
      this.#deadline.cancel()
      await this.#close()
    }
    if (this.#failures.length > 0) throw this.#failures[0]
    return this.summary()
  }

  /**
   * Takes over another config while `run` goes on. A pipeline that is removed or changed lands its complete lines and writes
   * its offsets; a changed one is then opened anew, and goes on from there. All others run on.
   *
   * One call at a time.
   *
   * @returns the differences; options that need another process keep their values. Undefined when a stop came first, so that
   * the former config stays
   * @throws CONFIG_INVALID, USAGE when a source cannot be connected to or the pipelines to run are not in it; the former
   * config then stays
   */
  async reload(config: ResolvedConfig): Promise<ConfigChanges | undefined> {
    const reloading = this.#reload(config)
    this.#reloading = reloading.catch(() => {})
    try {
      return await reloading
    } finally {
      this.#reloading = undefined
    }
  }

  /** Stops reading and lands the complete lines, as long as the deadline allows; `run` resolves after that. */
  stop(): void {
    this.#isStopping = true
    this.#deadline.begin()
    for (const member of this.#members) member.stop()
  }

  /** Ends at once; the next start reads again the bytes that have not landed. */
  abort(): void {
    this.#isStopping = true
    for (const member of this.#members) member.abort()
  }

  /** Changes the level of the log, that of the pipelines included. */
  setLogLevel(level: LogLevel): void {
    for (const log of [this.#options.logger, ...this.#logs.values()]) log.level = level
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
            archivedBlobs: landed.archivedCount || undefined,
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

  /** Runs a pipeline to its end. A failure is noted, and may end the others. */
  #launch(member: SupervisedPipeline, opening: Promise<void> = Promise.resolve()): void {
    const run = opening
      .then(() => member.run())
      .catch((error: unknown) => {
        // A reload aborted it because its drain took too long. The next run reads again what has not landed.
        if (this.#leaving.has(member) && isAbort(error)) return
        this.#failures.push(error)
        if (this.#endsByFailure || isAbort(error)) this.stop()
      })
      .finally(() => this.#runs.delete(member))
    this.#runs.set(member, run)
  }

  async #reload(config: ResolvedConfig): Promise<ConfigChanges | undefined> {
    const { only } = this.#options
    const current = withPipelines(this.#config, only)
    const wanted = withPipelines(config, only)
    const changes = compareConfigs(current, wanted)
    if (this.#isStopping) return undefined
    const readers = new Map<string, ObservedReader>()
    for (const name of [...changes.added, ...changes.changed])
      readers.set(name, await this.#storage.reader(wanted.pipelines[name]!.source))

    const leaving = this.#members.filter(({ name }) =>
      [...changes.removed, ...changes.changed].includes(name),
    )
    await this.#drain(leaving)
    if (this.#isStopping) return undefined
    // Options of the process stay as they are until it starts again.
    const { stateDirectory, shard, metrics, page, runs, stopMs } = this.#config
    this.#config = { ...config, stateDirectory, shard, metrics, page, runs, stopMs }
    const replaced = Object.entries(wanted.pipelines).map(([name, pipeline]) => {
      const former = this.#members.find((member) => member.name === name)
      const reader = readers.get(name)
      if (reader === undefined && former !== undefined) return former
      return this.#member(name, pipeline, reader!, former)
    })
    const running = new Set(this.#members)
    this.#members = replaced
    for (const member of replaced.filter((one) => !running.has(one))) {
      const opening = member.open()
      this.#launch(member, this.#endsByFailure ? opening : opening.catch(() => {}))
    }
    return changes
  }

  /** Ends pipelines in order, within the time of a stop; after that, they are aborted. */
  async #drain(leaving: readonly SupervisedPipeline[]): Promise<void> {
    const { clock, logger } = this.#options
    const { stopMs } = this.#config
    const pipelines = leaving.map(({ name }) => name)
    const late = 'not drained in time: the bytes that have not landed are read again'
    const deadline = new StopDeadline({
      stopMs,
      onLate: () => logger.warn({ pipelines, stopMs }, late),
      clock,
    })
    deadline.signal.addEventListener('abort', () => {
      for (const member of leaving) member.abort()
    })
    if (leaving.length > 0) deadline.begin()
    for (const member of leaving) {
      this.#leaving.add(member)
      member.stop()
    }
    await Promise.all(leaving.map((member) => this.#runs.get(member)))
    deadline.cancel()
    this.#leaving.clear()
  }

  #member(
    name: string,
    config: ResolvedPipeline,
    reader: ObservedReader,
    predecessor?: SupervisedPipeline,
  ): SupervisedPipeline {
    const { follow, telemetry, clock, logger } = this.#options
    const shared = this.#config
    const recorder = this.#recorder
    const requests = predecessor?.requests ?? new RequestCounter()
    const log = this.#logs.get(name) ?? logger.child({ pipeline: name })
    this.#logs.set(name, log)
    return new SupervisedPipeline({
      name,
      open: async (signal, carried) => {
        const pipeline = await Pipeline.open({
          name,
          config,
          shared,
          reader: countedReader(reader, requests),
          succeededSince: (instantMs) => reader.health.succeededSince(instantMs),
          follow,
          ...carried,
          onBatch: {
            preparing: async (prepared) => recorder?.preparing(name, config, prepared),
            landed: (landing) => {
              recorder?.landed(name, landing)
              telemetry?.landed(name, landing)
            },
            failed: (failed) => telemetry?.failed(name, failed),
          },
          signal,
          clock,
          logger: log,
        })
        await recorder?.recover(name, (sources) => pipeline.offsetsOf(sources))
        return pipeline
      },
      requests,
      totals: predecessor,
      storageHealth: reader.health,
      batchAgeMs: config.batch.maxAgeMs,
      restart: this.#endsByFailure ? undefined : shared.restart,
      failureFile: new FailureFile(shared.stateDirectory, name),
      clock,
      logger: log,
    })
  }

  async #serveMetrics(): Promise<void> {
    const { config, logger } = this.#options
    if (config.metrics === undefined) return
    const { host, port } = config.metrics
    // Loaded only when configured: the metrics library would slow every start down.
    const [{ Metrics }, { MetricsServer }] = await Promise.all([
      import('./monitoring/metrics.ts'),
      import('./monitoring/metrics-server.ts'),
    ])
    this.#metricsServer = await MetricsServer.listen({
      host,
      port,
      metrics: new Metrics(() => this.#families()),
      reasonsAgainst: (probe) => this.#monitor.reasonsAgainst(probe),
      logger,
    })
    logger.info({ host, port: this.#metricsServer.port }, 'serving /metrics, /livez, /readyz and /startupz')
  }

  /** Within the time of a stop; a run that ends by itself gives it a while, too. */
  async #endRecord(outcome: RunOutcome, error: unknown): Promise<void> {
    if (this.#recorder === undefined) return
    const limit = new AbortController()
    const cancel = this.#options.clock.after(this.#deadline.leftMs, () => limit.abort())
    const isStopped = this.#deadline.hasBegun && outcome === 'done'
    await this.#recorder.end(isStopped ? 'stopped' : outcome, error, limit.signal)
    cancel()
  }

  /** The metrics of the build, the pipelines and the telemetry. */
  #families(): readonly MetricFamily[] {
    const { config, telemetry } = this.#options
    const pipelines = pipelineFamilies(this.#monitor.measure(), config.metrics?.prices ?? defaultPrices)
    return [
      buildInfo(),
      ...pipelines,
      ...(telemetry === undefined ? [] : telemetryFamilies(telemetry.counts)),
    ]
  }

  async #close(): Promise<void> {
    await this.#metricsServer?.close()
    await this.#storage.stop()
  }
}

/** The config of the pipelines to run. @throws USAGE when there is no pipeline `only` */
function withPipelines(config: ResolvedConfig, only: string | undefined): ResolvedConfig {
  return { ...config, pipelines: Object.fromEntries(choosePipelines(config, only)) }
}
