import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { LandedOffset } from '../../../../src/offsets/landed-offsets.ts'
import { appIdOf, Transactions } from '../../../../src/sinks/delta/log/offsets.ts'

const generation = '20261124T084700Z'
const key = `logs/a@${generation}`

function transactionsOf(actions: readonly { appId: string; version: number | bigint }[]): Transactions {
  const transactions = new Transactions()
  for (const action of actions) transactions.set(action)
  return transactions
}

test('offsets are the same in whatever order a checkpoint states them', () => {
  const actions = [
    { appId: `tailrace/pg-0/${key}`, version: 10 },
    { appId: `tailrace/pg-1/${key}`, version: 30 },
    { appId: `tailrace:${key}`, version: 20 },
    { appId: 'other', version: 9007199254740993n },
    { appId: 'tailrace/odd', version: 1 },
  ]
  for (const order of [actions, actions.toReversed()]) {
    const transactions = transactionsOf(order)
    assert.deepEqual([...transactions.landed], [{ blob: 'logs/a', generation, offset: 20 }])
    assert.equal(transactions.size, 5)
    assert.deepEqual(
      new Map(transactions),
      new Map<string, number | bigint>(actions.map(({ appId, version }) => [appId, version])),
    )
  }
})

test('the newest version of each application counts, and an offset of a generation before those by pipeline', () => {
  const keys = ['logs/a@1', 'logs/a@2', 'logs/b@c@1']
  const anyAction = fc.record({
    key: fc.constantFrom(...keys),
    owner: fc.constantFrom('generation', 'pg-0', 'pg-1', 'other'),
    version: fc.nat({ max: 5 }),
  })
  fc.assert(
    fc.property(fc.array(anyAction, { maxLength: 20 }), (steps) => {
      const transactions = new Transactions()
      const heard = new Map<string, number>()
      const heardCounts = { own: 0, former: 0 }
      let isOwn = false
      transactions.listen(({ blob, generation: of, offset }) => {
        heard.set(`${blob}@${of}`, offset)
        heardCounts[isOwn ? 'own' : 'former'] += 1
      })
      const newest = new Map<string, number>()
      const own = new Map<string, number>()
      const formerMax = new Map<string, number>()
      const expectedCounts = { own: 0, former: 0 }
      for (const { key: of, owner, version } of steps) {
        isOwn = owner === 'generation'
        const appId = isOwn ? `tailrace:${of}` : owner === 'other' ? `app ${of}` : `tailrace/${owner}/${of}`
        transactions.set({ appId, version })
        newest.set(appId, version)
        if (isOwn) {
          own.set(of, version)
          expectedCounts.own += 1
        } else if (owner !== 'other' && version > (formerMax.get(of) ?? -1)) {
          formerMax.set(of, version)
          if (!own.has(of)) expectedCounts.former += 1
        }
      }
      assert.deepEqual(new Map(transactions), newest)
      assert.equal([...transactions].length, newest.size)
      assert.equal(transactions.size, newest.size)
      const landed = new Map([...formerMax, ...own])
      assert.deepEqual(
        new Map(
          [...transactions.landed].map(({ blob, generation: of, offset }) => [`${blob}@${of}`, offset]),
        ),
        landed,
      )
      assert.deepEqual(heard, landed)
      assert.deepEqual(heardCounts, expectedCounts)
    }),
    { numRuns: 500 },
  )
})

test('an application id that names no generation belongs to another application', () => {
  for (const appId of [
    'tailrace:logs/a',
    'tailrace/pg-0/logs/a',
    `my-tailrace/pg-0/${key}`,
    `mytailrace:${key}`,
    `tailrace//${key.replace('logs/', '')}`,
    key,
  ]) {
    const transactions = transactionsOf([{ appId, version: 7n }])
    assert.deepEqual([...transactions.landed], [], appId)
    assert.deepEqual([...transactions], [[appId, 7n]])
  }
})

test('a name with an @ or a line break is the blob of its generation, and its application id says so', () => {
  for (const blob of ['logs/a@b', 'a\nb', 'x@', 'tailrace/pg/y']) {
    const landed: LandedOffset = { blob, generation, offset: 5 }
    for (const appId of [appIdOf(landed), `tailrace/pg-0/${blob}@${generation}`])
      assert.deepEqual([...transactionsOf([{ appId, version: 5n }]).landed], [landed], appId)
  }
})

test('a range that several pipelines landed ends at the second largest of their offsets', () => {
  const transactions = transactionsOf([
    { appId: `tailrace/pg-0/${key}`, version: 10 },
    { appId: `tailrace/pg-1/${key}`, version: 30 },
    { appId: `tailrace/pg-2/${key}`, version: 20 },
    { appId: `tailrace/pg-0/logs/b@${generation}`, version: 40 },
    { appId: `tailrace/pg-1/logs/d@${generation}`, version: 4 },
    { appId: `tailrace/pg-0/logs/d@${generation}`, version: 3 },
    { appId: `tailrace:logs/c@${generation}`, version: 50 },
    { appId: 'other', version: 60 },
  ])
  assert.deepEqual(transactions.doubled(), [
    { blob: 'logs/a', generation, pipelines: ['pg-1', 'pg-2', 'pg-0'], end: 20 },
    { blob: 'logs/d', generation, pipelines: ['pg-1', 'pg-0'], end: 3 },
  ])
  assert.deepEqual(new Transactions().doubled(), [])
})
