import { choosePipelines } from './choose-pipelines.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'
import { Pipeline, type PipelineCounters } from './pipeline.ts'
import type { ResolvedConfig } from './resolve-config.ts'
import { AzureBlobReader } from './sources/azure-blob-reader.ts'
import type { BlobReader } from './sources/blob-reader.ts'
import { EmbeddedStorage } from './sources/embedded-storage.ts'
import { SampleMemory, withGeneration } from './sources/sample-memory.ts'
import { connectContainer } from './sources/storage-client.ts'

export interface TailraceOptions {
  readonly config: ResolvedConfig
  /** Run only this pipeline. */
  readonly only?: string
  readonly follow: boolean
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
        readonly offsets: readonly {
          readonly blob: string
          readonly generation: string
          readonly offset: number
        }[]
      }
    >
  >
}

/** All pipelines of a config, side by side in one process. */
export class Tailrace {
  readonly pipelines: readonly Pipeline[]
  #storage: ContainerStorage
  #clock: Clock
  #log: Logger
  #stopMs: number
  #startedAtMs: number

  private constructor(pipelines: readonly Pipeline[], storage: ContainerStorage, options: TailraceOptions) {
    this.pipelines = pipelines
    this.#storage = storage
    this.#clock = options.clock
    this.#log = options.logger
    this.#stopMs = options.config.stopMs
    this.#startedAtMs = this.#clock.now()
  }

  /** Opens every table, and the embedded storage if the config wants it. */
  static async open(options: TailraceOptions): Promise<Tailrace> {
    const { config, only, follow, clock, logger } = options
    const chosen = choosePipelines(config, only)
    const storage = new ContainerStorage(config.stateDirectory, follow, clock, logger)
    const pipelines: Pipeline[] = []
    try {
      for (const [name, pipeline] of chosen) {
        pipelines.push(
          await Pipeline.open({
            name,
            config: pipeline,
            shared: config,
            reader: await storage.reader(pipeline.source),
            follow,
            clock,
            logger: logger.child({ pipeline: name }),
          }),
        )
      }
    } catch (error) {
      await Promise.all(pipelines.map((pipeline) => pipeline.close()))
      await storage.stop()
      throw error
    }
    return new Tailrace(pipelines, storage, options)
  }

  /**
   * Runs all pipelines; when one fails for good, the others stop in order.
   *
   * @throws the first failure
   */
  async run(): Promise<RunSummary> {
    const failures: unknown[] = []
    let giveUp: NodeJS.Timeout | undefined
    const runOne = async (pipeline: Pipeline): Promise<void> => {
      try {
        await pipeline.run()
      } catch (error) {
        failures.push(error)
        // Told at once: the others may take their time to stop, and this is why they do.
        if (!isAbort(error)) this.#log.error({ err: error, pipeline: pipeline.name }, 'the pipeline failed')
        this.stop()
        giveUp ??= setTimeout(() => this.abort(), this.#stopMs)
      }
    }
    try {
      await Promise.all(this.pipelines.map(runOne))
    } finally {
      clearTimeout(giveUp)
      await this.#storage.stop()
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
      durationMs: this.#clock.now() - this.#startedAtMs,
      pipelines: Object.fromEntries(
        this.pipelines.map(({ name, counters, committed }) => [
          name,
          {
            ...counters,
            offsets: [...committed.values()].map(({ blob, generation, offset }) => ({
              blob,
              generation,
              offset,
            })),
          },
        ]),
      ),
    }
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

/** Readers of the containers in use; the embedded storage starts with the first pipeline that wants it. */
export class ContainerStorage {
  #follow: boolean
  #clock: Clock
  #log: Logger
  #embedded: EmbeddedStorage | undefined
  #memory: SampleMemory | undefined
  #filled = new Set<string>()
  #stateDirectory: string

  /** @param follow whether the sample's writer goes on appending */
  constructor(stateDirectory: string, follow: boolean, clock: Clock, logger: Logger) {
    this.#stateDirectory = stateDirectory
    this.#follow = follow
    this.#clock = clock
    this.#log = logger
  }

  async reader({ storage, container }: ResolvedConfig['pipelines'][string]['source']): Promise<BlobReader> {
    if (storage.kind !== 'embedded') return new AzureBlobReader(await connectContainer(storage, container))
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
    const reader = new AzureBlobReader(this.#embedded.containerClient(container))
    return withGeneration(reader, this.#memory.generation)
  }

  async stop(): Promise<void> {
    await this.#embedded?.stop()
  }
}
