import type { Clock } from '../../../clock.ts'
import { isAbort, TailraceError } from '../../../errors.ts'
import type { VolumeStaging } from './volume-staging.ts'

const hourMs = 3_600_000

/** Period before the retention in which a new process searches for files that earlier ones left. */
const firstScanMs = 7 * 24 * hourMs

/**
 * @returns the name of a batch's file, in a folder per hour: a listing shows at most 1,001 names, and an hour has fewer
 * files than that
 */
export function stagedFileName(batch: string, index: number, nowMs: number): string {
  return `${hourFolder(nowMs)}/${batch}-${index}.parquet`
}

/** @returns the name of a file that no COPY INTO loads, so that nothing has to be waited for because of it */
export function batchFileName(batch: string, index: number, nowMs: number): string {
  return `${hourFolder(nowMs)}/${batch}-${index}.batch.parquet`
}

/** @returns the name of a batch's mark: see `SentMarks`. Databricks reads no file whose name begins with `_`. */
export function sentMarkName(batch: string, nowMs: number): string {
  return `${hourFolder(nowMs)}/_${batch}.sent`
}

/** Whether a name is one that the functions above give: other files in the folders of hours are left alone. */
function isStagedFile(name: string): boolean {
  const isFile = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+(?:\.batch)?\.parquet$/
  return isFile.test(lastPartOf(name)) || isSentMark(name)
}

function isSentMark(name: string): boolean {
  return /^_[0-9a-f-]{36}\.sent$/.test(lastPartOf(name))
}

/** Whether a folder beside others is that of a day on which files were staged. */
export function isDay(folder: string): boolean {
  return !Number.isNaN(Date.parse(folder))
}

/** @returns the folder of an hour, in UTC */
export function hourFolder(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 13).replace('T', '/')
}

export interface StagedFilesOptions {
  readonly staging: VolumeStaging
  /** Age at which files are removed, in milliseconds; undefined keeps them forever. */
  readonly retentionMs: number | undefined
  /** The names of the current load's files, which are kept. */
  readonly held: () => readonly string[]
  /**
   * Finds those of some files whose rows are in the table; the others are kept. Default: all files that are not held were
   * loaded, or belong to a batch that was given up.
   */
  readonly ingested?: ((names: readonly string[]) => Promise<ReadonlySet<string>>) | undefined
  readonly clock: Clock
  /** Called when files could not be removed; they only take up space. */
  readonly onFailed: (error: unknown) => void
}

/** Removes staged files from the volume after they were loaded or their batch was abandoned. */
export class StagedFiles {
  readonly #options: StagedFilesOptions
  /** Start of the next hour to clear, in milliseconds since the epoch. */
  #nextHourMs: number | undefined
  /** Folders of hours that have ended, with files that were not ingested or that could not be removed. */
  #kept: readonly string[] = []

  constructor(options: StagedFilesOptions) {
    this.#options = options
  }

  /**
   * @param options.ofLoads whether only files of COPY INTO and their marks count
   * @returns when the newest file or mark was uploaded, in milliseconds since the epoch; undefined when there is none
   */
  async newestMs({ ofLoads }: { readonly ofLoads: boolean }): Promise<number | undefined> {
    const { staging } = this.#options
    const days = (await staging.list('')).folders.filter(isDay).sort()
    for (const day of days.reverse()) {
      for (const hour of [...(await staging.list(day)).folders].sort().reverse()) {
        const times = (await staging.list(hour)).files
          .filter(({ name }) => !ofLoads || !name.endsWith('.batch.parquet'))
          .map(({ modifiedAtMs }) => modifiedAtMs)
        if (times.length > 0) return times.reduce((newest, ms) => Math.max(newest, ms))
      }
    }
    return undefined
  }

  /** Removes files older than the retention, hour by hour. Reports failures to `onFailed` and does not throw. */
  async removeExpired(): Promise<void> {
    const { retentionMs, clock } = this.#options
    if (retentionMs === undefined) return
    const endMs = startOfHour(clock.now() - retentionMs)
    await this.reportingFailure(async () => {
      // The second case is a clock that was set far forward.
      if (this.#nextHourMs === undefined || endMs - this.#nextHourMs > firstScanMs) {
        await this.#removeBetween(endMs - firstScanMs, endMs, (hour) => this.#removeEndedHour(hour))
        this.#nextHourMs = endMs
      }
      if (this.#nextHourMs < endMs) {
        for (const folder of this.#kept) await this.#removeEndedHour(folder)
      }
      // Only hours that have ended, so that each is listed once.
      for (; this.#nextHourMs < endMs; this.#nextHourMs += hourMs) {
        await this.#removeEndedHour(hourFolder(this.#nextHourMs))
      }
    })
  }

  /**
   * Removes all files except those of the current load, and the marks, which are small: one may be of that load. Reports
   * failures to `onFailed` and does not throw.
   */
  async removeLoaded(): Promise<void> {
    const { retentionMs = 0, clock } = this.#options
    const nowMs = clock.now()
    await this.reportingFailure(() =>
      this.#removeBetween(nowMs - retentionMs - firstScanMs, nowMs, (hour) =>
        this.#removeHour(hour, isSentMark),
      ),
    )
  }

