import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { optimize } from '../../src/commands/optimize.ts'
import type { LiveEvents } from '../../src/page/api.ts'
import { landAll, lines, openBench, outputOf } from '../commands/command-fixture.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { servePage } from './served-page.ts'

const hooks = sharedHooks()
const bench = await openBench(hooks)
const config = bench.config({ primary: {} })

async function land(...bytes: readonly Buffer[]): Promise<void> {
  for (const one of bytes) await bench.storage.append('primary', one)
  await landAll(config)
}

const line = (number: number, message: string): Buffer => linesAsBytes([jsonlogLine(number, message)])

interface Step {
  run(): Promise<unknown>
  /** Whether records follow it, however long that takes. */
  readonly brings: boolean
}

const landing = (...bytes: readonly Buffer[]): Step => ({ run: () => land(...bytes), brings: true })

/** Follows all records, and does each of some steps after the events of the one before. @returns the events of records */
async function follow(
  page: Awaited<ReturnType<typeof servePage>>,
  steps: readonly Step[],
): Promise<readonly LiveEvents['records'][]> {
  const ending = new AbortController()
  const response = await page.fetch('/api/live?records=1', { signal: ending.signal })
  const left = [...steps]
  let hasBegun = false
  const found: LiveEvents['records'][] = []
  let awaited = 0
  let text = ''
  let quiet = 0
  for await (const part of response.body!) {
    text += Buffer.from(part).toString()
    const events = text.split('\n\n')
    text = events.pop()!
    for (const event of events) {
      assert.doesNotMatch(event, /^event: trouble/)
      if (event.startsWith('event: records')) {
        // The first event has no records: it only tells that the following has begun.
        hasBegun = true
        const records = JSON.parse(event.slice(event.indexOf('data: ') + 6)) as LiveEvents['records']
        if (records.records.length > 0) found.push(records)
      }
      quiet = event.startsWith('event: operate') ? quiet + 1 : 0
    }
    if (!hasBegun || quiet < 3 || found.length < awaited) continue
    quiet = 0
    const step = left.shift()
    if (step === undefined) break
    await step.run()
    awaited = found.length + (step.brings ? 1 : 0)
  }
  ending.abort()
  return found
}

const messagesOf = (found: readonly LiveEvents['records'][]): (string | null)[] =>
  found.flatMap(({ records }) => records.map(({ message }) => message))

test('followed records come however long before their commit they were encoded, and however old they are', {
  timeout: 120_000,
}, async () => {
  // The newest records by far, more than are read at once.
  await land(lines(100_000, 1_200))
  const now = await servePage(hooks, config)
  assert.deepEqual(messagesOf(await follow(now, [landing(line(1, 'an old one'))])), ['an old one'])
  // As after an outage of ten minutes between the encoding and the commit.
  const later = await servePage(hooks, config, {}, { ...systemClock, now: () => Date.now() + 600_000 })
  assert.deepEqual(messagesOf(await follow(later, [landing(line(2, 'an outage ago'))])), ['an outage ago'])
})

test('more followed records than an event takes are announced, and files that are merged bring none again', {
  timeout: 120_000,
}, async () => {
  const page = await servePage(hooks, config)
  const found = await follow(page, [
    landing(lines(200_000, 1_500)),
    landing(line(3, 'before the merge')),
    {
      brings: false,
      run: async () => {
        const { text } = await outputOf(config, (context) => optimize(context, undefined, true))
        const [{ partitions }] = JSON.parse(text) as [{ partitions: readonly { filesAfter: number }[] }]
        assert.ok(partitions.length > 0)
      },
    },
    landing(line(4, 'behind the merge')),
  ])
  assert.deepEqual([found[0]?.records.length, found[0]?.isCut], [500, true])
  assert.deepEqual(messagesOf(found.slice(1)), ['before the merge', 'behind the merge'])
})
