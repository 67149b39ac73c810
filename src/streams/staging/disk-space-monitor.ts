import { stat } from 'node:fs/promises'
import diskSpaceModule from 'check-disk-space'
import { type Clock, systemClock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { withStateErrors } from '../../offsets/state-files.ts'
import { type Logger, silentLogger } from '../../reporting/logger.ts'

// The package's types describe its CommonJS build; what is imported is the function itself.
const checkDiskSpace = diskSpaceModule as unknown as (directory: string) => Promise<{ readonly free: number }>

export interface DiskSpaceMonitorOptions {
  /** Directories whose volumes are watched, such as the staging directory and a local table. */
  readonly directories: readonly string[]
  /** Below this many free bytes on any of the volumes, work is held. */
  readonly minFreeBytes: number
  /** From this many free bytes on every volume, work goes on. Default 1.1 times `minFreeBytes`. */
  readonly resumeFreeBytes?: number
  /** How old an answer may be before the volumes are asked again, and the pause while held; in milliseconds. Default 5,000. */
  readonly checkMs?: number
  /** Removes expired staging files. @returns how many bytes went */
  readonly removeExpired?: () => Promise<number>
  /** Asks the sink to forget what it can load again. */
  readonly releaseCaches?: () => Promise<void>
  /** Asks how many bytes are free on a directory's volume. Default: the operating system says. */
  readonly freeBytesOf?: (directory: string) => Promise<number>
  readonly clock?: Clock
  readonly logger?: Logger
}

/** What the monitor has done so far. */
export interface DiskSpaceCounters {
  readonly holds: number
  readonly heldMs: number
  readonly expiredBytes: number
}

/**
 * Watches the free space of volumes and holds work while it is short.
 *
 * While it holds: expired staging files are removed, the sink releases its caches, and garbage is collected
 * where the process runs with `--expose-gc` (a dropped buffer may keep a deleted file's blocks). Then it looks
 * again, until there is room. Nothing is dropped: whoever waits for `ensureSpace` simply waits.
 */
export class DiskSpaceMonitor {
  #directories: readonly string[]
  #minFreeBytes: number
  #resumeFreeBytes: number
  #checkMs: number
  #removeExpired: () => Promise<number>
  #releaseCaches: () => Promise<void>
  #freeBytesOf: (directory: string) => Promise<number>
  #clock: Clock
  #log: Logger
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #holding: Promise<void> | undefined
  #counters = { holds: 0, heldMs: 0, expiredBytes: 0 }

  constructor(options: DiskSpaceMonitorOptions) {
    this.#directories = options.directories
    this.#minFreeBytes = options.minFreeBytes
    this.#resumeFreeBytes = options.resumeFreeBytes ?? Math.ceil(options.minFreeBytes * 1.1)
    this.#checkMs = options.checkMs ?? 5_000
    this.#removeExpired = options.removeExpired ?? (async () => 0)
    this.#releaseCaches = options.releaseCaches ?? (async () => {})
    this.#freeBytesOf = options.freeBytesOf ?? (async (directory) => (await checkDiskSpace(directory)).free)
    this.#clock = options.clock ?? systemClock
    this.#log = options.logger ?? silentLogger
  }

  get counters(): DiskSpaceCounters {
    return this.#counters
  }

  /** Whether work is held at this moment. */
  get isHolding(): boolean {
    return this.#holding !== undefined
  }

  /** @returns the least free space among the volumes, in bytes */
  async freeBytes(): Promise<number> {
    // Each question starts a program on most platforms, so a volume that holds several directories is asked once.
    const volumes = new Map<number, string>()
    const missing: unknown[] = []
    for (const directory of this.#directories) {
      // Whoever writes into a directory that is gone can say what it was.
      const found = await stat(directory).catch((error: unknown) => void missing.push(error))
      if (found !== undefined) volumes.set(found.dev, directory)
    }
    if (volumes.size === 0) throw missing[0]
    return Math.min(...(await Promise.all([...volumes.values()].map(this.#freeBytesOf))))
  }

  /**
   * Resolves when there is room to work; at once in the ordinary case.
   *
   * @throws the signal's reason when it fires while work is held
   */
  async ensureSpace(signal?: AbortSignal): Promise<void> {
    if (this.#holding === undefined && this.#clock.now() - this.#checkedAtMs < this.#checkMs) return
    await (this.#holding ?? this.#check(this.#minFreeBytes, signal))
  }

  /**
   * Runs a write and repeats it when the volume turns out to be full: a check beforehand cannot know how much
   * others write meanwhile.
   *
   * @param write must leave nothing behind when it fails with DISK_FULL or ENOSPC
   * @throws DIRECTORY_UNUSABLE for what the file system refuses, unless the write has a code of its own for it
   */
  async withSpace<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (;;) {
      await this.ensureSpace(signal)
      try {
        return await this.#withStateErrors(write)
      } catch (error) {
        if (!isDiskFull(error)) throw error
        this.#log.warn({ err: error }, 'a write found the volume full')
        await (this.#holding ?? this.#hold(signal, 1))
      }
    }
  }

  #withStateErrors<T>(work: () => Promise<T>): Promise<T> {
    return withStateErrors(this.#directories.join(', '), work)
  }

  async #check(neededBytes: number, signal?: AbortSignal): Promise<void> {
    const freeBytes = await this.#withStateErrors(() => this.freeBytes())
    this.#checkedAtMs = this.#clock.now()
    if (freeBytes < neededBytes) await (this.#holding ?? this.#hold(signal))
  }

  #hold(signal?: AbortSignal, leastPauses = 0): Promise<void> {
    this.#holding = this.#waitForRoom(leastPauses, signal).finally(() => {
      this.#holding = undefined
    })
    return this.#holding
  }

  async #waitForRoom(leastPauses: number, signal?: AbortSignal): Promise<void> {
    const since = this.#clock.now()
    this.#counters.holds += 1
    this.#log.warn(
      {
        freeBytes: await this.freeBytes(),
        minFreeBytes: this.#minFreeBytes,
        resumeFreeBytes: this.#resumeFreeBytes,
      },
      'disk space is short: the stream is held',
    )
    for (let round = 0; ; round += 1) {
      await this.#makeRoom(round === 0)
      const freeBytes = await this.freeBytes()
      // After a write that failed the number alone proves nothing: without a pause it would be repeated at full speed.
      if (freeBytes >= this.#resumeFreeBytes && round >= leastPauses) break
      this.#log.debug({ freeBytes }, 'disk space is still short')
      await this.#clock.sleep(this.#checkMs, signal)
    }
    const heldMs = this.#clock.now() - since
    this.#counters.heldMs += heldMs
    this.#checkedAtMs = this.#clock.now()
    this.#log.info({ heldMs }, 'disk space is back: the stream goes on')
  }

  async #makeRoom(first: boolean): Promise<void> {
    const expiredBytes = await this.#removeExpired()
    this.#counters.expiredBytes += expiredBytes
    if (expiredBytes > 0) this.#log.info({ expiredBytes }, 'removed expired staging files')
    if (!first) return
    await this.#releaseCaches().catch((error: unknown) =>
      this.#log.warn({ err: error }, 'the sink did not release its caches'),
    )
    const collects = typeof globalThis.gc === 'function'
    globalThis.gc?.()
    this.#log.info({ collectedGarbage: collects }, 'asked the sink to release its caches')
  }
}

/** @returns whether an error says that a volume is full. */
export function isDiskFull(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false
  return (
    error.code === 'ENOSPC' ||
    error.code === 'EDQUOT' ||
    (error instanceof TailraceError && error.code === 'DISK_FULL')
  )
}
