import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SimulatedClock } from '../../../doubles/simulated-clock.ts'
import { silentLogger } from '../../../src/reporting/logger.ts'
import { ExportQueue } from '../../../src/run/telemetry/export-queue.ts'

const never = new AbortController().signal

test('every item is sent in order, or counted as dropped, whatever the receiver does', async () => {
  const answers = fc.constantFrom('accepted', 'refused in part', 'failed')
  const steps = fc.array(fc.record({ items: fc.nat(20), pauseMs: fc.nat(50) }), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.array(answers, { minLength: 1 }),
      fc.integer({ min: 1, max: 30 }),
      async (all, how, max) => {
        const clock = new SimulatedClock()
        const sent: number[] = []
        let requests = 0
        let underWay = 0
        const queue = new ExportQueue<number>({
          name: 'numbers',
          maxItems: max,
          maxBatchItems: 7,
          delayMs: 10,
          send: async (items) => {
            underWay += 1
            assert.equal(underWay, 1, 'requests at once')
            assert.ok(items.length <= 7)
            await clock.sleep(15)
            underWay -= 1
            const answer = how[requests++ % how.length]
            if (answer === 'failed') throw new Error('no')
            sent.push(...items)
            return answer === 'accepted' ? 0 : 1
          },
          clock,
          logger: silentLogger,
        })
        let added = 0
        await clock.run(
          (async () => {
            for (const { items, pauseMs } of all) {
              for (let index = 0; index < items; index += 1) queue.add(added++)
              await clock.sleep(pauseMs)
            }
            await queue.close(never)
          })(),
        )
        const { sent: accepted, overflowed, failed } = queue.counts
        assert.equal(accepted + overflowed + failed, added)
        assert.ok(accepted <= sent.length)
        assert.deepEqual(
          sent,
          sent.toSorted((a, b) => a - b),
        )
      },
    ),
  )
})

test('a receiver that never answers costs the items over the limit, and the end of the queue comes when it is told', async () => {
  const clock = new SimulatedClock()
  const queue = new ExportQueue<number>({
    name: 'numbers',
    maxItems: 5,
    maxBatchItems: 2,
    delayMs: 10,
    send: (_items, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    clock,
    logger: silentLogger,
  })
  const ending = new AbortController()
  await clock.run(
    (async () => {
      for (let index = 0; index < 100; index += 1) queue.add(index)
      assert.deepEqual(queue.counts, { sent: 0, overflowed: 95, failed: 0 })
      const closing = queue.close(ending.signal)
      await clock.sleep(1_000)
      ending.abort()
      await closing
    })(),
  )
  assert.deepEqual(queue.counts, { sent: 0, overflowed: 95, failed: 5 })
  queue.add(0)
  assert.equal(queue.counts.overflowed, 96)
})
