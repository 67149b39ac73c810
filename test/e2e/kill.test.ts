import assert from 'node:assert/strict'
import test from 'node:test'
import { deltaKillTarget } from '../support/delta-kill-target.ts'
import { killLoop } from '../support/kill-loop.ts'

test('a process killed again and again at any instant lands every line exactly once', async (t) => {
  const seed = Number(process.env.TAILRACE_SEED ?? 1)
  t.diagnostic(`seed ${seed}: repeat with TAILRACE_SEED=${seed}`)
  const report = await killLoop({ kills: 5, seed, target: await deltaKillTarget(t) })
  t.diagnostic(JSON.stringify(report))
  // Kills that hit nothing would prove nothing.
  assert.ok(report.batches >= report.kills / 2, 'the processes landed too little between the kills')
  assert.ok(report.leftovers > 0, 'no kill interrupted a batch')
})
