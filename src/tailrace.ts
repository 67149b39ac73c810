import { choosePipelines } from './choose-pipelines.ts'
import type { Clock } from './clock.ts'
import { isAbort } from './errors.ts'
import type { LandedOffset } from './landed-offsets.ts'
import type { SetAsideBlob } from './lanes/lane-schedule.ts'
import type { Logger } from './logger.ts'
import type { MeasuredPipeline } from './metrics.ts'
import type { MetricsServer } from './metrics-server.ts'
import { Pipeline, type PipelineCounters } from './pipeline.ts'
import type { ResolvedConfig, ResolvedPipeline } from './resolve-config.ts'
import { AzureBlobReader } from './sources/azure-blob-reader.ts'
import { countedReader, RequestCounter, type RequestCounts } from './sources/counted-reader.ts'
import { EmbeddedStorage } from './sources/embedded-storage.ts'
import { SampleMemory, withGeneration } from './sources/sample-memory.ts'
import { fixedBlobOf } from './sources/sas-url.ts'
import { connectContainer } from './sources/storage-client.ts'
import { type ObservedReader, observedReader, StorageHealth } from './sources/storage-health.ts'

export interface TailraceOptions {
  readonly config: ResolvedConfig
  /** Run only this pipeline. */
  readonly only?: string
  readonly follow: boolean
  /** Ends the opening; once that is done, `stop` and `abort` end the run. */
  readonly signal?: AbortSignal
  readonly clock: Clock
  readonly logger: Logger
}

/** What `--once` prints when it ends. */
export interface RunSummary {
  readonly durationMs: number
  readonly pipelines: Readonly<
    Record<
      string,
      PipelineCounters & {
        readonly requests: RequestCounts
        /** Blobs that could not be read, and why. */
        readonly setAside: readonly SetAsideBlob[]
        /** Blobs that have landed, at least in part, in this run or before. */
        readonly blobs: number
        /** How far each is landed; left out when there are more than 1,000. */
        readonly offsets?: readonly LandedOffset[]
      }
    >
  >
}

/** A summary is one line to be read by whoever started the run: of more blobs the offset file tells. */
const mostOffsets = 1_000

/** A pipeline, and the requests it makes: pipelines may share a container. */
interface Member {
  readonly pipeline: Pipeline
  readonly requests: RequestCounter
}

/** All pipelines of a config, side by side in one process. */
export class Tailrace {
  #options: TailraceOptions
  #chosen: ReturnType<typeof choosePipelines>
  #storage: ContainerStorage
  #members: Member[] = []
  #running = new Set<string>()
  #metricsServer: MetricsServer | undefined
  #startedAtMs: number

  private constructor(options: TailraceOptions) {
    const { config, only, follow, clock, logger } = options
    this.#options = options
    this.#chosen = choosePipelines(config, only)
    this.#storage = new ContainerStorage(config.stateDirectory, follow, clock, logger)
    this.#startedAtMs = clock.now()
  }

