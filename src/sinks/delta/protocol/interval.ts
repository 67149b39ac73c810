const unitsMs: Readonly<Record<string, number>> = {
  week: 604_800_000,
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
  second: 1_000,
  millisecond: 1,
  microsecond: 0.001,
  nanosecond: 0.000_001,
}

const part = /([+-]?\d+(?:\.\d+)?)\s+([a-z]+)\s*/y

/**
 * Parses an interval of a table property, such as `interval 1 week 2 hours`.
 *
 * The grammar is Spark's: pairs of a number and a unit, singular or plural, case-insensitive, with or without the word
 * `interval`. Months and years have no fixed length; Delta refuses them in these properties.
 *
 * @returns milliseconds, or undefined when the text is not an interval of fixed length
 */
export function intervalMs(text: string): number | undefined {
  const parts = text
    .trim()
    .toLowerCase()
    .replace(/^interval\s+/, '')
  if (parts === '') return undefined
  let total = 0
  part.lastIndex = 0
  while (part.lastIndex < parts.length) {
    const [, number, unit = ''] = part.exec(parts) ?? []
    const unitMs = unitsMs[unit.replace(/s$/, '')]
    if (number === undefined || unitMs === undefined) return undefined
    total += Number(number) * unitMs
  }
  return total
}
