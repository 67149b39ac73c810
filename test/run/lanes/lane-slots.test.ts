import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { BoardBlob } from '../../../src/run/lanes/blob-board.ts'
import { LaneSlots } from '../../../src/run/lanes/lane-slots.ts'

/** Work that ends when the test says so. */
function work() {
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return { ended, end: () => end() }
}

test('a blob that is taken again before its last work has settled holds one place until the later work ends', async () => {
  const slots = new LaneSlots(4, true)
  const blob = { name: 'pg/a.json' } as BoardBlob
  const [first, second] = [work(), work()]
  let freed = 0
  const onFree = (): void => {
    freed += 1
  }
  slots.hold(blob, 'live', first.ended, onFree)
  first.end()
  // As by a scan that finds it grown in the same turn.
  slots.hold(blob, 'live', second.ended, onFree)
  await turn()
  assert.deepEqual([slots.count, [...slots.blobs], freed], [1, [blob], 1])
  second.end()
  await slots.allEnded()
  assert.deepEqual([slots.count, freed], [0, 2])
})
