import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedClock } from '../../doubles/simulated-clock.ts'

test('events happen in the order of their time, and of being asked for within one instant', async () => {
  const clock = new SimulatedClock(1_000)
  const seen: string[] = []
  const note = async (ms: number, name: string): Promise<void> => {
    await clock.sleep(ms)
    seen.push(`${name} at ${clock.now()}`)
  }
  await clock.run(Promise.all([note(30, 'c'), note(10, 'a'), note(20, 'b'), note(10, 'a2'), note(0, 'now')]))
  assert.deepEqual(seen, ['now at 1000', 'a at 1010', 'a2 at 1010', 'b at 1020', 'c at 1030'])
})

test('the time stands still while something can run', async () => {
  const clock = new SimulatedClock(0)
  let atWork = -1
  const work = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
    await new Promise((resolve) => process.nextTick(resolve))
    atWork = clock.now()
    await clock.sleep(5)
  }
  clock.after(1, () => {})
  await clock.run(work())
  assert.equal(atWork, 0)
  assert.equal(clock.now(), 5)
})

test('a cancelled timer does not fire, nor move the time', async () => {
  const clock = new SimulatedClock(0)
  const cancel = clock.after(500, () => assert.fail('it fired'))
  clock.after(1, cancel)
  await clock.run(clock.sleep(10))
  cancel()
  assert.equal(clock.now(), 10)
})

test('an aborted sleep rejects as an AbortError', async () => {
  const clock = new SimulatedClock(0)
  const aborting = new AbortController()
  clock.after(3, () => aborting.abort())
  await assert.rejects(clock.run(clock.sleep(10, aborting.signal)), { name: 'AbortError' })
  assert.equal(clock.now(), 3)
  await assert.rejects(clock.sleep(10, aborting.signal), { name: 'AbortError' })
})

test('work that waits for what no event brings is told of', async () => {
  const clock = new SimulatedClock(0)
  const forever = new Promise<never>(() => {})
  await assert.rejects(clock.run(clock.sleep(7).then(() => forever)), /Nothing will ever happen/)
  assert.equal(clock.now(), 7)
})

test('an error of the work is the error of the run', async () => {
  const clock = new SimulatedClock(0)
  const work = clock.sleep(1).then(() => Promise.reject(new Error('it broke')))
  await assert.rejects(clock.run(work), /it broke/)
})
