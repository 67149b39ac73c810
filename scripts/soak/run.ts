// Hours in minutes: `pnpm test:soak [--minutes 10] [--seed N]`. What it goes through is in soak.ts. Needs root on Linux.
import { parseArgs } from 'node:util'
import { smallDiskMissing } from '../../test/support/small-disk.ts'
import { soak } from './soak.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const missing = smallDiskMissing()
if (!(minutes >= 3 && minutes <= 600) || !Number.isSafeInteger(seed) || missing !== false) {
  console.error(missing || 'usage: soak [--minutes 3 to 600] [--seed NUMBER]')
  process.exit(2)
}

console.error(`${minutes} minutes with seed ${seed}`)
const beganAtMs = Date.now()
const cleanups: (() => unknown)[] = []
try {
  const report = await soak({
    minutes,
    seed,
    t: { after: (work) => void cleanups.push(work as () => unknown) },
    onEvent: (event) => console.error(`${Math.round((Date.now() - beganAtMs) / 1_000)} s: ${event}`),
  })
  console.log(JSON.stringify({ minutes, seed, ...report }, null, 2))
} finally {
  for (const clean of cleanups.reverse()) await clean()
}
