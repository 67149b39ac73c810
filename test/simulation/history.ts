import type { Clock } from '../../src/clock.ts'

interface Happening {
  readonly atMs: number
  readonly who: string
  readonly what: string
}

/** What happened in a world, with its virtual time and who it happened to. */
export class History {
  readonly #happenings: Happening[] = []
  readonly #clock: Clock
  readonly #startMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.now()
  }

  note(who: string, what: string): void {
    this.#happenings.push({ atMs: this.#clock.now() - this.#startMs, who, what })
  }

  /** A line for each event. */
  get lines(): readonly string[] {
    return this.#happenings.map(({ atMs, who, what }) => `${timeOf(atMs)}  ${who.padEnd(12)} ${what}`)
  }
}

function timeOf(ms: number): string {
  const time = new Date(ms % 86_400_000).toISOString().slice(11, -1)
  const days = Math.floor(ms / 86_400_000)
  return days === 0 ? time : `${days}d ${time}`
}
