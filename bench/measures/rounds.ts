/**
 * The order of contenders in a round, so that none always follows the same one: in as many rounds as there are
 * contenders, an ordered pair of neighbours occurs once, or at most twice if their number is odd.
 *
 * @param round 0-based
 */
export function orderInRound<Item>(items: readonly Item[], round: number): readonly Item[] {
  const { length } = items
  // 0, n-1, 1, n-2, …: the steps between neighbours differ.
  const zigzag = Array.from({ length }, (_, index) =>
    index % 2 === 0 ? index / 2 : length - (index + 1) / 2,
  )
  return zigzag.map((index) => items[(index + round) % length]!)
}
