/** In milliseconds. */
export const hourMs = 3_600_000
/** In milliseconds; days are UTC's, which have no other length. */
export const dayMs = 24 * hourMs

// Some services put levels of their own between the minute, which is always 00, and the file's name.
const hourPath = /(?:^|\/)y=(\d{4})\/m=(\d{2})\/d=(\d{2})\/h=(\d{2})\/m=00\/(?:.+\/)?PT1H\.json$/

/**
 * Reads the hour off the name of a blob that Azure Monitor wrote.
 *
 * It is the hour of receipt, in UTC: never an event's time. Layout read 2026-11-24 at
 * https://learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-blob-format
 *
 * @returns when it began, in milliseconds since the epoch; undefined for a name of another layout
 */
export function hourOf(name: string): number | undefined {
  const [year, month, day, hour] = hourPath.exec(name)?.slice(1).map(Number) ?? []
  if (year === undefined || month === undefined || day === undefined || hour === undefined) return undefined
  const start = new Date(Date.UTC(year, month - 1, day, hour))
  // Date.UTC takes the 31st of February for a day in March.
  const isReal = start.getUTCMonth() === month - 1 && start.getUTCDate() === day && hour < 24
  return isReal ? start.getTime() : undefined
}

/** @returns when the UTC day of an instant began. */
export function dayOf(instantMs: number): number {
  return Math.floor(instantMs / dayMs) * dayMs
}

/** The folder of a day's hours below a resource's folder: `y=2026/m=11/d=24/`. */
export function dayPath(startMs: number): string {
  const [year, month, day] = new Date(startMs).toISOString().slice(0, 10).split('-')
  return `y=${year}/m=${month}/d=${day}/`
}
