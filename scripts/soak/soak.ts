import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Random, seededRandom } from '../../doubles/seeded-random.ts'
import { type FaultyProxy, faultyProxy, type NetworkFault } from '../../test/support/faulty-proxy.ts'
import { assertLandedOnce } from '../../test/support/landed-once.ts'
import { type SmallDisk, smallDisk } from '../../test/support/small-disk.ts'
import { startStorage, type TestStorage } from '../../test/support/storage.ts'
import { readTable } from '../../test/support/table-rows.ts'
import { TailraceProcess } from '../../test/support/tailrace-process.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { writeProject } from '../../test/support/test-project.ts'
import { growthOf, type ProcessSample, type ProcessTrend, sampleProcess, trendOf } from './process-samples.ts'
import { writeRollingHours } from './rolling-writers.ts'

const MiB = 1024 * 1024

export interface SoakOptions {
  readonly minutes: number
  readonly seed: number
  readonly t: Parameters<typeof smallDisk>[0]
  /** Hears of each disturbance. */
  readonly onEvent: (event: string) => void
}

/** What a soak went through, and what it proved. */
export interface SoakReport {
  readonly lines: number
  readonly blobs: number
  readonly outages: number
  readonly diskHolds: number
  readonly stops: number
  readonly kills: number
  /** Of the last process, which lives for half of the time. */
  readonly trend: ProcessTrend
}

/** The volume of the table and the state: small, because it is filled again and again, and with room for what lands. */
const volumeMiBOf = (minutes: number): number => 256 + Math.ceil(minutes * 4)
/** Below `minFreeBytes` the stream is held. */
const disk = { minFreeBytes: 64 * MiB, resumeFreeBytes: 80 * MiB, checkMs: 500 }
const outageMs = 8_000
const pressureMs = 8_000
const calmMs = 6_000
const sampleEveryMs = 1_000
const maxReads = 5
/** What an outage does to each request. */
const outageFaults: readonly NetworkFault[] = [
  'busy',
  'lost-request',
  'lost-reply',
  'done-but-500',
  'stalled',
]
/** Rows of the fixture that the table begins with. */
const fixture = fileURLToPath(new URL('../../test/upgrades/format-1', import.meta.url))
const fixtureBlob = 'logs/primary/a.ndjson'
const fixtureRows = 4

/**
 * Lets `tailrace start` follow servers that log hour after hour, through outages, a full disk, stops and kills, and then
 * compares its table with what the servers wrote.
 *
 * The table and the state directory begin as an earlier release left them. In the first half of the time the process is
 * stopped or killed after each disturbance; in the second half one process lives through all of them, and must not grow.
 *
 * @throws when a row is missing or twice, `verify` fails, or the process grows
 */
