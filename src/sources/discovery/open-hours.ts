import { isPauseOver } from '../../clock.ts'
import type { BlobReader, ListedBlob } from '../blob-reader.ts'
import { hourMs, hourPath } from './azure-monitor-layout.ts'

/** The name that Azure Monitor gives to the blob of an hour. */
const usualFile = 'PT1H.json'

/** Names of blobs of one hour that are remembered, at most; listings find the others. */
const maxFiles = 8

/** An hour stays open for this time after its end and its last growth, in milliseconds. */
export const openMs = hourMs

/** An open hour is requested again after this part of its quiet time: after 12 minutes, every 30 s. */
const quietPerInterval = 24

/** How long before its beginning an hour is requested, because the service's clock may be ahead, in milliseconds. */
const earlyMs = 60_000

/** A blob whose name follows from its hour. */
export interface OpenHour {
  readonly name: string
  /** The start of its hour, in milliseconds since the epoch. */
  readonly startMs: number
  /** As the last answer or listing showed it; undefined while it does not exist. */
  listed: ListedBlob | undefined
  /** Of the last answer. */
  etag: string | undefined
  requestedAtMs: number
  grewAtMs: number
}

/**
 * The hours of one server that may begin or grow, and the names of their blobs.
 *
 * The current hour is due in every scan, and after its end an hour is due when a 24th of its quiet time has passed. It is
 * closed an hour after its end and its last growth: later growth is found by a listing, which opens it again.
 */
export class OpenHours {
  #folder: string
  #firstMs: number
  #files = new Set([usualFile])
  #hours = new Map<string, OpenHour>()

  /**
   * @param folder the server's folder, which ends in `/`
   * @param startMs hours before this instant are never open
   */
  constructor(folder: string, startMs: number) {
    this.#folder = folder
    this.#firstMs = startMs
  }

  /** Takes a listed blob of an hour. */
  note(listed: ListedBlob, startMs: number, nowMs: number): void {
    const grewAtMs = Math.min(listed.modifiedAtMs, nowMs)
    if (!isOpen(startMs, grewAtMs, nowMs)) return
    const path = `${this.#folder}${hourPath(startMs)}`
    if (listed.name.startsWith(path) && this.#files.size < maxFiles)
      this.#files.add(listed.name.slice(path.length))
    const hour = this.#open(listed.name, startMs)
    // The next request shows whether the blob has grown since it was listed.
    if (listed.bytes !== hour.listed?.bytes || listed.createdAt !== hour.listed.createdAt) {
      hour.listed = listed
      hour.etag = undefined
    }
    hour.grewAtMs = Math.max(hour.grewAtMs, grewAtMs)
    hour.requestedAtMs = nowMs
  }

  /** The open hours, in name order. Closes those that are over. */
  open(nowMs: number): readonly OpenHour[] {
    const current = Math.floor((nowMs + earlyMs) / hourMs) * hourMs
    for (let startMs = current; isOpen(startMs, startMs, nowMs); startMs -= hourMs) {
      if (startMs < this.#firstMs) break
      for (const file of this.#files) this.#open(`${this.#folder}${hourPath(startMs)}${file}`, startMs)
    }
    for (const [name, { startMs, grewAtMs }] of this.#hours) {
      if (!isOpen(startMs, grewAtMs, nowMs)) this.#hours.delete(name)
    }
    return [...this.#hours.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #open(name: string, startMs: number): OpenHour {
    const never = Number.NEGATIVE_INFINITY
    const hour = this.#hours.get(name) ?? {
      name,
      startMs,
      listed: undefined,
      etag: undefined,
      requestedAtMs: never,
      grewAtMs: never,
    }
    this.#hours.set(name, hour)
    return hour
  }
}

/** @returns whether an hour is due for a request */
export function isDue({ startMs, grewAtMs, requestedAtMs }: OpenHour, nowMs: number): boolean {
  const quietMs = Math.max(0, nowMs - Math.max(startMs + hourMs, grewAtMs))
  return isPauseOver(requestedAtMs, quietMs / quietPerInterval, nowMs)
}

/**
 * Requests one byte of an hour's blob, on the condition that the blob has changed.
 *
 * @param hour takes the answer
 * @throws the error of the reader
 */
export async function requestHour(
  hour: OpenHour,
  reader: BlobReader,
  nowMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const read = await reader.read(hour.name, { offset: 0, maxBytes: 1, ifNoneMatch: hour.etag, signal })
  hour.requestedAtMs = nowMs
  if (read.kind === 'unchanged') return
  hour.etag = undefined
  if (read.kind !== 'bytes') {
    hour.listed = undefined
    return
  }
  const { totalBytes: bytes, createdAt, etag, release } = read
  release?.()
  hour.etag = etag === '' ? undefined : etag
  if (bytes === hour.listed?.bytes && createdAt === hour.listed.createdAt) return
  hour.listed = { name: hour.name, bytes, createdAt, modifiedAtMs: nowMs }
  hour.grewAtMs = nowMs
}

function isOpen(startMs: number, grewAtMs: number, nowMs: number): boolean {
  return nowMs - Math.max(startMs + hourMs, grewAtMs) < openMs
}
