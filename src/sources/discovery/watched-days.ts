import { isPauseOver } from '../../clock.ts'
import { dayMs, dayOf } from './azure-monitor-layout.ts'

interface WatchedDay {
  listedAtMs: number
  /** By the service's clock. */
  newestModifiedMs: number
  /** By this machine's clock once the day has been listed, before that by the service's. */
  grewAtMs: number
}

/**
 * Decides which days of hourly blobs are due for a listing. Keeps an entry per watched day, however long the history is.
 *
 * Watched are the day of the newest known hour, and every day until `watchMs` after both its end and its last growth. Each
 * is due when `listMs` has passed since it was listed.
 */
export class WatchedDays {
  #watchMs: number
  #listMs: number
  #firstDayMs: number
  #days = new Map<number, WatchedDay>()
  #newestHourMs = Number.NEGATIVE_INFINITY

  /** @param startMs days before the day of this instant are never due */
  constructor({
    watchMs,
    listMs,
    startMs,
  }: {
    readonly watchMs: number
    readonly listMs: number
    readonly startMs: number
  }) {
    this.#watchMs = watchMs
    this.#listMs = listMs
    this.#firstDayMs = dayOf(startMs)
  }

  /** The number of watched days. */
  get count(): number {
    return this.#days.size
  }

  /** Takes one listed hour. */
  note(hourMs: number, modifiedAtMs: number, nowMs: number): void {
    this.#newestHourMs = Math.max(this.#newestHourMs, hourMs)
    const startMs = dayOf(hourMs)
    if (!this.#days.has(startMs) && this.#isOver(startMs, modifiedAtMs, nowMs)) return
    const day = this.#entry(startMs)
    if (modifiedAtMs <= day.newestModifiedMs) return
    day.newestModifiedMs = modifiedAtMs
    const seenToGrow = day.listedAtMs > Number.NEGATIVE_INFINITY
    day.grewAtMs = seenToGrow ? nowMs : Math.max(day.grewAtMs, Math.min(modifiedAtMs, nowMs))
  }

  /**
   * The starts of the days that are due, oldest first, in milliseconds since the epoch.
   *
   * @param all whether every watched day is due
   */
  due(nowMs: number, all = false): number[] {
    this.#watchSpan(nowMs)
    return [...this.#days]
      .filter(
        ([startMs, { listedAtMs }]) =>
          startMs >= this.#firstDayMs && (all || isPauseOver(listedAtMs, this.#listMs, nowMs)),
      )
      .map(([startMs]) => startMs)
      .sort((a, b) => a - b)
  }

  /** Notes that days were listed, and closes those that are over. */
  noteListed(days: readonly number[] | 'all', nowMs: number): void {
    this.#watchSpan(nowMs)
    for (const startMs of days === 'all' ? this.#days.keys() : days) this.#entry(startMs).listedAtMs = nowMs
    for (const [startMs, day] of this.#days) {
      const isNewest = startMs === dayOf(this.#newestHourMs)
      if (!isNewest && this.#isOver(startMs, day.grewAtMs, nowMs)) this.#days.delete(startMs)
    }
  }

  /** Watches days without a known hour, too. */
  #watchSpan(nowMs: number): void {
    for (let day = dayOf(nowMs - this.#watchMs); day <= nowMs; day += dayMs) this.#entry(day)
    if (Number.isFinite(this.#newestHourMs)) this.#entry(dayOf(this.#newestHourMs))
  }

  #isOver(startMs: number, grewAtMs: number, nowMs: number): boolean {
    return nowMs - Math.max(startMs + dayMs, grewAtMs) >= this.#watchMs
  }

  #entry(startMs: number): WatchedDay {
    const never = Number.NEGATIVE_INFINITY
    const day = this.#days.get(startMs) ?? { listedAtMs: never, newestModifiedMs: never, grewAtMs: never }
    this.#days.set(startMs, day)
    return day
  }
}
