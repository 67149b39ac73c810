// Simulated worlds. One of them, with its history: `pnpm simulate --seed N [--sink KIND] [--steps M] [--faults a,b]
// [--blobs a,b] [--processes a,b]`; one that fails is made smaller. Many of them: `pnpm simulate --worlds COUNT
// [--seed FIRST]`.
import { parseArgs } from 'node:util'
import {
  commandOf,
  type SinkKind,
  sinkKinds,
  type WorldChoice,
  type WorldFault,
  worldFaults,
} from '../test/simulation/plan.ts'
import { runSchedules } from '../test/simulation/run-schedules.ts'
import { shrink } from '../test/simulation/shrink.ts'
import { runWorld } from '../test/simulation/world.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { seed: text, sink: text, steps: text, faults: text, blobs: text, processes: text, worlds: text },
})
const [seed, steps, worlds] = [values.seed ?? '1', values.steps, values.worlds].map((value) =>
  value === undefined ? undefined : Number(value),
)
const faults = listOf(values.faults)
const unknown =
  notIn(worldFaults, 'fault', faults) ??
  notIn(sinkKinds, 'sink', values.sink === undefined ? [] : [values.sink])
if (
  [seed, steps, worlds].some((value) => value !== undefined && !Number.isSafeInteger(value)) ||
  unknown !== undefined
) {
  if (unknown !== undefined) console.error(unknown)
  console.error(
    'usage: simulate --seed N [--sink …] [--steps M] [--faults …] [--blobs …] [--processes …] | --worlds COUNT',
  )
  process.exit(2)
}
if (worlds === undefined) {
  const { blobs, processes } = { blobs: listOf(values.blobs), processes: listOf(values.processes) }
  await replay({
    seed: seed!,
    sink: values.sink as SinkKind | undefined,
    steps,
    faults: faults as readonly WorldFault[] | undefined,
    blobs,
    processes,
  })
} else await runMany(seed!, worlds)

async function replay(choice: WorldChoice): Promise<void> {
  const report = await runWorld(choice, { logs: true })
  for (const line of report.history.lines) console.log(line)
  const { calls, commits, lives, failure } = report
  console.log(`${calls} calls, ${commits} commits, ${lives} starts of processes`)
  if (failure === undefined) return
  process.exitCode = 1
  console.log(failure.stack)
  const smallest = await shrink(report, {
    maxRuns: 500,
    onSmaller: (smaller) => console.error(`fails, too: ${commandOf(smaller)}`),
  })
  console.log(
    `the smallest world found that fails:\n${commandOf(smallest.choice)}\n${smallest.failure?.message}`,
  )
}

/** In portions, so that the count is known while they run. */
async function runMany(first: number, count: number): Promise<void> {
  const portion = 1_000
  const sum = { worlds: 0, calls: 0, commits: 0, starts: 0 }
  for (let from = first; from < first + count; from += portion) {
    const length = Math.min(portion, first + count - from)
    const seeds = Array.from({ length }, (_, index) => from + index)
    const { schedules, calls, commits, lives, failures } = await runSchedules('world', seeds)
    sum.worlds += schedules
    sum.calls += calls
    sum.commits += commits
    sum.starts += lives
    console.log(JSON.stringify({ ...sum, failures: failures.length }))
    for (const failure of failures) console.log(failure)
    if (failures.length > 0) process.exit(1)
  }
}

/** @returns the complaint about a value that is not known */
function notIn(
  known: readonly string[],
  kind: string,
  given: readonly string[] | undefined,
): string | undefined {
  const unknown = given?.find((value) => !known.includes(value))
  return unknown === undefined ? undefined : `unknown ${kind} ${unknown}: expected one of ${known.join(', ')}`
}

function listOf(values: string | undefined): readonly string[] | undefined {
  if (values === undefined) return undefined
  return values === 'none' ? [] : values.split(',')
}
