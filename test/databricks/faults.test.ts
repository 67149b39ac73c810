import test from 'node:test'
import type { SinkMode } from './fault-schedule.ts'
import { runSimulation } from './fault-simulation.ts'
import { openWorkspaceBench } from './workspace-bench.ts'

const modes: readonly SinkMode[] = [
  { mode: 'copy-into', upload: 'put' },
  { mode: 'copy-into', upload: 'files-api' },
  { mode: 'merge' },
  { mode: 'stage-only', upload: 'files-api' },
]

// One seed repeats one schedule; TAILRACE_SCHEDULES runs as many from there on. Without either, no schedule begins
// after this time.
const { TAILRACE_SEED: seedGiven, TAILRACE_SCHEDULES: schedulesGiven } = process.env
const modeMs = 3_000

for (const mode of modes) {
  test(`whatever goes wrong in the workspace, each line lands once by ${Object.values(mode).join(' and ')}`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const firstSeed = Number(seedGiven ?? Math.floor(Math.random() * 2 ** 31))
    const isCounted = seedGiven !== undefined || schedulesGiven !== undefined
    const count = isCounted ? Number(schedulesGiven ?? 1) : Number.POSITIVE_INFINITY
    const lastStartMs = isCounted ? Number.POSITIVE_INFINITY : Date.now() + modeMs
    const totals: Record<string, number> = {}
    for (let index = 0; index < count && (index === 0 || Date.now() < lastStartMs); index += 1) {
      const counts = await runSimulation(bench, mode, firstSeed + index)
      for (const [name, value] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + value
    }
    t.diagnostic(JSON.stringify({ firstSeed, ...totals }))
  })
}