  /** Clears the existing hour folders within a period. */
  async #removeBetween(
    fromMs: number,
    toMs: number,
    removeHour: (folder: string) => Promise<unknown>,
  ): Promise<void> {
    const { staging } = this.#options
    const isWithin = (startMs: number, lengthMs: number): boolean =>
      startMs + lengthMs > fromMs && startMs < toMs
    for (const day of (await staging.list('')).folders) {
      // Other names parse as NaN, which is never within the period, so foreign folders are left alone.
      if (!isWithin(Date.parse(`${day}T00:00:00Z`), 24 * hourMs)) continue
      for (const hour of (await staging.list(day)).folders) {
        if (isWithin(Date.parse(`${hour.replace('/', 'T')}:00:00Z`), hourMs)) await removeHour(hour)
      }
    }
  }

  /** A folder that cannot be cleared does not stop the others: it is tried again an hour later. */
  async #removeEndedHour(folder: string): Promise<void> {
    const isCleared = await this.#removeHour(folder).catch((error: unknown) => {
      if (isAbort(error)) throw error
      this.#options.onFailed(error)
      return false
    })
    const others = this.#kept.filter((other) => other !== folder)
    this.#kept = isCleared ? others : [...others, folder]
  }

  /** @returns whether no file of the folder has to be kept until it is ingested */
  async #removeHour(folder: string, isKept: (name: string) => boolean = () => false): Promise<boolean> {
    const { staging, held, ingested } = this.#options
    const { files } = await staging.list(folder)
    const kept = new Set(held())
    const names = files
      .map(({ name }) => name)
      .filter((name) => isStagedFile(name) && !kept.has(name) && !isKept(name))
    const removable = ingested === undefined || names.length === 0 ? new Set(names) : await ingested(names)
    for (const name of removable) await staging.remove(name)
    return removable.size === names.length
  }

  /** Does work on staged files. Reports failures to `onFailed` and does not throw. */
  async reportingFailure(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      // The run is stopping; the next one continues.
      if (isAbort(error)) return
      this.#options.onFailed(error)
    }
  }
}

function startOfHour(timeMs: number): number {
  return Math.floor(timeMs / hourMs) * hourMs
}

/**
 * Whether a name needs no escape in a statement or a URL: parts of `A-Z a-z 0-9 . _ -` between single slashes, none of
 * them `.` or `..`.
 */
function isStagedName(name: string): boolean {
  return name.split('/').every((part) => /^[\w.-]+$/.test(part) && part !== '.' && part !== '..')
}

/** Whether a part of the staging folder needs no escape in a statement; in a URL it may need one. */
function isFolderPart(part: string): boolean {
  return /^[\p{L}\p{N}\p{M}._ -]+$/u.test(part) && part !== '.' && part !== '..'
}

/** @returns the last part of a name. */
export function lastPartOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** @returns a path without its last part and the slash before it. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/** @throws CONFIG_INVALID for a folder that is not in a volume, or that has characters not allowed in names */
export function checkedFolder(folder: string): string {
  const path = folder.replace(/\/+$/, '')
  const parts = path.slice(1).split('/')
  if (/^\/Volumes(?:\/[^/]+){3,}$/.test(path) && parts.every(isFolderPart)) return path
  throw new TailraceError(
    'CONFIG_INVALID',
    `invalid staging folder ${folder}: expected /Volumes/catalog/schema/volume or a folder below it, with names of letters, digits, blanks and . _ -`,
  )
}

/** @throws CONFIG_INVALID for a name with other characters than `A-Z a-z 0-9 . _ - /`, or with `..` */
export function checkedName(name: string): string {
  if (isStagedName(name)) return name
  throw new TailraceError(
    'CONFIG_INVALID',
    `invalid name of a staged file: found ${name}, expected names of A-Z a-z 0-9 . _ - between slashes.`,
  )
}

/** @throws WAREHOUSE_UNAVAILABLE when the uploaded file has a length other than that of the local one */
export function checkLength(name: string, sentBytes: number, bytes: number | undefined): void {
  if (bytes === sentBytes) return
  const found = bytes === undefined ? 'no file' : `${bytes} bytes`
  throw new TailraceError(
    'WAREHOUSE_UNAVAILABLE',
    `The upload of the staged file ${name} is incomplete: expected ${sentBytes} bytes, found ${found}`,
    { context: { sentBytes, bytes } },
  )
}
