/**
 * `npx tsx bench/years/fleet.ts`: what a fleet of servers costs a day: requests for its logs in virtual time, and requests and
 * bytes of the commits to its table. `--servers 1000 --hours 1` follows one fleet alone.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SimulatedClock } from '../../doubles/simulated-clock.ts'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { appIdOf } from '../../src/sinks/delta/log/offsets.ts'
import type { DeltaStorage } from '../../src/sinks/delta/storage/delta-storage.ts'
import type { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { hourMs } from '../../src/sources/discovery/azure-monitor-layout.ts'
import {
  countedReader,
  RequestCounter,
  type RequestCounts,
} from '../../src/sources/readers/counted-reader.ts'
import { projectDirectory } from '../measured-process.ts'
import { fleetBlobs, fleetGroup } from '../measures/fleet-blobs.ts'
import { OneRowCommits } from '../measures/one-row-commits.ts'
import { VirtualContainer } from '../measures/virtual-container.ts'
import { virtualLanes } from '../measures/virtual-lanes.ts'
import { machineFacts } from '../reports/machine.ts'
import { markdownTable } from '../reports/markdown-table.ts'

const minuteMs = 60_000
/** Half past ten, so that each hour measured has a full hour in it. */
const startMs = Date.UTC(2026, 10, 24, 10, 30)
/** Sample prices of the hot tier, in US dollars, noted in November 2026. A write costs what a listing does. */
const dollarsPerRead = 0.0044 / 10_000
const dollarsPerWrite = 0.055 / 10_000
/** Days whose hours are there at the start; older ones are neither listed nor read. */
const pastDays = 2
/** Default age of a batch. */
const batchesPerDay = 86_400 / 10

interface Followed {
  readonly servers: number
  readonly hours: number
  readonly readsPerDay: number
  readonly listingsPerDay: number
  readonly dollarsPerDay: number
  readonly cpuSecondsPerDay: number
}

/** Follows servers that write a line a minute each, after an hour that is not counted. */
async function follow(servers: number, hours: number, scratch: string): Promise<Followed> {
  const clock = new SimulatedClock(startMs)
  const firstHourMs = Math.floor(startMs / hourMs) * hourMs - pastDays * 24 * hourMs
  const container = new VirtualContainer(fleetBlobs(servers, firstHourMs, (pastDays + 2) * 24), clock)
  const counter = new RequestCounter()
  const reader = countedReader(container, counter)
  const landed = new LandedOffsets()
  const requestsOf = ({ read, unchanged, empty, missing }: RequestCounts) =>
    read + unchanged + empty + missing
  return clock.run(
    (async () => {
      const lanes = virtualLanes({ azureMonitor: fleetGroup }, { reader, clock, landed, scratch })
      const running = lanes.run()
      await Promise.race([running, clock.sleep(hourMs)])
      const before = counter.counts
      const cpu = process.cpuUsage()
      await Promise.race([running, clock.sleep(hours * hourMs)])
      const { user, system } = process.cpuUsage(cpu)
      const after = counter.counts
      for (const { name, bytes } of container.bytesAt(clock.now() - 5 * minuteMs)) {
        const offset = landed.of(`${container.container}/${name}`).at(-1)?.offset ?? 0
        if (offset < bytes) throw new Error(`Of ${bytes} bytes of ${name} ${offset} were read.`)
      }
      lanes.stop()
      await running
      if (after.failed > 0) throw new Error(`${after.failed} requests failed.`)
      const days = hours / 24
      const readsPerDay = (requestsOf(after) - requestsOf(before)) / days
      const listingsPerDay = (after.list - before.list) / days
      return {
        servers,
        hours,
        readsPerDay,
        listingsPerDay,
        dollarsPerDay: readsPerDay * dollarsPerRead + listingsPerDay * dollarsPerWrite,
        cpuSecondsPerDay: (user + system) / 1e6 / days,
      }
    })(),
  )
}

/** Calls of a table's storage, by what Azure asks for them. */
interface TableRequests {
  readonly commits: number
  readonly reads: number
  readonly writes: number
  readonly commitBytes: number
}

