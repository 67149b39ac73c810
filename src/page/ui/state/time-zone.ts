import { Store } from './store.ts'

export const utc = 'UTC'

/** The zone in which instants are shown: UTC, or an IANA name. The URL has it, so a link shows others the same texts. */
export const timeZone = new Store(utc)

/** @returns the zone of this browser; UTC where it has none */
export function browserZone(): string {
  return zoneOf(new Intl.DateTimeFormat().resolvedOptions().timeZone)
}

/** @returns the zone of a name from a URL; UTC for one that this browser does not know */
export function zoneOf(name: string | null): string {
  if (name === null || /^(?:UTC|GMT|Etc\/.*)$/i.test(name)) return utc
  try {
    // Browsers have other names for some zones, and a link keeps its own.
    new Intl.DateTimeFormat('en-GB', { timeZone: name })
    return name
  } catch {
    return utc
  }
}

/** No zone has changed its offset at any other instant since 1970. */
const stepMs = 900_000

/** Offsets that are kept, so that a long list is not computed anew for each row. */
const maxOffsets = 10_000

const offsets = new Map<string, number>()
const formats = new Map<string, Intl.DateTimeFormat>()

/** @returns the milliseconds by which clocks of a zone are ahead of UTC */
export function offsetMs(ms: number, zone: string = timeZone.value): number {
  if (zone === utc) return 0
  const step = Math.floor(ms / stepMs)
  const key = `${zone} ${step}`
  const known = offsets.get(key)
  if (known !== undefined) return known
  if (offsets.size >= maxOffsets) offsets.clear()
  const offset = readOffset(step * stepMs, zone)
  offsets.set(key, offset)
  return offset
}

function readOffset(ms: number, zone: string): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  formats.set(zone, format)
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0
  const clock = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  )
  return clock - ms
}

/** @returns an offset such as `+01:00` */
export function offsetText(offset: number): string {
  const minutes = Math.round(Math.abs(offset) / 60_000)
  const digits = [Math.floor(minutes / 60), minutes % 60].map((value) => String(value).padStart(2, '0'))
  return `${offset < 0 ? '−' : '+'}${digits.join(':')}`
}

/** @returns the first instant at which clocks of the zone show a date and time; undefined for a text that is none */
export function instantOfClock(text: string, zone: string = timeZone.value): number | undefined {
  const clock = Date.parse(`${text}Z`)
  if (Number.isNaN(clock)) return undefined
  const dayMs = 86_400_000
  const candidates = [clock - dayMs, clock + dayMs].map((near) => clock - offsetMs(near, zone))
  const exact = candidates.filter((ms) => ms + offsetMs(ms, zone) === clock)
  // Clocks that were put forward have skipped the time: then it is taken as before the change.
  return Math.min(...(exact.length > 0 ? exact : [Math.max(...candidates)]))
}
