/**
 * The order of contenders in a round, so that over the rounds none always follows the same one: a row of a Latin
 * square in which, for an even number of contenders, each ordered pair of neighbours occurs once.
 *
 * @param round 0-based
 */
export function orderInRound<Item>(items: readonly Item[], round: number): readonly Item[] {
  const { length } = items
  // 0, n-1, 1, n-2, …: neighbours differ by another amount each time.
  const zigzag = Array.from({ length }, (_, index) =>
    index % 2 === 0 ? index / 2 : length - (index + 1) / 2,
  )
  const row = zigzag.map((index) => items[(index + round) % length]!)
  // With an odd number two steps of the zigzag are equal; backwards, each pair is the other way round.
  return length % 2 === 1 && round % 2 === 1 ? row.reverse() : row
}
