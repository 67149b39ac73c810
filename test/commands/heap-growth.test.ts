import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'

/** Holds some content while short-lived objects grow old, and prints the largest heap over the size of its content. */
const script = `
  import { limitHeapGrowth } from ${JSON.stringify(new URL('../../src/commands/starting/heap-growth.ts', import.meta.url).href)}
  limitHeapGrowth()
  const held = Array.from({ length: 200_000 }, (_, index) => ({ text: 'x' + index, list: [index] }))
  const recent = new Array(50_000)
  gc()
  const before = process.memoryUsage().heapUsed
  let largest = 0
  for (let index = 0; index < 2_000_000; index += 1) {
    recent[index % recent.length] = { text: 'y' + index, list: new Array(10).fill(index) }
    if (index % 10_000 === 0) largest = Math.max(largest, process.memoryUsage().heapUsed)
  }
  recent.fill(undefined)
  console.log(largest / before, held.length)
`

test('the heap of a running process stays below three times its content', async () => {
  const options = ['--max-semi-space-size=4', '--expose-gc', '--import', 'tsx', '--input-type=module']
  const { stdout } = await promisify(execFile)(process.execPath, [...options, '--eval', script])
  const [factor = '', held] = stdout.trim().split(' ')
  assert.equal(held, '200000')
  assert.ok(Number(factor) < 3, factor)
})
