import type {
  DeltaStorage,
  FolderContents,
  LocalFile,
  PutOutcome,
  StoredObject,
} from '../../../src/sinks/delta/storage/delta-storage.ts'

/** What happens to one `putIfAbsent`. */
export type Fault =
  /** It is done and the reply is lost. */
  | 'lost-reply'
  /** It never arrives and the reply is lost. */
  | 'lost-request'
  /** The reply is lost, and it is done just before the next one. */
  | 'late-request'
  /** It fails for certain. */
  | Error

/** A storage whose next creations meet the given faults, in order; strict: an unused fault is a test's mistake. */
export class FaultyStorage implements DeltaStorage {
  readonly location: string
  readonly #inner: DeltaStorage
  readonly #faults: Fault[] = []
  #readFault: Error | undefined
  #late: (() => Promise<PutOutcome>) | undefined
  /** Runs before each `putIfAbsent`, once per given function. */
  readonly beforePut: (() => Promise<void>)[] = []

  constructor(inner: DeltaStorage) {
    this.#inner = inner
    this.location = inner.location
  }

  failNext(...faults: readonly Fault[]): void {
    this.#faults.push(...faults)
  }

  /** Makes the next `read` fail. */
  failNextRead(error: Error): void {
    this.#readFault = error
  }

  get unusedFaults(): number {
    return this.#faults.length
  }

  async putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome> {
    await this.beforePut.shift()?.()
    await this.#late?.()
    this.#late = undefined
    const fault = this.#faults.shift()
    if (fault === undefined) return this.#inner.putIfAbsent(path, bytes)
    if (fault instanceof Error) throw fault
    if (fault === 'lost-reply') await this.#inner.putIfAbsent(path, bytes)
    if (fault === 'late-request') this.#late = () => this.#inner.putIfAbsent(path, bytes)
    return 'unknown'
  }

  prepare(): Promise<void> {
    return this.#inner.prepare()
  }

  put(path: string, bytes: Buffer): Promise<void> {
    return this.#inner.put(path, bytes)
  }

  async read(path: string): Promise<Buffer | undefined> {
    const fault = this.#readFault
    this.#readFault = undefined
    if (fault !== undefined) throw fault
    return this.#inner.read(path)
  }

  list(folder: string, prefix?: string): Promise<string[]> {
    return this.#inner.list(folder, prefix)
  }

  pages(folder: string, prefix?: string): AsyncIterable<readonly StoredObject[]> {
    return this.#inner.pages(folder, prefix)
  }

  contentsOf(folder: string): Promise<FolderContents> {
    return this.#inner.contentsOf(folder)
  }

  remove(path: string): Promise<void> {
    return this.#inner.remove(path)
  }

  putFile(localPath: string, path: string): Promise<void> {
    return this.#inner.putFile(localPath, path)
  }

  withdrawFile(path: string, localPath: string): Promise<void> {
    return this.#inner.withdrawFile(path, localPath)
  }

  localFile(path: string): Promise<LocalFile> {
    return this.#inner.localFile(path)
  }
}
