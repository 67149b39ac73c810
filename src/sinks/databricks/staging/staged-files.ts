import type { Clock } from '../../../clock.ts'
import { isAbort, TailraceError } from '../../../errors.ts'
import type { LoadIntent } from '../../../offsets/load-intent.ts'
import type { VolumeStaging } from './volume-staging.ts'

const hourMs = 3_600_000

/** How far behind the retention a process looks for what earlier ones have left. */
const firstLookMs = 7 * 24 * hourMs

/**
 * @returns the name of a batch's file, in a folder for its hour. A listing shows 1,001 names at most, and an hour has
 * fewer batches; folders that are empty may stay, so they are never listed themselves.
 */
export function stagedFileName(batch: string, index: number, nowMs: number): string {
  return `${hourFolder(nowMs)}/${batch}-${index}.parquet`
}

function hourFolder(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 13).replace('T', '/')
}

export interface StagedFilesOptions {
  readonly staging: VolumeStaging
  /** Age from which files are removed, in milliseconds; undefined for never. */
  readonly retentionMs: number | undefined
  /** What is under way, whose files stay. */
  readonly intent: () => LoadIntent | undefined
  readonly clock: Clock
  /** Hears of files that could not be removed: they cost space and nothing else. */
  readonly onFailed: (error: unknown) => void
}

/** Removes files from the volume that were loaded, or belong to batches that were given up. */
export class StagedFiles {
  readonly #options: StagedFilesOptions
  /** The hour that the next look begins with. */
  #nextHourMs: number | undefined

  constructor(options: StagedFilesOptions) {
    this.#options = options
  }

  /** Removes files older than the retention, hour by hour. A failure is told, and is no failure of the caller. */
  async removeExpired(): Promise<void> {
    const { retentionMs, clock } = this.#options
    if (retentionMs === undefined) return
    const endMs = startOfHour(clock.now() - retentionMs)
    await this.#quietly(async () => {
      // Also after a clock that was set forward by far.
      if (this.#nextHourMs === undefined || endMs - this.#nextHourMs > firstLookMs) {
        await this.#removeBetween(endMs - firstLookMs, endMs)
        this.#nextHourMs = endMs
      }
      // Only hours that are over whole: each is listed once.
      for (; this.#nextHourMs < endMs; this.#nextHourMs += hourMs) {
        await this.#removeHour(hourFolder(this.#nextHourMs))
      }
    })
  }

  /** Removes all files but those of the batch under way. */
  async removeLoaded(): Promise<void> {
    const { retentionMs = 0, clock } = this.#options
    const nowMs = clock.now()
    await this.#quietly(() => this.#removeBetween(nowMs - retentionMs - firstLookMs, nowMs))
  }

  /** Goes through the hours that there are. */
  async #removeBetween(fromMs: number, toMs: number): Promise<void> {
    const { staging } = this.#options
    const isWithin = (startMs: number, lengthMs: number): boolean =>
      startMs + lengthMs > fromMs && startMs < toMs
    for (const day of (await staging.list('')).folders) {
      // What else lies there is not ours; a time that is no number is within nothing.
      if (!isWithin(Date.parse(`${day}T00:00:00Z`), 24 * hourMs)) continue
      for (const hour of (await staging.list(day)).folders) {
        if (isWithin(Date.parse(`${hour.replace('/', 'T')}:00:00Z`), hourMs)) await this.#removeHour(hour)
      }
    }
  }

  async #removeHour(folder: string): Promise<void> {
    const { staging, intent } = this.#options
    const { files } = await staging.list(folder)
    const kept = new Set(intent()?.files.map(({ name }) => name))
    for (const { name } of files) if (!kept.has(name)) await staging.remove(name)
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      // The run ends, and the next one goes on.
      if (isAbort(error)) return
      this.#options.onFailed(error)
    }
  }
}

function startOfHour(timeMs: number): number {
  return Math.floor(timeMs / hourMs) * hourMs
}

/**
 * Whether a name can stand in a statement and in a URL as it is: parts of `A-Z a-z 0-9 . _ -` between single slashes,
 * none of them `.` or `..`.
 */
function isStagedName(name: string): boolean {
  return name.split('/').every((part) => /^[\w.-]+$/.test(part) && part !== '.' && part !== '..')
}

/** @returns the last part of a name. */
export function lastPartOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** @returns what stands before the last part of a path, without the slash. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/** @throws CONFIG_INVALID for a folder that is not in a volume, or that has other characters than names may have */
export function checkedFolder(folder: string): string {
  const path = folder.replace(/\/+$/, '')
  if (/^\/Volumes(?:\/[^/]+){3,}$/.test(path) && isStagedName(path.slice(1))) return path
  throw new TailraceError(
    'CONFIG_INVALID',
    `${folder} is no folder for staging: /Volumes/catalog/schema/volume, folders below it at will, of A-Z a-z 0-9 . _ -`,
  )
}

/** @throws CONFIG_INVALID for a name with other characters than `A-Z a-z 0-9 . _ - /`, or with `..` */
export function checkedName(name: string): string {
  if (isStagedName(name)) return name
  throw new TailraceError('CONFIG_INVALID', `${name} is no name of a staged file.`)
}

/** @throws WAREHOUSE_UNAVAILABLE when the volume holds another length than was sent */
export function checkLength(name: string, sentBytes: number, bytes: number | undefined): void {
  if (bytes === sentBytes) return
  const held = bytes === undefined ? 'is not there' : `has ${bytes} bytes`
  throw new TailraceError(
    'WAREHOUSE_UNAVAILABLE',
    `The staged file ${name} ${held} after an upload of ${sentBytes} bytes`,
    { context: { sentBytes, bytes } },
  )
}
