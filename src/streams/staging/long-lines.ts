import { randomUUID } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate } from 'node:timers'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import type { EndTurn, LineFile, LongLineTurns } from '../records/open-line.ts'
import type { DiskSpaceMonitor } from './disk-space-monitor.ts'
import { type Staging, writeAt } from './staging.ts'

export interface LongLinesOptions {
  /** Holds the files of open lines. */
  readonly staging: Staging
  /** Repeats writes when the volume is full; without it they fail. */
  readonly diskSpace?: DiskSpaceMonitor | undefined
  /** Steps that take several times a long text's memory, also those of the encoder. Default: a queue for lines alone. */
  readonly longTexts?: SerialQueue | undefined
}

/**
 * What all lanes of a pipeline share for long lines: the directory for the open ones, and the turns of the complete ones.
 *
 * A stage holds a block or two, so that ten lines of 16 MiB would be in memory between the splitters and the batcher. Only
 * one is: its lane takes a turn before the line's text is put together, and the stage that has written the text ends it.
 */
export class LongLines implements LongLineTurns {
  readonly #staging: Staging
  readonly #diskSpace: DiskSpaceMonitor | undefined
  readonly #longTexts: SerialQueue
  /** Called to hand the turn on, the oldest one first. */
  #waiting: (() => void)[] = []
  #isTaken = false

  constructor({ staging, diskSpace, longTexts = new SerialQueue() }: LongLinesOptions) {
    this.#staging = staging
    this.#diskSpace = diskSpace
    this.#longTexts = longTexts
  }

  alone<T>(step: () => Promise<T>): Promise<T> {
    return this.#longTexts.run(step)
  }

  async takeTurn(signal: AbortSignal): Promise<EndTurn> {
    signal.throwIfAborted()
    if (this.#isTaken) await this.#nextTurn(signal)
    this.#isTaken = true
    let isEnded = false
    return () => {
      if (isEnded) return
      isEnded = true
      // Not at once: the stage that ends a turn still refers to the line, so that its memory could not be collected.
      setImmediate(() => this.#handOn())
    }
  }

  async createFile(signal: AbortSignal): Promise<LineFile> {
    const path = this.#staging.linePath(randomUUID())
    const withSpace = <T>(write: () => Promise<T>): Promise<T> =>
      this.#diskSpace === undefined ? write() : this.#diskSpace.withSpace(write, signal)
    const file = await withSpace(() => open(path, 'wx+'))
    let bytes = 0
    return {
      append: async (more) => {
        // Written at a fixed position: after a full volume, the repeated write overwrites the partial one.
        await withSpace(() => writeAt(file, more, bytes))
        bytes += more.length
      },
      read: () => contentOf(file, bytes, path),
      discard: async () => {
        // Its content is not needed any more, whatever became of it.
        await file.close().catch(() => {})
        await this.#staging.remove(path)
      },
    }
  }

  #nextTurn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== take)
        reject(signal.reason)
      }
      const take = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(take)
    })
  }

  #handOn(): void {
    const next = this.#waiting.shift()
    // The turn stays taken on its way to the next lane.
    if (next === undefined) this.#isTaken = false
    else next()
  }
}

async function contentOf(file: FileHandle, bytes: number, path: string): Promise<Buffer> {
  const content = Buffer.alloc(bytes)
  for (let read = 0; read < bytes; ) {
    const { bytesRead } = await file.read(content, read, bytes - read, read)
    if (bytesRead === 0) throw new Error(`${path} was truncated by another process.`)
    read += bytesRead
  }
  return content
}
