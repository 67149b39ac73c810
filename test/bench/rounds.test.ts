import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orderInRound } from '../../bench/measures/rounds.ts'

test('over the rounds of a bench, no contender always follows the same one', () => {
  for (const count of [3, 4, 5, 6, 7, 8, 9]) {
    const items = Array.from({ length: count }, (_, index) => index)
    const rounds = Array.from({ length: count }, (_, round) => orderInRound(items, round))
    for (const order of rounds) assert.deepEqual([...order].sort(), items)
    for (const item of items) {
      const before = rounds
        .map((order) => order[order.indexOf(item) - 1])
        .filter((other) => other !== undefined)
      const most = Math.max(...before.map((other) => before.filter((each) => each === other).length))
      assert.ok(most <= (count % 2 === 0 ? 1 : 2), `${item} of ${count} follows the same one ${most} times`)
    }
  }
})
