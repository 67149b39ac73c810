import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { z as Zod } from 'zod'
import { replaceFile } from '../offsets/state-files.ts'
import { StatusFile } from '../offsets/status-file.ts'
import { redactSecrets } from '../reporting/redact.ts'
import { requestKinds } from '../sources/readers/counted-reader.ts'
import { z } from '../zod.ts'
import { type RequestPrices, requestCostUsd } from './monitoring/metric-families.ts'
import type { Pace } from './pace.ts'
import type { SupervisedPipeline } from './supervised-pipeline.ts'

const counted = z.array(z.object({ code: z.string(), count: z.number() }))

const schema = z.object({
  pid: z.number(),
  atMs: z.number(),
  isRunning: z.boolean(),
  phase: z.enum(['backfill', 'following']),
  percent: z.number().optional(),
  leftSeconds: z.number().optional(),
  bytesPerSecond: z.number(),
  rowsPerSecond: z.number(),
  rows: z.number(),
  rejected: z.number(),
  bytes: z.number(),
  lagBytes: z.number(),
  /** Those with the most bytes that have not landed. */
  servers: z.array(z.object({ server: z.string(), lagBytes: z.number(), blobs: z.number() })),
  lanes: z.number(),
  setAside: z.number(),
  isHeld: z.boolean(),
  landedAtMs: z.number().optional(),
  tableVersion: z.number().optional(),
  failure: z.string().optional(),
  blobs: z.array(
    z.object({
      blob: z.string(),
      generation: z.string().optional(),
      state: z.enum(['reading', 'queued', 'quiet', 'set aside', 'gone']),
      offset: z.number(),
      bytes: z.number(),
      /** Of a blob set aside. */
      reason: z.string().optional(),
      untilMs: z.number().optional(),
    }),
  ),
  partial: z.number(),
  batches: z.number(),
  lagSeconds: z.number(),
  queuedBlobs: z.number(),
  waitingRows: z.number(),
  bufferedBytes: z.number(),
  heldSinceMs: z.number().optional(),
  freeBytes: z.number().optional(),
  minFreeBytes: z.number().optional(),
  retries: counted,
  failures: counted,
  outage: z.object({ sinceMs: z.number(), reason: z.string().optional() }).optional(),
  requests: z.number(),
  usdPerDay: z.number(),
  commits: z.array(
    z.object({
      atMs: z.number(),
      tableVersion: z.number().optional(),
      rows: z.number(),
      rejected: z.number(),
      bytes: z.number(),
      encodeMs: z.number(),
      commitMs: z.number(),
    }),
  ),
})

/** The state of a running pipeline, for `tailrace top` and the page, which are other processes. */
export type LiveStatus = Readonly<Zod.infer<typeof schema>>

/** A process writes its state every second, so one that has not for this long has ended or hangs. */
const staleMs = 10_000

/** @returns whether the process that wrote a state has ended or hangs */
export function isStale({ atMs }: Pick<LiveStatus, 'atMs'>, nowMs: number): boolean {
  return nowMs - atMs > staleMs
}

/** Blobs and servers that are named. */
const maxBlobs = 100
const maxServers = 100

/** A price of the first minute says nothing about a day. */
const minCostMs = 60_000

const dayMs = 86_400_000

/** `<state>/<pipeline>.live.json`, which a running process replaces every second and removes at its end. */
export class LiveStatusFile extends StatusFile<LiveStatus> {
  constructor(stateDirectory: string, pipeline: string) {
    super(join(stateDirectory, `${pipeline}.live.json`), (json) => schema.parse(json))
  }

  /** Replaces the content without waiting for the disk: after a power cut, nobody needs it. */
  async replace(content: LiveStatus): Promise<void> {
    await replaceFile(this.path, JSON.stringify(content))
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true })
  }
}

export interface LiveStatusContext {
  readonly atMs: number
  /** When the process began to count. */
  readonly startedAtMs: number
  readonly prices: RequestPrices
}

export function liveStatus(
  pipeline: SupervisedPipeline,
  pace: Pace,
  { atMs, startedAtMs, prices }: LiveStatusContext,
): LiveStatus {
  const { counters, failure, lastLanded, setAside, lagBytes, laneCount, isRunning, isHeld, pulse } = pipeline
  const { statistics, failuresByCode, storageUnansweredSinceMs, requests } = pipeline
  const landedUpToMs = pulse?.landedUpToMs ?? pipeline.landedUpToMs
  return {
    pid: process.pid,
    atMs,
    isRunning,
    ...pace,
    rows: counters.rows,
    rejected: counters.rejected,
    partial: counters.partial,
    bytes: counters.bytes,
    batches: counters.batches,
    lagBytes,
    servers: [...pipeline.serverLags().slice(0, maxServers)],
    lagSeconds: Math.max(0, atMs - landedUpToMs) / 1_000,
    lanes: laneCount,
    setAside: setAside.length,
    queuedBlobs: pulse === undefined ? 0 : pulse.queuedBlobs.live + pulse.queuedBlobs.backlog,
    waitingRows: pulse?.waitingRows ?? 0,
    bufferedBytes: pulse?.bufferedBytes ?? 0,
    isHeld,
    heldSinceMs: pulse?.heldSinceMs,
    freeBytes: pulse?.freeBytes,
    minFreeBytes: pulse?.minFreeBytes,
    landedAtMs: lastLanded?.atMs,
    tableVersion: lastLanded?.tableVersion,
    failure: failure && `${failure.code}: ${failure.reason}`,
    retries: countedCodes(statistics.retriesByCode),
    failures: countedCodes(failuresByCode),
    outage:
      storageUnansweredSinceMs === undefined
        ? undefined
        : { sinceMs: storageUnansweredSinceMs, reason: pipeline.storageFailure },
    requests: requestKinds.reduce((sum, kind) => sum + requests.counts[kind], 0),
    usdPerDay: (requestCostUsd(requests.counts, prices) * dayMs) / Math.max(minCostMs, atMs - startedAtMs),
    commits: [...statistics.recentCommits],
    blobs: pipeline.knownBlobs(maxBlobs).map((known) => {
      // A name without its container.
      const aside = setAside.find(({ blob }) => known.blob.endsWith(`/${blob}`))
      return aside === undefined
        ? known
        : { ...known, reason: redactSecrets(`${aside.code}: ${aside.reason}`), untilMs: aside.untilMs }
    }),
  }
}

function countedCodes(counts: ReadonlyMap<string, number>): { code: string; count: number }[] {
  return Array.from(counts, ([code, count]) => ({ code, count }))
}
