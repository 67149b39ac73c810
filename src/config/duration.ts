const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The texts that `parseDuration` reads. */
export const durationPattern = /^(\d{1,9})(ms|s|m|h|d)$/

/** The least and the greatest `batch.landEvery`. */
export const landEveryBounds = ['10s', '1d'] as const

/** @returns the milliseconds of a duration such as `90s`, `10m` or `2h`; undefined for any other text */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = ''] = durationPattern.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * unitsMs[unit]!
}

/** Formats whole milliseconds in the largest unit that fits: 900,000 is `15m`. */
export function durationText(ms: number): string {
  const [unit = 'ms', unitMs = 1] = Object.entries(unitsMs).findLast(([, each]) => ms % each === 0) ?? []
  return `${ms / unitMs}${unit}`
}
