import { dayMs, dayOf } from './azure-monitor-layout.ts'

/** How far a server's clock may be ahead of this one: its new day is scanned so long before midnight. */
const clockDifferenceMs = 15 * 60_000

/** Longest time between two scans of a watched day, in milliseconds. */
export const maxIntervalMs = 30 * 60_000

/** A day is scanned again after this part of its quiet time: after an hour, every two and a half minutes. */
const quietPerInterval = 24

interface WatchedDay {
  scannedAtMs: number
  /** By the service's clock. */
  newestModifiedMs: number
  /** By this machine's clock once the day has been scanned, before that by the service's. */
  grewAtMs: number
}

/**
 * Decides which days of hourly blobs are due for a scan. Keeps an entry per watched day, however long the history is.
 *
 * The current day and the day of the newest known hour are due in every scan. An older day is due when a 24th of its
 * quiet time (since the later of its end and its last growth), 30 minutes at most, has passed since its last scan. It is
 * closed once both its end and its last growth are `watchMs` ago.
 */
export class WatchedDays {
  #watchMs: number
  #firstDayMs: number
  #days = new Map<number, WatchedDay>()
  #newestHourMs = Number.NEGATIVE_INFINITY

  /** @param startMs days before the day of this instant are never due */
  constructor({ watchMs, startMs }: { readonly watchMs: number; readonly startMs: number }) {
    this.#watchMs = watchMs
    this.#firstDayMs = dayOf(startMs)
  }

  /** Takes one listed hour. */
  note(hourMs: number, modifiedAtMs: number, nowMs: number): void {
    this.#newestHourMs = Math.max(this.#newestHourMs, hourMs)
    const startMs = dayOf(hourMs)
    if (!this.#days.has(startMs) && this.#isOver(startMs, modifiedAtMs, nowMs)) return
    const day = this.#entry(startMs)
    if (modifiedAtMs <= day.newestModifiedMs) return
    day.newestModifiedMs = modifiedAtMs
    const seenToGrow = day.scannedAtMs > Number.NEGATIVE_INFINITY
    day.grewAtMs = seenToGrow ? nowMs : Math.max(day.grewAtMs, Math.min(modifiedAtMs, nowMs))
  }

  /** The starts of the days that are due, oldest first, in milliseconds since the epoch. */
  due(nowMs: number): number[] {
    const always = this.#alwaysDue(nowMs)
    this.#watchSpan(nowMs)
    return [...this.#days]
      .filter(([startMs, day]) => {
        if (startMs < this.#firstDayMs) return false
        const quietMs = Math.max(0, nowMs - Math.max(startMs + dayMs, day.grewAtMs))
        const intervalMs = Math.min(maxIntervalMs, quietMs / quietPerInterval)
        return always.has(startMs) || nowMs - day.scannedAtMs >= intervalMs
      })
      .map(([startMs]) => startMs)
      .sort((a, b) => a - b)
  }

  /** Notes that days were scanned, and closes those that are over. */
  noteScan(days: readonly number[] | 'all', nowMs: number): void {
    this.#watchSpan(nowMs)
    for (const startMs of days === 'all' ? this.#days.keys() : days) this.#entry(startMs).scannedAtMs = nowMs
    for (const [startMs, day] of this.#days) {
      const isNewest = startMs === dayOf(this.#newestHourMs)
      if (!isNewest && this.#isOver(startMs, day.grewAtMs, nowMs)) this.#days.delete(startMs)
    }
  }

  #alwaysDue(nowMs: number): ReadonlySet<number> {
    return new Set([nowMs, nowMs + clockDifferenceMs, this.#newestHourMs].filter(Number.isFinite).map(dayOf))
  }

  /** Watches days without a known hour, too: the last hour of a day may appear after midnight. */
  #watchSpan(nowMs: number): void {
    for (let day = dayOf(nowMs - this.#watchMs); day <= nowMs; day += dayMs) this.#entry(day)
    for (const day of this.#alwaysDue(nowMs)) this.#entry(day)
  }

  #isOver(startMs: number, grewAtMs: number, nowMs: number): boolean {
    return nowMs - Math.max(startMs + dayMs, grewAtMs) >= this.#watchMs
  }

  #entry(startMs: number): WatchedDay {
    const never = Number.NEGATIVE_INFINITY
    const day = this.#days.get(startMs) ?? { scannedAtMs: never, newestModifiedMs: never, grewAtMs: never }
    this.#days.set(startMs, day)
    return day
  }
}