const writes: ReadonlySet<string | symbol> = new Set(['putIfAbsent', 'put', 'putFile', 'list', 'pages'])
const reads: ReadonlySet<string | symbol> = new Set(['read', 'localFile'])

async function measureCommits(count: number, scratch: string): Promise<TableRequests> {
  const commits = await OneRowCommits.open(scratch)
  try {
    const storage = commits.tableAt('fleet')
    const found = { reads: 0, writes: 0, commitBytes: 0 }
    const counted = new Proxy<DeltaStorage>(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...given: unknown[]) => {
          // An uploaded file is a write and a read that checks its length.
          if (writes.has(name)) found.writes += 1
          if (reads.has(name) || name === 'putFile') found.reads += 1
          if (name === 'putIfAbsent') found.commitBytes += (given[1] as Buffer).length
          return value.apply(target, given)
        }
      },
    })
    const committer = commits.committerOf(counted as LocalDeltaStorage)
    await committer.open()
    const before = { ...found }
    for (let row = 0; row < count; row += 1) await commits.land(committer)
    await committer.close()
    return {
      commits: count,
      reads: found.reads - before.reads,
      writes: found.writes - before.writes,
      commitBytes: found.commitBytes - before.commitBytes,
    }
  } finally {
    await commits.close()
  }
}

function report(followed: readonly Followed[], table: TableRequests): string {
  const count = (value: number): string => Math.round(value).toLocaleString('en-US')
  const dollars = (value: number): string => `$${value < 1 ? value.toPrecision(2) : value.toFixed(2)}`
  const perCommit = (value: number): number => value / table.commits
  const tableDollars =
    batchesPerDay * (perCommit(table.reads) * dollarsPerRead + perCommit(table.writes) * dollarsPerWrite)
  const { name } = fleetBlobs(1, startMs, 1).blobAt(0)
  const offsetBytes = JSON.stringify({
    txn: {
      appId: appIdOf({ blob: `logs/${name}`, generation: '20261124T084700Z' }),
      version: 123_456,
      lastUpdated: startMs,
    },
  }).length
  const lines = markdownTable(
    [
      'servers',
      'hours followed',
      'reads a day',
      'listings a day',
      'dollars a day',
      'CPU s a day',
      'blobs a year',
      'dollars a year, logs',
      'dollars a year, commits',
      'offsets in a commit',
      'commits a day, MB',
    ],
    followed.map((one) => {
      // A server that writes a line a minute is in one batch of six.
      const offsets = Math.min(one.servers, one.servers / 6 + 1)
      const commitBytes = perCommit(table.commitBytes) + (offsets - 1) * (offsetBytes + 1)
      return [
        count(one.servers),
        String(one.hours),
        count(one.readsPerDay),
        count(one.listingsPerDay),
        dollars(one.dollarsPerDay),
        count(one.cpuSecondsPerDay),
        count(one.servers * 24 * 365),
        dollars(one.dollarsPerDay * 365),
        dollars(tableDollars * 365),
        count(offsets),
        count((commitBytes * batchesPerDay) / 1e6),
      ]
    }),
  )
  const each = (value: number): string => perCommit(value).toFixed(2)
  return `${lines}\n\nOf ${table.commits} commits: ${each(table.writes)} writes and ${each(table.reads)} reads each, checkpoints included; ${count(perCommit(table.commitBytes))} bytes of one offset, ${offsetBytes} more for each further one.`
}

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '1,10,100,1000' },
    hours: { type: 'string', default: '24,24,6,1' },
    commits: { type: 'string', default: '100' },
  },
})
const scratch = join(projectDirectory, 'bench', '.work', 'scratch', 'fleet')
await mkdir(scratch, { recursive: true })
const hours = values.hours.split(',').map(Number)
const followed: Followed[] = []
for (const [index, servers] of values.servers.split(',').map(Number).entries()) {
  process.stderr.write(`${servers} servers\n`)
  followed.push(await follow(servers, hours[index] ?? 1, scratch))
}
const table = await measureCommits(Number(values.commits), join(scratch, 'commits'))
await rm(scratch, { recursive: true, force: true })
process.stdout.write(`${report(followed, table)}\n\n${JSON.stringify(machineFacts())}\n`)
