/** @returns the value below which the part `quantile` (0 to 1) of the values lies, by nearest rank. */
export function percentile(values: readonly number[], quantile: number): number {
  if (values.length === 0) throw new Error('There are no values.')
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] as number
}

/** @returns the middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  return (
    (percentile(values, 0.5) +
      percentile(
        values.map((value) => -value),
        0.5,
      ) *
        -1) /
    2
  )
}