  /**
   * Opens every table, the embedded storage if the config wants it, and before them the metrics.
   *
   * @throws CONFIG_INVALID when the metrics cannot be served, and what opening a pipeline throws
   */
  static async open(options: TailraceOptions): Promise<Tailrace> {
    const tailrace = new Tailrace(options)
    try {
      await tailrace.#serveMetrics()
      for (const [name, config] of tailrace.#chosen) await tailrace.#openPipeline(name, config)
    } catch (error) {
      await Promise.all(tailrace.pipelines.map((pipeline) => pipeline.close()))
      await tailrace.#close()
      throw error
    }
    return tailrace
  }

  get pipelines(): readonly Pipeline[] {
    return this.#members.map(({ pipeline }) => pipeline)
  }

  /**
   * Runs all pipelines; when one fails for good, the others stop in order.
   *
   * @throws the first failure
   */
  async run(): Promise<RunSummary> {
    const { config, logger } = this.#options
    const failures: unknown[] = []
    let giveUp: NodeJS.Timeout | undefined
    const runOne = async (pipeline: Pipeline): Promise<void> => {
      this.#running.add(pipeline.name)
      try {
        await pipeline.run()
      } catch (error) {
        failures.push(error)
        // Told at once: the others may take their time to stop, and this is why they do.
        if (!isAbort(error)) logger.error({ err: error, pipeline: pipeline.name }, 'the pipeline failed')
        this.stop()
        giveUp ??= setTimeout(() => this.abort(), config.stopMs)
      } finally {
        this.#running.delete(pipeline.name)
      }
    }
    try {
      await Promise.all(this.pipelines.map(runOne))
    } finally {
      clearTimeout(giveUp)
      await this.#close()
    }
    if (failures.length > 0) throw failures[0]
    return this.summary()
  }

  /** Stops reading and lands what is complete; `run` resolves after that. */
  stop(): void {
    for (const pipeline of this.pipelines) pipeline.stop()
  }

  /** Ends at once; what is not landed is read again by the next start. */
  abort(): void {
    for (const pipeline of this.pipelines) pipeline.abort()
  }

  summary(): RunSummary {
    return {
      durationMs: this.#options.clock.now() - this.#startedAtMs,
      pipelines: Object.fromEntries(
        this.#members.map(({ pipeline: { name, counters, landed, setAside }, requests }) => [
          name,
          {
            ...counters,
            requests: requests.counts,
            setAside,
            blobs: landed.blobCount,
            ...(landed.blobCount > mostOffsets ? {} : { offsets: [...landed] }),
          },
        ]),
      ),
    }
  }

  async #openPipeline(name: string, config: ResolvedPipeline): Promise<void> {
    const { config: shared, follow, signal, clock, logger } = this.#options
    const requests = new RequestCounter()
    const reader = await this.#storage.reader(config.source)
    const pipeline = await Pipeline.open({
      name,
      config,
      shared,
      reader: countedReader(reader, requests),
      succeededSince: (instantMs) => reader.health.succeededSince(instantMs),
      follow,
      signal,
      clock,
      logger: logger.child({ pipeline: name }),
    })
    this.#members.push({ pipeline, requests })
  }

  async #serveMetrics(): Promise<void> {
    const { config, logger } = this.#options
    if (config.metrics === undefined) return
    const { host } = config.metrics
    // Loaded here because most runs do without, and every start would wait for the library.
    const [{ Metrics }, { MetricsServer }] = await Promise.all([
      import('./metrics.ts'),
      import('./metrics-server.ts'),
    ])
    this.#metricsServer = await MetricsServer.listen({
      ...config.metrics,
      metrics: new Metrics(() => this.#members.map(measured)),
      notRunning: () => this.#chosen.map(([name]) => name).filter((name) => !this.#running.has(name)),
      logger,
    })
    logger.info({ host, port: this.#metricsServer.port }, 'serving /metrics and /healthz')
  }

  async #close(): Promise<void> {
    await this.#metricsServer?.close()
    await this.#storage.stop()
  }
}

function measured({ pipeline, requests }: Member): MeasuredPipeline {
  const { name, counters, lagBytes, laneCount, setAside } = pipeline
  const gauges = { lagBytes, openLanes: laneCount, setAsideBlobs: setAside.length }
  return { name, counters, requests: requests.counts, gauges }
}

/** Readers of the containers in use; the embedded storage starts with the first pipeline that wants it. */
export class ContainerStorage {
  #follow: boolean
  #clock: Clock
  #log: Logger
  #embedded: EmbeddedStorage | undefined
  #memory: SampleMemory | undefined
  #filled = new Set<string>()
  #health = new Map<string, StorageHealth>()
  #stateDirectory: string

  /** @param follow whether the sample's writer goes on appending */
  constructor(stateDirectory: string, follow: boolean, clock: Clock, logger: Logger) {
    this.#stateDirectory = stateDirectory
    this.#follow = follow
    this.#clock = clock
    this.#log = logger
  }

  /**
   * Readers of one account share its health.
   *
   * @throws CONFIG_INVALID for a connection string or a SAS that does not fit the source
   */
  async reader(source: ResolvedConfig['pipelines'][string]['source']): Promise<ObservedReader> {
    const { storage, container, blobs } = source
    const clock = this.#clock
    if (storage.kind !== 'embedded') {
      const connection = connectContainer(storage, { container, fixedBlob: fixedBlobOf(blobs), clock })
      return observedReader(new AzureBlobReader(connection, { clock }), this.#healthOf(connection.account))
    }
    this.#embedded ??= await EmbeddedStorage.start()
    this.#memory ??= SampleMemory.open(this.#stateDirectory, this.#clock.now())
    if (!this.#filled.has(container)) {
      this.#filled.add(container)
      await this.#embedded.fill({
        container,
        keepWriting: this.#follow,
        memory: this.#memory,
        clock: this.#clock,
        onWriterError: (error) => this.#log.warn({ err: error }, 'the sample writer stopped'),
      })
      this.#log.info(
        { container },
        'no Azure storage is configured: using the embedded storage with its sample logs of a primary and a replica',
      )
    }
    const reader = new AzureBlobReader(this.#embedded.containerClient(container), { clock })
    return observedReader(withGeneration(reader, this.#memory.generation), this.#healthOf('embedded'))
  }

  async stop(): Promise<void> {
    await this.#embedded?.stop()
  }

  #healthOf(account: string): StorageHealth {
    const known = this.#health.get(account)
    if (known !== undefined) return known
    const health = new StorageHealth({ account, clock: this.#clock, logger: this.#log })
    this.#health.set(account, health)
    return health
  }
}
