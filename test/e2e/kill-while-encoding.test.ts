import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { TailraceProcess } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const blob = 'primary.json'
const MiB = 1024 * 1024
const stopMs = 4_000
const lineCount = 40_000

/** Two signals that are to be two wishes are this far apart. */
const twoWishesMs = 1_100

/**
 * What ends the process, and the exit codes that it may then have. SIGUSR2 has the transform hold its next record, which
 * is a fault of it; at SIGWINCH the staging directory goes away.
 */
const causes = {
  'a stage fails': { signals: ['SIGUSR2'], codes: [1] },
  'the staging directory goes away': { signals: ['SIGWINCH'], codes: [1] },
  'a stop': { signals: ['SIGTERM'], codes: [143] },
  'an interrupt': { signals: ['SIGINT'], codes: [130] },
  'a stop, then a failure': { signals: ['SIGTERM', 'SIGUSR2'], codes: [1, 143] },
  'two stops': { signals: ['SIGTERM', 'wait', 'SIGTERM'], codes: [143] },
} as const

const preamble = `import { renameSync } from 'node:fs'
import { Transform } from 'node:stream'
let isBroken = false
process.on('SIGUSR2', () => { isBroken = true })
process.on('SIGWINCH', () => renameSync(process.env.STAGING, process.env.STAGING + '-gone'))
const breakable = { stream: () => new Transform({ objectMode: true, highWaterMark: 1,
  transform(record, _encoding, done) {
    if (!isBroken) return done(null, record)
    done()
    setImmediate(() => this.push(record))
  } }) }`

test('a process whose pipeline ends during the encoding of a batch, for any reason, ends within stopMs and loses nothing', async (t) => {
  const seed = Number(process.env.TAILRACE_SEED ?? Math.floor(Math.random() * 2 ** 31))
  const runs = Number(process.env.TAILRACE_RUNS ?? 6)
  t.diagnostic(`seed ${seed}: repeat with TAILRACE_SEED=${seed}, more with TAILRACE_RUNS=100`)
  const random = seededRandom(seed)
  const storage = await startStorage(t)
  const content = linesAsBytes(Array.from({ length: lineCount }, (_, index) => jsonlogLine(index)))
  for (let at = 0; at < content.length; at += 4 * MiB) {
    await storage.append(blob, content.subarray(at, at + 4 * MiB))
  }
  const address = /127\.0\.0\.1:(\d+)/.exec(storage.connectionString)!
  // The emulator throws, in this process, when a client dies in the middle of a large answer.
  const proxy = await faultyProxy(t, Number(address[1]))
  const connectionString = storage.connectionString.replace(address[0], `127.0.0.1:${proxy.port}`)
  const ends: Record<string, Record<string, number>> = {}
  let longestMs = 0
  for (let run = 0; run < runs; run += 1) {
    const names = Object.keys(causes) as (keyof typeof causes)[]
    const name = names[run % names.length]!
    const { signals, codes } = causes[name]
    const project = await writeProject(await temporaryDirectory(t), {
      storage: { kind: 'connection-string', connectionString },
      pipelines: { primary: { blobs: blob } },
      batch: { maxBytes: 4 * MiB, maxAgeMs: 60_000 },
      stopMs,
      preamble,
      transforms: '[breakable]',
    })
    const args = ['--config', project.configPath]
    const staging = project.stagingDirectory('primary')
    const one = new TailraceProcess(['start', '--fail-fast', ...args], { env: { STAGING: staging } })
    const isEncoding = async () =>
      (await readdir(staging).catch(() => [])).some((name) => name.startsWith('encode-'))
    while (!(await isEncoding())) await delay(2)
    await delay(random.between(0, 400))
    const beganAtMs = performance.now()
    for (const signal of signals) {
      if (signal === 'wait') await delay(twoWishesMs)
      else one.kill(signal)
    }
    // Twice the time, because a loaded machine is late with everything.
    const late = delay(2 * stopMs + 2_000, 'hangs' as const, { ref: false })
    const end = await Promise.race([one.exited, late])
    if (end === 'hangs') one.kill('SIGKILL')
    assert.notEqual(end, 'hangs', `${name}, run ${run}: ${one.stderr.slice(-3_000)}`)
    const { code, signal } = end as Exclude<typeof end, 'hangs'>
    longestMs = Math.max(longestMs, performance.now() - beganAtMs)
    const bySignal = signal === 'SIGTERM' ? 143 : signal
    const ended = code ?? bySignal
    assert.ok(
      (codes as readonly unknown[]).includes(ended),
      `${name}, run ${run}: ${ended}\n${one.stderr.slice(-3_000)}`,
    )
    ends[name] = { ...ends[name], [String(ended)]: (ends[name]?.[String(ended)] ?? 0) + 1 }
    if (run < runs - 2) continue
    const drained = await runTailrace(t, ['start', '--once', ...args])
    assert.equal(drained.code, 0, drained.stderr.slice(-3_000))
    assertLandedOnce(blob, content, await readTable(project.tableDirectory('primary')))
  }
  t.diagnostic(JSON.stringify({ ends, longestMs: Math.round(longestMs) }))
})
