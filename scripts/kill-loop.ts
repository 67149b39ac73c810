// The kill test at length: `kill-loop.ts --kills 300 [--seed N]`.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { killLoop } from '../test/support/kill-loop.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '300' }, seed: { type: 'string' } },
})
const kills = Number(values.kills)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
if (!Number.isSafeInteger(kills) || kills < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: kill-loop.ts [--kills COUNT] [--seed NUMBER]')
  process.exit(2)
}

console.error(`${kills} kills with seed ${seed}`)
const directory = await mkdtemp(join(tmpdir(), 'tailrace-kill-'))
const report = await killLoop({
  kills,
  seed,
  directory,
  onKill: (kill) => console.error(JSON.stringify(kill)),
}).catch((error: unknown) => {
  console.error(`It failed with seed ${seed}; what it left is in ${directory}.`)
  throw error
})
await rm(directory, { recursive: true, force: true })
console.log(JSON.stringify({ seed, ...report }))