export async function soak({ minutes, seed, t, onEvent }: SoakOptions): Promise<SoakReport> {
  const volume = await smallDisk(t, volumeMiBOf(minutes))
  const storage = await startStorage(t)
  const port = Number(new URL(storage.container.url).port)
  const proxy = await faultyProxy(t, port)
  const project = await writeProject(await temporaryDirectory(t), {
    storage: {
      kind: 'connection-string',
      connectionString: storage.connectionString.replace(`:${port}/`, `:${proxy.port}/`),
    },
    pipelines: { primary: { blobs: 'servers/', discoverMs: 1_000, pollMs: 500, maxPollMs: 2_000 } },
    batch: { maxAgeMs: 1_000 },
    schema: 'lake.logs',
    root: volume.directory,
    disk,
  })
  for (const part of ['lakehouse', 'state']) {
    await cp(join(fixture, part), join(volume.directory, part), { recursive: true })
  }
  const table = join(volume.directory, 'lakehouse/lake/logs/primary')
  const run = (...args: string[]): TailraceProcess =>
    new TailraceProcess([...args, '--config', project.configPath])

  const writing = new AbortController()
  const written = writeRollingHours(storage, seed, writing.signal)
  const random = seededRandom(seed)
  const counts = { outages: 0, diskHolds: 0, stops: 0, kills: 0 }
  let running = run('start')
  const disturb = async (): Promise<void> => {
    if (random.next() < 0.5) {
      counts.outages += 1
      await outage(proxy, random, onEvent)
    } else {
      await pressure(volume, onEvent)
    }
    await delay(calmMs)
  }
  const beganAtMs = Date.now()
  const endsAtMs = beganAtMs + minutes * 60_000
  try {
    while (Date.now() < beganAtMs + (minutes * 60_000) / 2) {
      await running.until(() => running.logged('landed'), 'a batch')
      await disturb()
      counts.diskHolds += holdsOf(running)
      const isKill = random.next() < 0.5
      onEvent(isKill ? 'kill' : 'stop')
      await end(running, isKill)
      counts[isKill ? 'kills' : 'stops'] += 1
      running = run('start')
    }
    await running.until(() => running.logged('landed'), 'a batch')
    const samples: ProcessSample[] = []
    const sampling = setInterval(() => {
      const sample = sampleProcess(running.pid!)
      if (sample !== undefined) samples.push(sample)
    }, sampleEveryMs)
    while (Date.now() < endsAtMs) await disturb()
    clearInterval(sampling)
    counts.diskHolds += holdsOf(running)
    writing.abort()
    const logs = await written
    await end(running, false)
    counts.stops += 1

    onEvent('drain and compare')
    assert.equal(await codeOf(run('start', '--once')), 0)
    const verify = run('verify', '--json')
    assert.equal(await codeOf(verify), 0)
    assert.equal((JSON.parse(verify.stdout) as { readonly complete: boolean }).complete, true)
    const rows = await readTable(table)
    for (const blob of logs.blobs) assertLandedOnce(blob, await contentOf(storage, blob), rows)
    assert.equal(rows.filter(({ blob }) => blob === fixtureBlob).length, fixtureRows)
    assert.equal(rows.length, logs.lines + fixtureRows)
    const trend = trendOf(samples)
    assert.deepEqual(growthOf(trend), [])
    return { lines: logs.lines, blobs: logs.blobs.length, ...counts, trend }
  } finally {
    writing.abort()
    running.kill('SIGKILL')
    await Promise.all([running.exited, written])
  }
}

/** The emulator resets a connection now and then when it is asked for hundreds of blobs in a row. */
async function contentOf(storage: TestStorage, blob: string): Promise<Buffer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await storage.content(blob)
    } catch (error) {
      if (attempt === maxReads) throw error
      await delay(attempt * 200)
    }
  }
}

/** Storage treats every request badly for a while. */
async function outage(proxy: FaultyProxy, random: Random, onEvent: SoakOptions['onEvent']): Promise<void> {
  const fault = outageFaults[random.between(0, outageFaults.length - 1)]!
  onEvent(`outage: ${fault}`)
  proxy.plan(() => fault)
  await delay(outageMs)
  proxy.plan(() => undefined)
}

/** The volume of the tables and the state is short of space for a while. */
async function pressure(volume: SmallDisk, onEvent: SoakOptions['onEvent']): Promise<void> {
  onEvent('disk pressure')
  const before = await volume.freeBytes()
  await volume.leaveFree(disk.minFreeBytes / 4)
  await delay(pressureMs)
  await volume.leaveFree(before)
}

function holdsOf(process: TailraceProcess): number {
  return process.log.filter(({ msg }) => msg?.includes('the stream is held')).length
}

async function end(process: TailraceProcess, isKill: boolean): Promise<void> {
  process.kill(isKill ? 'SIGKILL' : 'SIGTERM')
  const { code, signal } = await process.exited
  if (isKill) assert.equal(signal, 'SIGKILL', process.stderr.slice(-4_000))
  else assert.equal(code ?? signal, 143, process.stderr.slice(-4_000))
}

async function codeOf(process: TailraceProcess): Promise<number | null> {
  const { code } = await process.exited
  if (code !== 0) console.error(process.stderr.slice(-4_000))
  return code
}
