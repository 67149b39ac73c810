import { levelWords } from '../../tables/postgres/levels.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Lengths of buckets that a person reads easily. */
const roundMs = [
  ...[1, 5, 10, 50, 100, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * secondMs),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * minuteMs),
  ...[1, 2, 3, 6, 12].map((count) => count * hourMs),
  ...[1, 2, 7, 14, 28, 91, 364].map((count) => count * dayMs),
]

/** The most severe first. */
export const severityOrder: readonly string[] = Object.keys(levelWords).toReversed()

/** @returns the shortest round length with which a range has at most so many buckets */
export function bucketLength(fromMs: number, toMs: number, maxBuckets: number): number {
  const fits = (length: number): boolean =>
    Math.ceil(toMs / length) - Math.floor(fromMs / length) <= Math.max(1, maxBuckets)
  const round = roundMs.find(fits)
  if (round !== undefined) return round
  let length = roundMs.at(-1)!
  while (!fits(length)) length *= 2
  return length
}
