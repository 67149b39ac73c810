/**
 * `npx tsx bench/years/fleet-memory.ts`: the memory and the commits of `tailrace start` itself that follows servers which write a
 * line a minute each, in real time, with its table open. All hours but the current ones have landed before, with marks, so that
 * the process has the offsets that it has after days.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { fingerprintOf, formatFingerprint } from '../../src/sources/recognition/fingerprint.ts'
import { nodeCommand, plainNodeCommand, projectDirectory, startMeasured } from '../measured-process.ts'
import { fleetGroup } from '../measures/fleet-blobs.ts'
import { machineFacts } from '../reports/machine.ts'
import { markdownTable } from '../reports/markdown-table.ts'
import { median } from '../reports/statistics.ts'
import { whileServing } from '../servers/while-serving.ts'
import { shippedConfig } from '../tailrace-command.ts'

interface Followed {
  readonly offsets: number
  readonly medianRssMb: number
  readonly peakRssMb: number
  readonly cpuSeconds: number
  readonly minutes: number
  readonly commits: number
  readonly commitBytes: number
}

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '1000' },
    hours: { type: 'string', default: '48' },
    minutes: { type: 'string', default: '5' },
    runs: { type: 'string', default: '3' },
  },
})
const [servers, hours, minutes] = [Number(values.servers), Number(values.hours), Number(values.minutes)]
const scratch = join(projectDirectory, 'bench', '.work', 'scratch', 'fleet-memory')
const offsetPath = join(scratch, 'state', 'primary.offset.json')
await rm(scratch, { recursive: true, force: true })
await mkdir(scratch, { recursive: true })
const server = nodeCommand('bench/servers/fleet-server.ts', [String(servers), String(hours)])
const { result } = await whileServing(server, scratch, async (connectionString) => {
  const runs: Followed[] = []
  const prepared = await follow(
    connectionString,
    'latest',
    async () => (await landedBlobs()) >= servers * hours,
  )
  await addMarks()
  process.stderr.write(`${prepared.offsets} offsets are there\n`)
  for (let run = 1; run <= Number(values.runs); run += 1) {
    process.stderr.write(`run ${run}\n`)
    const endMs = Date.now() + minutes * 60_000
    runs.push(await follow(connectionString, 'earliest', async () => Date.now() >= endMs))
  }
  return runs
})
await rm(scratch, { recursive: true, force: true })
const rows = result.map((one) => [
  one.offsets.toLocaleString('en-US'),
  String(one.minutes),
  String(one.medianRssMb),
  String(one.peakRssMb),
  (one.cpuSeconds / one.minutes).toFixed(1),
  String(one.commits),
  Math.round(one.commitBytes / one.commits).toLocaleString('en-US'),
  ((one.commitBytes / 1e6 / one.minutes) * 24 * 60).toFixed(0),
])
const columns = [
  'offsets',
  'minutes',
  'RSS MB, median',
  'RSS MB, peak',
  'CPU s a minute',
  'commits',
  'bytes each',
  'MB a day',
]
process.stdout.write(`${markdownTable(columns, rows)}\n\n${JSON.stringify(machineFacts())}\n`)

/** Runs `tailrace start` as `pnpm start` does, until `isOver`. */
async function follow(
  connectionString: string,
  coldStart: 'earliest' | 'latest',
  isOver: () => Promise<boolean>,
): Promise<Followed> {
  const config = shippedConfig(connectionString, { directory: scratch, blobs: fleetGroup, coldStart })
  const command = plainNodeCommand('bin/tailrace.js', ['start'], {
    ...config,
    LOG_LEVEL: 'warn',
    MALLOC_ARENA_MAX: '2',
  })
  const before = await commitSizes()
  const startedMs = Date.now()
  // 143 is the end by SIGTERM.
  const measured = { ...command, args: ['--max-semi-space-size=4', ...command.args] }
  const { child, ended } = startMeasured(measured, scratch, [0, 143])
  const rss: number[] = []
  while (!(await isOver()) && child.exitCode === null) {
    await delay(1_000)
    rss.push(await residentMb(child.pid as number))
  }
  const followedMinutes = (Date.now() - startedMs) / 60_000
  const after = await commitSizes()
  child.kill('SIGTERM')
  const { peakRssBytes, userSeconds, systemSeconds } = await ended
  const commits = [...after].filter(([name]) => !before.has(name)).map(([, bytes]) => bytes)
  return {
    offsets: await landedBlobs(),
    medianRssMb: Math.round(median(rss)),
    peakRssMb: Math.round(peakRssBytes / 1e6),
    cpuSeconds: userSeconds + systemSeconds,
    minutes: Math.round(followedMinutes * 10) / 10,
    commits: commits.length,
    commitBytes: commits.reduce((sum, bytes) => sum + bytes, 0),
  }
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024) / 1e6
}

function tableFolder(): string {
  return join(scratch, 'lakehouse/vitality_lakehouse_uat/pg_archive_sync/primary_postgresql_logs_uat')
}

async function commitSizes(): Promise<ReadonlyMap<string, number>> {
  const folder = join(tableFolder(), '_delta_log')
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^\d{20}\.json$/.test(name))
  return new Map(
    await Promise.all(names.map(async (name) => [name, (await stat(join(folder, name))).size] as const)),
  )
}

/** The part of an offset file that is read and written here. */
interface StoredOffsets {
  readonly blobs: Readonly<Record<string, { offset: number; head?: string; tail?: string }[]>>
}

async function storedOffsets(): Promise<StoredOffsets> {
  return JSON.parse(await readFile(offsetPath, 'utf8')) as StoredOffsets
}

/** @returns the blobs that have landed; 0 before the first commit */
async function landedBlobs(): Promise<number> {
  return Object.keys((await storedOffsets().catch(() => ({ blobs: {} }))).blobs).length
}

/** Gives the hours that have landed the fingerprints that reading them would have left. Nobody reads those hours again. */
async function addMarks(): Promise<void> {
  const content = await storedOffsets()
  const open = new Set([0, 1].map((ago) => new Date(Date.now() - ago * 3_600_000).toISOString().slice(8, 13)))
  for (const [blob, generations] of Object.entries(content.blobs)) {
    const [, day, hour] = /d=(\d\d)\/h=(\d\d)/.exec(blob) ?? []
    if (open.has(`${day}T${hour}`)) continue
    for (const one of generations) {
      one.head = formatFingerprint(fingerprintOf(0, Buffer.from(`head ${blob}`)))
      one.tail = formatFingerprint(fingerprintOf(one.offset - 64, Buffer.from(`tail ${blob}`)))
    }
  }
  await writeFile(offsetPath, JSON.stringify(content))
}
