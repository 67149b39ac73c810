import { posix } from 'node:path'
import type { Clock } from '../../src/clock.ts'
import { TailraceError } from '../../src/errors.ts'
import type {
  DeltaStorage,
  FolderContents,
  LocalFile,
  PutOutcome,
  StoredObject,
} from '../../src/sinks/delta/storage/delta-storage.ts'
import type { CallVerdict, Life } from './machine.ts'
import { giveFile, takeFile } from './memory-files.ts'

interface TableObject {
  readonly bytes: Buffer
  readonly modifiedMs: number
}

/** The objects of one table, which all processes share. */
export class TableObjects {
  readonly #objects = new Map<string, TableObject>()
  readonly #clock: Clock
  readonly #onCreated: (path: string, bytes: Buffer) => void

  /** @param onCreated hears of each object that was created and must not be replaced, at the instant in which it is */
  constructor(clock: Clock, onCreated: (path: string, bytes: Buffer) => void) {
    this.#clock = clock
    this.#onCreated = onCreated
  }

  putIfAbsent(path: string, bytes: Buffer): PutOutcome {
    if (this.#objects.has(path)) return 'exists'
    this.put(path, bytes)
    this.#onCreated(path, bytes)
    return 'created'
  }

  put(path: string, bytes: Buffer): void {
    this.#objects.set(path, { bytes, modifiedMs: this.#clock.now() })
  }

  get(path: string): Buffer | undefined {
    return this.#objects.get(path)?.bytes
  }

  remove(path: string): void {
    this.#objects.delete(path)
  }

  in(folder: string, prefix: string): StoredObject[] {
    return [...this.#objects]
      .filter(([path]) => posix.dirname(path) === folder && posix.basename(path).startsWith(prefix))
      .map(([path, { bytes, modifiedMs }]) => ({
        name: posix.basename(path),
        modifiedMs,
        bytes: bytes.length,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** What becomes of one request to the table's storage. */
export interface TableVerdict extends CallVerdict {
  /** Of a conditional creation whose reply is lost: whether and when it takes effect. */
  readonly unanswered?: 'done' | 'never' | { readonly afterMs: number } | undefined
}

/** @param isConditional whether it is a creation whose outcome may stay unknown */
export type TableRule = (life: Life, call: string, path: string, isConditional: boolean) => TableVerdict

/** The table's storage as one process reaches it. */
export class MemoryTableStorage implements DeltaStorage {
  readonly location = 'simulated table'
  readonly #objects: TableObjects
  readonly #life: Life
  readonly #rule: TableRule
  readonly #worldClock: Clock

  /** @param worldClock of what goes on without the process: a request that was sent still arrives */
  constructor(objects: TableObjects, life: Life, rule: TableRule, worldClock: Clock) {
    this.#objects = objects
    this.#life = life
    this.#rule = rule
    this.#worldClock = worldClock
  }

  async prepare(): Promise<void> {}

  async putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome> {
    const verdict = this.#rule(this.#life, 'putIfAbsent', path, true)
    const { unanswered } = verdict
    const put = (): PutOutcome => this.#objects.putIfAbsent(path, bytes)
    if (unanswered === undefined) return this.#life.call(verdict, put)
    return this.#life.call(verdict, () => {
      if (unanswered === 'done') put()
      else if (unanswered !== 'never') this.#worldClock.after(unanswered.afterMs, put)
      return 'unknown'
    })
  }

  put(path: string, bytes: Buffer): Promise<void> {
    return this.#call('put', path, () => this.#objects.put(path, bytes))
  }

  read(path: string): Promise<Buffer | undefined> {
    return this.#call('read', path, () => this.#objects.get(path))
  }

  list(folder: string, prefix = ''): Promise<string[]> {
    return this.#call('list', folder, () => this.#objects.in(folder, prefix).map(({ name }) => name))
  }

  async *pages(folder: string, prefix = ''): AsyncGenerator<readonly StoredObject[]> {
    yield await this.#call('list', folder, () => this.#objects.in(folder, prefix))
  }

  contentsOf(folder: string): Promise<FolderContents> {
    return this.#call('list', folder, () => ({ objects: this.#objects.in(folder, ''), folders: [] }))
  }

  remove(path: string): Promise<void> {
    return this.#call('remove', path, () => this.#objects.remove(path))
  }

  putFile(localPath: string, path: string): Promise<void> {
    return this.#call('putFile', path, () => this.#objects.put(path, takeFile(localPath)))
  }

  withdrawFile(path: string, localPath: string): Promise<void> {
    return this.#call('withdrawFile', path, () => {
      giveFile(localPath, this.#objects.get(path)!)
      this.#objects.remove(path)
    })
  }

  localFile(): Promise<LocalFile> {
    throw new Error('Nothing in a simulated world reads data files.')
  }

  #call<T>(call: string, path: string, effect: () => T): Promise<T> {
    return this.#life.call(this.#rule(this.#life, call, path, false), effect)
  }
}

export function tableUnavailable(): Error {
  return new TailraceError('TABLE_UNAVAILABLE', 'The simulated storage of the table does not answer.')
}
