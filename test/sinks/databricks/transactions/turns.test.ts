import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SqlFailure } from '../../../../doubles/workspace/warehouse-engine.ts'
import { Turns } from '../../../../src/sinks/databricks/transactions/turns.ts'
import { ManualClock } from '../../../doubles/workspace/manual-clock.ts'
import { nothing } from '../../../doubles/workspace/scripted-engine.ts'
import { warehouseUnderTest } from '../warehouse-under-test.ts'

test('a transaction that is refused again and again lets those of other pipelines go between its attempts', async (t) => {
  const turns = new Turns()
  let pause = (): void => {}
  const paused = new Promise<void>((resolve) => {
    pause = resolve
  })
  const first = await warehouseUnderTest(t, { retry: { onRetry: () => pause() } })
  const second = await warehouseUnderTest(t)
  for (const { engine } of [first, second]) engine.on(/^INSERT/, () => nothing)
  first.workspace.faults.add({
    statement: /^INSERT/,
    fault: { kind: 'fail', failure: new SqlFailure('DELTA_CONCURRENT_APPEND', '2D521', 'Files were added.') },
    times: 3,
  })
  const ends: string[] = []
  const land = async (name: string, { warehouse, clock }: typeof first): Promise<void> => {
    await warehouse.execute({
      label: 'land a batch',
      sql: 'INSERT INTO t',
      repeatable: false,
      inTurn: (attempt) => turns.take(attempt, clock),
    })
    ends.push(name)
  }
  const refused = land('refused', first)
  await paused
  await Promise.all([refused, land('other', second)])
  assert.deepEqual(ends, ['other', 'refused'])
})

test('a transaction waits a minute for one that does not end, and is then sent beside it', async () => {
  const clock = new ManualClock()
  const turns = new Turns()
  void turns.take(() => new Promise(() => {}), clock)
  let isSent = false
  const sent = turns.take(async () => {
    isSent = true
  }, clock)
  clock.advance(59_000)
  assert.equal(isSent, false)
  clock.advance(2_000)
  await sent
  assert.equal(isSent, true)
})
