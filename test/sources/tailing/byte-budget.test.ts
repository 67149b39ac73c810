import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteBudget } from '../../../src/sources/tailing/byte-budget.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('any takers together hold at most the limit, and each gets a turn', async () => {
  const requests = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 60 }), urgent: fc.boolean() }), {
    maxLength: 30,
  })
  await fc.assert(
    fc.asyncProperty(requests, async (wanted) => {
      const budget = new ByteBudget(50)
      let served = 0
      await Promise.all(
        wanted.map(async ({ bytes, urgent }) => {
          await budget.take(bytes, urgent)
          assert.ok(budget.heldBytes <= Math.max(50, bytes))
          await turn()
          served += 1
          budget.give(bytes)
        }),
      )
      assert.equal(served, wanted.length)
      assert.equal(budget.heldBytes, 0)
    }),
    { numRuns: 100 },
  )
})

test('the urgent are served first, and nobody slips past those who wait', async () => {
  const budget = new ByteBudget(10)
  await budget.take(10, false)
  const order: string[] = []
  const waiting = [
    budget.take(5, false).then(() => order.push('first')),
    budget.take(5, false).then(() => order.push('second')),
    budget.take(5, true).then(() => order.push('urgent')),
  ]
  assert.equal(budget.tryTake(1), false)
  budget.give(10)
  await turn()
  assert.deepEqual(order, ['urgent', 'first'])
  budget.give(5)
  await Promise.all(waiting)
})

test('one who leaves the queue holds nothing and lets those behind him through', async () => {
  const budget = new ByteBudget(10)
  await budget.take(6, false)
  const leaving = new AbortController()
  const large = budget.take(10, false, leaving.signal)
  const small = budget.take(4, false)
  leaving.abort(new Error('left'))
  await assert.rejects(large, /left/)
  await small
  assert.equal(budget.heldBytes, 10)
})

test('a lane that does not wait takes free bytes only, and none while a lane of either kind waits', async () => {
  const budget = new ByteBudget(10)
  assert.deepEqual([budget.tryTake(6), budget.tryTake(5), budget.tryTake(2)], [true, false, true])
  assert.equal(budget.heldBytes, 8)
  const waiting = budget.take(4, false)
  assert.equal(budget.tryTake(1), false, 'one waits')
  const urgent = budget.take(5, true)
  assert.equal(budget.tryTake(1), false, 'two wait')
  budget.give(8)
  await Promise.all([urgent, waiting])
  assert.deepEqual([budget.tryTake(1), budget.heldBytes], [true, 10])
})
