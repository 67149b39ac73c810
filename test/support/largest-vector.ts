/** @returns what `Batch.largestVectorBytes` should be for these rows, newlines included */
export function largestVectorOf(rows: readonly string[]): number {
  const vectors: number[] = []
  rows.forEach((row, place) => {
    const vector = Math.floor(place / 2_048)
    vectors[vector] = (vectors[vector] ?? 0) + row.length
  })
  return Math.max(0, ...vectors)
}
