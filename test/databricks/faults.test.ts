import test from 'node:test'
import type { SinkMode } from './fault-schedule.ts'
import { runSimulation } from './fault-simulation.ts'
import { openWorkspaceBench } from './workspace-bench.ts'

const modes: readonly SinkMode[] = [
  { mode: 'transaction', upload: 'put' },
  { mode: 'transaction', upload: 'files-api' },
  { mode: 'replace-where', upload: 'put' },
  { mode: 'replace-where', upload: 'files-api' },
  { mode: 'copy-into', upload: 'put' },
  { mode: 'copy-into', upload: 'files-api' },
  { mode: 'merge' },
  { mode: 'stage-only', upload: 'files-api' },
]

// TAILRACE_SEED is the first seed, and repeats its schedule alone; TAILRACE_SCHEDULES runs as many from there on.
const { TAILRACE_SEED: seedGiven, TAILRACE_SCHEDULES: schedulesGiven } = process.env
const firstSeed = Number(seedGiven ?? 1)
const schedules = Number(schedulesGiven ?? (seedGiven === undefined ? 2 : 1))

for (const mode of modes) {
  test(`each line lands once despite faults of the workspace, by ${Object.values(mode).join(' and ')}`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const totals: Record<string, number> = {}
    for (let seed = firstSeed; seed < firstSeed + schedules; seed += 1) {
      const counts = await runSimulation(bench, mode, seed)
      for (const [name, value] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + value
    }
    t.diagnostic(JSON.stringify({ firstSeed, ...totals }))
  })
}
