import { SimulatedClock } from '../../doubles/simulated-clock.ts'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { hourMs, hourPath } from '../../src/sources/discovery/azure-monitor-layout.ts'
import {
  countedReader,
  RequestCounter,
  type RequestCounts,
  requestKinds,
} from '../../src/sources/readers/counted-reader.ts'
import { type GrowingBlob, keptBlobs, VirtualContainer } from './virtual-container.ts'
import { virtualLanes } from './virtual-lanes.ts'

/** What following some blobs with the default options asked of storage, in virtual time. */
export interface IdleResult {
  readonly what: string
  readonly hours: number
  /** Blobs among which the requests are divided. */
  readonly blobs: number
  /** In all the hours. */
  readonly requests: RequestCounts
  readonly readsPerDay: number
  readonly listingsPerDay: number
  readonly dollarsPerDay: number
}

interface Scenario {
  readonly what: string
  readonly blobs: number
  readonly source: string
  readonly container: (startMs: number) => readonly GrowingBlob[]
}

/** Sample prices of the hot tier, in US dollars, noted in November 2026. */
const dollarsPerRead = 0.0044 / 10_000
const dollarsPerListing = 0.055 / 10_000

const minuteMs = 60_000
/** Half past ten, so that a day turns within the hours. */
const startMs = Date.UTC(2026, 10, 24, 10, 30)
/** Excluded from the measure: by then the process has started, and has read the bytes that existed at its start. */
const settleMs = hourMs
/** Bytes written at least this long before the end must have been read at the end. */
const mostBehindMs = 2 * minuteMs

const serverId =
  '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/bench/providers/Microsoft.DBforPostgreSQL/flexibleServers/bench-pg'

const scenarios: readonly Scenario[] = [
  { what: 'one blob, idle', blobs: 1, source: 'pg/00.ndjson', container: () => blobsGrowing(1, Infinity) },
  {
    what: 'one blob, a line a minute',
    blobs: 1,
    source: 'pg/00.ndjson',
    container: () => blobsGrowing(1, minuteMs),
  },
  {
    what: 'one blob, a line every 5 s',
    blobs: 1,
    source: 'pg/00.ndjson',
    container: () => blobsGrowing(1, 5_000),
  },
  {
    what: '50 blobs under a prefix, idle',
    blobs: 50,
    source: 'pg/',
    container: () => blobsGrowing(50, Infinity),
  },
  {
    what: '50 blobs under a prefix, a line a minute each',
    blobs: 50,
    source: 'pg/',
    container: () => blobsGrowing(50, minuteMs),
  },
  {
    what: 'a server of Azure Monitor, a line a minute, 30 days of hours',
    blobs: 1,
    source: serverId,
    container: () => serverHours(serverId, 30, minuteMs),
  },
  {
    what: 'a server of Azure Monitor, idle, 30 days of hours',
    blobs: 1,
    source: serverId,
    container: () => serverHours(serverId, 30, Infinity),
  },
]

/**
 * Follows blobs in virtual time and counts the requests.
 *
 * @param hours how long, after an hour that is not counted
 * @throws Error when a line that was written in time was not read by the end, or a request failed
 */
export async function measureIdle(hours: number, scratch: string): Promise<readonly IdleResult[]> {
  const results: IdleResult[] = []
  for (const scenario of scenarios) results.push(await follow(scenario, hours, scratch))
  return results
}

async function follow(
  { what, blobs, source, container: blobsFrom }: Scenario,
  hours: number,
  scratch: string,
): Promise<IdleResult> {
  const clock = new SimulatedClock(startMs)
  const container = new VirtualContainer(keptBlobs(blobsFrom(startMs)), clock)
  const counter = new RequestCounter()
  const landed = new LandedOffsets()
  const reader = countedReader(container, counter)
  const requests = await clock.run(
    (async () => {
      const lanes = virtualLanes(source, { reader, clock, landed, scratch })
      const running = lanes.run()
      await Promise.race([running, clock.sleep(settleMs)])
      const before = counter.counts
      await Promise.race([running, clock.sleep(hours * hourMs)])
      const after = counter.counts
      for (const { name, bytes } of container.bytesAt(clock.now() - mostBehindMs)) {
        const offset = landed.of(`${container.container}/${name}`).at(-1)?.offset ?? 0
        if (offset < bytes) throw new Error(`${what}: of ${bytes} bytes of ${name} ${offset} were read.`)
      }
      lanes.stop()
      await running
      return difference(after, before)
    })(),
  )
  if (requests.failed > 0) throw new Error(`${what}: ${requests.failed} requests failed.`)
  const days = hours / 24
  const readsPerDay = (requests.read + requests.unchanged + requests.empty + requests.missing) / days
  const listingsPerDay = requests.list / days
  return {
    what,
    hours,
    blobs,
    requests,
    readsPerDay,
    listingsPerDay,
    dollarsPerDay: readsPerDay * dollarsPerRead + listingsPerDay * dollarsPerListing,
  }
}

/** Blobs that are there long since; their writers do not act at the same instant. */
function blobsGrowing(count: number, everyMs: number): GrowingBlob[] {
  const beganMs = startMs - 2 * hourMs
  return Array.from({ length: count }, (_, index) => ({
    name: `pg/${String(index).padStart(2, '0')}.ndjson`,
    fromMs: beganMs + (Math.min(everyMs, minuteMs) / count) * (index + 0.4),
    untilMs: Number.POSITIVE_INFINITY,
    everyMs,
  }))
}

/** A server's hours, and those to come: each hour is written to for some minutes after its end. */
function serverHours(id: string, pastDays: number, everyMs: number): GrowingBlob[] {
  const folder = `resourceId=${id.toUpperCase()}/`
  const firstMs = Math.floor(startMs / hourMs) * hourMs - pastDays * 24 * hourMs
  // An idle server has written nothing since the hour before the start.
  const hours = Number.isFinite(everyMs) ? (pastDays + 3) * 24 : pastDays * 24
  return Array.from({ length: hours }, (_, index) => {
    const hour = firstMs + index * hourMs
    return {
      name: `${folder}${hourPath(hour)}PT1H.json`,
      fromMs: hour + 0.4 * minuteMs,
      untilMs: hour + hourMs + 5 * minuteMs,
      everyMs,
    }
  })
}

function difference(after: RequestCounts, before: RequestCounts): RequestCounts {
  const kinds = [...requestKinds, 'bytes'] as const
  return Object.fromEntries(kinds.map((kind) => [kind, after[kind] - before[kind]])) as RequestCounts
}
