import { stat, statfs } from 'node:fs/promises'
import diskSpaceModule from 'check-disk-space'
import { type Clock, isPauseOver, systemClock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { withStateErrors } from '../../offsets/state-files.ts'
import { type Logger, silentLogger } from '../../reporting/logger.ts'

// The package's types describe its CommonJS build. The ES module's default export is the function itself.
const checkDiskSpace = diskSpaceModule as unknown as (directory: string) => Promise<{ readonly free: number }>

export interface DiskSpaceMonitorOptions {
  /** Directories whose volumes are monitored, such as the staging directory and a local table. */
  readonly directories: readonly string[]
  /** Work is held while any volume has fewer free bytes. */
  readonly minFreeBytes: number
  /** Held work resumes when every volume has this many free bytes. Default 1.1 times `minFreeBytes`. */
  readonly resumeFreeBytes?: number | undefined
  /** Interval between checks, in milliseconds. Default 5,000. */
  readonly checkMs?: number | undefined
  /** Removes expired staging files. @returns the number of bytes removed */
  readonly removeExpired?: (() => Promise<number>) | undefined
  /** Releases what the sink caches and can load again. */
  readonly releaseCaches?: (() => Promise<void>) | undefined
  /** @returns the free bytes of a directory's volume. Default: asks the operating system */
  readonly freeBytesOf?: ((directory: string) => Promise<number>) | undefined
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
}

/** Totals since the monitor was created. */
export interface DiskSpaceCounters {
  readonly holds: number
  readonly heldMs: number
  readonly expiredBytes: number
}

/**
 * Monitors the free space of volumes and holds work while it is short.
 *
 * While work is held, it removes expired staging files, releases the sink's caches and, in a process with `--expose-gc`,
 * collects garbage, because an unreferenced buffer can keep the blocks of a deleted file. It repeats the check until
 * there is room. No data is dropped: callers of `ensureSpace` wait.
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
  #heldSinceMs: number | undefined
  #lastFreeBytes: number | undefined
  #measuredAtMs = Number.NEGATIVE_INFINITY
  #measuring: Promise<unknown> | undefined
  #counters = { holds: 0, heldMs: 0, expiredBytes: 0 }

  constructor(options: DiskSpaceMonitorOptions) {
    this.#directories = options.directories
    this.#minFreeBytes = options.minFreeBytes
    this.#resumeFreeBytes = options.resumeFreeBytes ?? Math.ceil(options.minFreeBytes * 1.1)
    this.#checkMs = options.checkMs ?? 5_000
    this.#removeExpired = options.removeExpired ?? (async () => 0)
    this.#releaseCaches = options.releaseCaches ?? (async () => {})
    this.#freeBytesOf = options.freeBytesOf ?? freeBytesOfVolume
    this.#clock = options.clock ?? systemClock
    this.#log = options.logger ?? silentLogger
  }

  get counters(): DiskSpaceCounters {
    return this.#counters
  }

  /** Whether work is held now. */
  get isHolding(): boolean {
    return this.#holding !== undefined
  }

  /** Since when work is held, in milliseconds since the epoch; undefined while it is not. */
  get heldSinceMs(): number | undefined {
    return this.#heldSinceMs
  }

  /** Below this many free bytes of any volume, work is held. */
  get minFreeBytes(): number {
    return this.#minFreeBytes
  }

  /**
   * Begins a new measurement when the last one is older than a check, and does not wait for it: a volume that hangs must
   * not delay the caller. A measurement starts a program, for which the whole process stops for some milliseconds.
   *
   * @returns the free bytes as last measured; undefined before the first answer
   */
  latestFreeBytes(): number | undefined {
    if (isPauseOver(this.#measuredAtMs, this.#checkMs, this.#clock.now())) {
      this.#measuring ??= this.#knownFreeBytes().finally(() => {
        this.#measuring = undefined
      })
    }
    return this.#lastFreeBytes
  }

  /** @returns the free bytes of the volume that has fewest */
  async freeBytes(): Promise<number> {
    // A query starts a program on most platforms, so a volume with several of the directories is queried once.
    const volumes = new Map<number, string>()
    const missing: unknown[] = []
    for (const directory of this.#directories) {
      // A missing directory is no error here: the next write into it fails with a better message.
      const found = await stat(directory).catch((error: unknown) => void missing.push(error))
      if (found !== undefined) volumes.set(found.dev, directory)
    }
    if (volumes.size === 0) throw missing[0]
    return Math.min(...(await Promise.all([...volumes.values()].map(this.#freeBytesOf))))
  }

  /**
   * Resolves when there is room: at once unless work is held or a check is due.
   *
   * @throws the signal's reason when it fires while work is held
   */
  async ensureSpace(signal?: AbortSignal): Promise<void> {
    const isDue = isPauseOver(this.#checkedAtMs, this.#checkMs, this.#clock.now())
    if (this.#holding === undefined && !isDue) return
    await (this.#holding ?? this.#check(this.#minFreeBytes, signal))
  }

  /**
   * Runs a write, and repeats it when the volume is full: other processes may fill it between the check and the write.
   *
   * @param write must be repeatable after it fails with DISK_FULL, ENOSPC or EDQUOT
   * @throws DIRECTORY_UNUSABLE for another error of the file system; an error of the write that has a code passes unchanged
   */
  async withSpace<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (;;) {
      await this.ensureSpace(signal)
      try {
        return await withStateErrors(this.#directories.join(', '), write)
      } catch (error) {
        if (!isDiskFull(error)) throw error
        this.#log.warn({ err: error }, 'a write failed because the volume is full')
        await (this.#holding ?? this.#hold(signal, 1))
      }
    }
  }

  async #check(neededBytes: number, signal?: AbortSignal): Promise<void> {
    const freeBytes = await this.#knownFreeBytes()
    this.#checkedAtMs = this.#clock.now()
    if (freeBytes < neededBytes) await (this.#holding ?? this.#hold(signal))
  }

  /** Without an answer nothing is held: the next write finds out whether there is room. */
  async #knownFreeBytes(): Promise<number> {
    this.#measuredAtMs = this.#clock.now()
    try {
      this.#lastFreeBytes = await this.freeBytes()
      return this.#lastFreeBytes
    } catch (error) {
      this.#log.warn({ err: error }, 'the free disk space could not be determined')
      return Number.POSITIVE_INFINITY
    }
  }

  #hold(signal?: AbortSignal, minPauses = 0): Promise<void> {
    this.#heldSinceMs = this.#clock.now()
    this.#holding = this.#waitForRoom(minPauses, signal).finally(() => {
      this.#holding = undefined
      this.#heldSinceMs = undefined
    })
    return this.#holding
  }

  async #waitForRoom(minPauses: number, signal?: AbortSignal): Promise<void> {
    const since = this.#clock.now()
    this.#counters.holds += 1
    this.#log.warn(
      {
        freeBytes: await this.#knownFreeBytes(),
        minFreeBytes: this.#minFreeBytes,
        resumeFreeBytes: this.#resumeFreeBytes,
      },
      'disk space is short: the stream is held',
    )
    for (let round = 0; ; round += 1) {
      await this.#makeRoom(round === 0)
      const freeBytes = await this.#knownFreeBytes()
      // After a failed write the free bytes prove nothing (a quota may be exhausted): the pause prevents a busy loop.
      if (freeBytes >= this.#resumeFreeBytes && round >= minPauses) break
      this.#log.debug({ freeBytes }, 'disk space is still short')
      await this.#clock.sleep(this.#checkMs, signal)
    }
    const heldMs = this.#clock.now() - since
    this.#counters.heldMs += heldMs
    this.#checkedAtMs = this.#clock.now()
    this.#log.info({ heldMs }, 'disk space is available again: the stream continues')
  }

  async #makeRoom(first: boolean): Promise<void> {
    const expiredBytes = await this.#removeExpired()
    this.#counters.expiredBytes += expiredBytes
    if (expiredBytes > 0) this.#log.info({ expiredBytes }, 'removed expired staging files')
    if (!first) return
    await this.#releaseCaches().catch((error: unknown) =>
      this.#log.warn({ err: error }, 'releasing the caches of the sink failed'),
    )
    const collects = typeof globalThis.gc === 'function'
    globalThis.gc?.()
    this.#log.info({ collectedGarbage: collects }, 'released the caches of the sink')
  }
}

/** The package runs a program of the system, which small container images do not have; Node then asks the kernel. */
async function freeBytesOfVolume(directory: string): Promise<number> {
  try {
    return (await checkDiskSpace(directory)).free
  } catch {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  }
}

/** @returns whether an error reports a full volume or an exhausted quota */
export function isDiskFull(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false
  return (
    error.code === 'ENOSPC' ||
    error.code === 'EDQUOT' ||
    (error instanceof TailraceError && error.code === 'DISK_FULL')
  )
}
