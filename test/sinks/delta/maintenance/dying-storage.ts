import type {
  DeltaStorage,
  FolderContents,
  LocalFile,
  PutOutcome,
  StoredObject,
} from '../../../../src/sinks/delta/delta-storage.ts'

/** The process is gone: nothing that it does afterwards reaches the storage. */
export class ProcessGone extends Error {}

/**
 * A storage whose process dies at its n-th call: just before it takes effect, or just after it has. Every later call
 * fails too, so that nothing is tidied up.
 */
export class DyingStorage implements DeltaStorage {
  readonly location: string
  readonly #inner: DeltaStorage
  readonly #callToDieAt: number
  readonly #when: 'before' | 'after'
  readonly #counted: 'all' | 'changes'
  #calls = 0

  /**
   * @param callToDieAt the first call is 1
   * @param counted whether it may die at every call, or only at those that change something
   */
  constructor(
    inner: DeltaStorage,
    callToDieAt: number,
    when: 'before' | 'after',
    counted: 'all' | 'changes' = 'all',
  ) {
    this.#inner = inner
    this.location = inner.location
    this.#callToDieAt = callToDieAt
    this.#when = when
    this.#counted = counted
  }

  prepare(): Promise<void> {
    return this.#step(() => this.#inner.prepare())
  }

  putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome> {
    return this.#step(() => this.#inner.putIfAbsent(path, bytes))
  }

  put(path: string, bytes: Buffer): Promise<void> {
    return this.#step(() => this.#inner.put(path, bytes))
  }

  read(path: string): Promise<Buffer | undefined> {
    return this.#look(() => this.#inner.read(path))
  }

  list(folder: string, prefix?: string): Promise<string[]> {
    return this.#look(() => this.#inner.list(folder, prefix))
  }

  async *pages(folder: string, prefix?: string): AsyncGenerator<readonly StoredObject[]> {
    const pages = this.#inner.pages(folder, prefix)[Symbol.asyncIterator]()
    for (;;) {
      const page = await this.#look(() => pages.next())
      if (page.done === true) return
      yield page.value
    }
  }

  contentsOf(folder: string): Promise<FolderContents> {
    return this.#look(() => this.#inner.contentsOf(folder))
  }

  remove(path: string): Promise<void> {
    return this.#step(() => this.#inner.remove(path))
  }

  putFile(localPath: string, path: string): Promise<void> {
    return this.#step(() => this.#inner.putFile(localPath, path))
  }

  withdrawFile(path: string, localPath: string): Promise<void> {
    return this.#step(() => this.#inner.withdrawFile(path, localPath))
  }

  localFile(path: string): Promise<LocalFile> {
    return this.#look(() => this.#inner.localFile(path))
  }

  async #look<T>(call: () => Promise<T>): Promise<T> {
    if (this.#counted === 'all') return this.#step(call)
    if (this.#calls >= this.#callToDieAt) throw new ProcessGone()
    return call()
  }

  async #step<T>(call: () => Promise<T>): Promise<T> {
    this.#calls += 1
    const calls = this.#calls
    if (calls > this.#callToDieAt || (calls === this.#callToDieAt && this.#when === 'before')) {
      throw new ProcessGone()
    }
    const result = await call()
    if (calls >= this.#callToDieAt) throw new ProcessGone()
    return result
  }
}
