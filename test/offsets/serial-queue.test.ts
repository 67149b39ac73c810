import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { SerialQueue } from '../../src/offsets/serial-queue.ts'

test('work runs one piece at a time in the order of the calls, and each call gets its own result or error', async () => {
  const piece = fc.record({ turns: fc.nat({ max: 4 }), fails: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 8 }), async (pieces) => {
      const queue = new SerialQueue()
      const events: string[] = []
      const results = pieces.map(({ turns, fails }, index) =>
        queue.run(async () => {
          events.push(`begin ${index}`)
          for (let left = turns; left > 0; left -= 1) await turn()
          events.push(`end ${index}`)
          if (fails) throw new Error(`failure ${index}`)
          return index
        }),
      )
      const settled = Promise.allSettled(results)
      await queue.idle()
      assert.deepEqual(
        events,
        pieces.flatMap((_, index) => [`begin ${index}`, `end ${index}`]),
      )
      assert.deepEqual(
        (await settled).map((result) =>
          result.status === 'fulfilled' ? result.value : (result.reason as Error).message,
        ),
        pieces.map(({ fails }, index) => (fails ? `failure ${index}` : index)),
      )
    }),
  )
})

test('a queue without work is idle', async () => {
  await new SerialQueue().idle()
})
