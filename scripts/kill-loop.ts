// The kill test at length: `kill-loop.ts --kills 300 [--seed N] [--sink delta|copy-into|files-api|merge]`.
import { parseArgs } from 'node:util'
import { deltaKillTarget } from '../test/support/delta-kill-target.ts'
import { type KillTarget, killLoop } from '../test/support/kill-loop.ts'
import { warehouseKillTarget } from '../test/support/warehouse-kill-target.ts'

type Cleanup = Parameters<typeof deltaKillTarget>[0]

const targets: Readonly<Record<string, (cleanup: Cleanup) => Promise<KillTarget>>> = {
  delta: (cleanup) => deltaKillTarget(cleanup),
  'copy-into': (cleanup) => warehouseKillTarget(cleanup, { mode: 'copy-into', upload: 'put' }),
  'files-api': (cleanup) => warehouseKillTarget(cleanup, { mode: 'copy-into', upload: 'files-api' }),
  merge: (cleanup) => warehouseKillTarget(cleanup, { mode: 'merge' }),
}

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    seed: { type: 'string' },
    sink: { type: 'string', default: 'delta' },
  },
})
const kills = Number(values.kills)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const open = targets[values.sink]
if (!Number.isSafeInteger(kills) || kills < 1 || !Number.isSafeInteger(seed) || open === undefined) {
  console.error(
    `usage: kill-loop.ts [--kills COUNT] [--seed NUMBER] [--sink ${Object.keys(targets).join('|')}]`,
  )
  process.exit(2)
}

console.error(`${kills} kills with seed ${seed} and sink ${values.sink}`)
const cleanups: (() => unknown)[] = []
const target = await open({ after: (work) => void cleanups.push(work as () => unknown) })
const report = await killLoop({
  kills,
  seed,
  target,
  onKill: (kill) => console.error(JSON.stringify(kill)),
}).catch((error: unknown) => {
  console.error(`It failed with seed ${seed}; what it left is beside ${target.project.configPath}.`)
  throw error
})
for (const clean of cleanups.reverse()) await clean()
console.log(JSON.stringify({ seed, sink: values.sink, ...report }))
