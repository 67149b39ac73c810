import { connectContainer } from '../azure/connect-container.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../reporting/logger.ts'
import { fixedBlobOf } from '../sources/discovery/blob-selection.ts'
import { EmbeddedStorage } from '../sources/embedded/embedded-storage.ts'
import { SampleMemory, withGeneration } from '../sources/embedded/sample-memory.ts'
import type { SourceOptions } from '../sources/options.ts'
import { AzureBlobReader } from '../sources/readers/azure-blob-reader.ts'
import { type ObservedReader, observedReader, StorageHealth } from '../sources/readers/observed-reader.ts'

/** Creates the readers of containers. The embedded storage starts with the first pipeline that uses it. */
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
   * Creates the reader of a source. Readers of one account share its health.
   *
   * @throws CONFIG_INVALID for a connection string or a SAS that does not fit the source
   */
  async reader(source: SourceOptions): Promise<ObservedReader> {
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
