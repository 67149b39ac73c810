import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planWorld, sinkKinds, type WorldChoice } from './plan.ts'
import { runSchedules } from './run-schedules.ts'
import { shrink } from './shrink.ts'
import { runWorld } from './world.ts'

/** More of them are in `pnpm test:crashes`, and as many as are asked for in `pnpm simulate --worlds COUNT`. */
const worlds = 16

function firstOf(kind: (typeof sinkKinds)[number]): number {
  let seed = 1
  while (planWorld({ seed }).sink !== kind) seed += 1
  return seed
}

const firstSeeds = Array.from({ length: worlds }, (_, index) => index + 1)
const seeds = [...new Set([...firstSeeds, ...sinkKinds.map(firstOf)])]

test('each record lands once despite faults of storage, table, workspace and disk, other processes, and kills at any call', async (t) => {
  const { schedules, calls, commits, lives, failures } = await runSchedules('world', seeds)
  t.diagnostic(`${schedules} worlds, ${calls} calls, ${commits} commits, ${lives} starts of processes`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.equal(schedules, seeds.length)
})

test('owners of a growing document that divide it differently by replace-where land each record once', async () => {
  for (const seed of [2_130, 2_358]) {
    const { failure } = await runWorld({ seed, sink: 'replace-where' })
    assert.equal(failure, undefined, `seed ${seed}`)
  }
})

test('the simulated worlds have tables of every kind of sink', () => {
  const kinds = new Set(seeds.map((seed) => planWorld({ seed }).sink))
  assert.deepEqual([...kinds].sort(), [...sinkKinds].sort())
})

test('a world happens again, to the call, from its seed', async () => {
  const [first, again] = [await runWorld({ seed: 11 }), await runWorld({ seed: 11 })]
  assert.ok(first.calls > 100)
  assert.deepEqual(first.history.lines, again.history.lines)
})

test('a failing world is made smaller until nothing of it can be left out', async () => {
  const plan = planWorld({ seed: 3 })
  const [culprit, accomplice] = [plan.faults[1]!, plan.faults[4]!]
  const blob = plan.blobs.at(-1)!.id
  const run = async ({ steps = 0, faults = [], blobs = [] }: WorldChoice) => {
    const fails =
      steps >= 17 && faults.includes(culprit) && faults.includes(accomplice) && blobs.includes(blob)
    return { failure: fails ? new Error('a row is missing') : undefined }
  }
  const failed = { plan, calls: plan.steps + 100, failure: new Error('a row is missing') }
  const { choice } = await shrink(failed, { maxRuns: 200, run })
  assert.deepEqual(choice, {
    seed: 3,
    sink: plan.sink,
    steps: 17,
    faults: [culprit, accomplice],
    blobs: [blob],
    processes: [],
  })
})
