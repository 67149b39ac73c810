import type { ListedBlob } from './blob-reader.ts'

const dayMs = 86_400_000

/**
 * Estimates the bytes that arrive in a day, from blobs as a listing shows them: each blob's bytes are taken to have arrived
 * evenly from its creation to its last change.
 */
export class ArrivalRate {
  readonly #nowMs: number
  #bytes = 0

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  /** Bytes of the 24 hours before. */
  get bytesPerDay(): number {
    return Math.round(this.#bytes)
  }

  note({ bytes, createdAt, modifiedAtMs }: Pick<ListedBlob, 'bytes' | 'createdAt' | 'modifiedAtMs'>): void {
    const sinceMs = this.#nowMs - dayMs
    if (modifiedAtMs <= sinceMs) return
    const createdAtMs = instantOf(createdAt) ?? modifiedAtMs
    const lifeMs = modifiedAtMs - createdAtMs
    const recentMs = modifiedAtMs - Math.max(createdAtMs, sinceMs)
    this.#bytes += lifeMs <= 0 ? bytes : (bytes * recentMs) / lifeMs
  }
}

/** @param text such as `20261124T084700Z`; a copy of a generation has a suffix */
function instantOf(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(text) ?? []
  return year === undefined
    ? undefined
    : Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
}
