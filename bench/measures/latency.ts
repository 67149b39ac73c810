import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { AppendBlobClient } from '@azure/storage-blob'
import { EmbeddedEngine, sqlString } from '../../src/sinks/encoding/engine.ts'
import { EmbeddedStorage } from '../../src/sources/embedded/embedded-storage.ts'
import { startMeasured } from '../measured-process.ts'
import { percentile } from '../reports/statistics.ts'
import { tailraceCommand } from '../tailrace-command.ts'

/** How often Tailrace polls and flushes, and how long probes are appended. */
export interface LatencyCase {
  readonly pollMs: number
  readonly flushMs: number
  /** Whether these are the defaults of the options. */
  readonly areDefaults: boolean
  readonly seconds: number
}

/** Milliseconds from just before an append to the instant its row's commit is visible. */
export interface LatencyResult extends LatencyCase {
  readonly probes: number
  readonly commits: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly peakRssBytes: number
}

const startDeadlineMs = 60_000

/** The cases one after the other, each in a process and a container of its own. */
export async function measureLatencies(
  cases: readonly LatencyCase[],
  scratch: string,
  say: (text: string) => void,
): Promise<readonly LatencyResult[]> {
  const results: LatencyResult[] = []
  for (const latencyCase of cases) {
    const result = await measureLatency(latencyCase, scratch)
    say(
      `latency, poll ${result.pollMs} ms, flush ${result.flushMs} ms: p50 ${result.p50Ms.toFixed(0)} ms, p99 ${result.p99Ms.toFixed(0)} ms`,
    )
    results.push(result)
  }
  return results
}

/**
 * Appends probes to a blob of an emulated storage, one line each, while Tailrace follows it, and finds each one's
 * commit in the Delta log.
 *
 * A probe is appended every 200 to 300 ms.
 *
 * @throws Error when a probe has not exactly one row
 */
async function measureLatency(latencyCase: LatencyCase, scratch: string): Promise<LatencyResult> {
  const { pollMs, flushMs, areDefaults, seconds } = latencyCase
  const directory = join(scratch, 'latency')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const storage = await EmbeddedStorage.start()
  try {
    const container = storage.containerClient('latency')
    await container.createIfNotExists()
    const blob = container.getAppendBlobClient('probes.ndjson')
    await blob.create()
    const { child, ended } = startMeasured(
      tailraceCommand(['start', '--config', 'bench/measures/latency.config.ts'], {
        AZURE_STORAGE_CONNECTION_STRING: storage.connectionString,
        TAILRACE_LAKEHOUSE: join(directory, 'lakehouse'),
        TAILRACE_STATE: join(directory, 'state'),
        TAILRACE_BENCH_POLL_MS: areDefaults ? undefined : String(pollMs),
        TAILRACE_BENCH_FLUSH_MS: areDefaults ? undefined : String(flushMs),
      }),
      scratch,
      // Stopped by SIGTERM after a clean flush.
      [143],
    )
    const log = join(directory, 'lakehouse', 'bench', 'public', 'latency', '_delta_log')
    try {
      // The first commit pays for everything that is loaded late, so the clock starts after it.
      await append(blob, probe(0))
      await waitForVersion(1, log, ended)
      const count = await appendProbes(blob, seconds)
      // By then, appended bytes are committed, or never will be.
      await delay(2 * (pollMs + flushMs))
      child.kill('SIGTERM')
      const { peakRssBytes } = await ended
      return { ...latencyCase, ...(await findLatencies(log, count, directory)), peakRssBytes }
    } finally {
      child.kill('SIGTERM')
      await ended.catch(() => {})
    }
  } finally {
    await storage.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

async function appendProbes(blob: AppendBlobClient, seconds: number): Promise<number> {
  const until = Date.now() + seconds * 1000
  let count = 0
  while (Date.now() < until) {
    count += 1
    await append(blob, probe(count))
    // Jitter, so that the probes do not fall into step with the polls.
    await delay(200 + Math.random() * 100)
  }
  return count
}

/** A record as PostgreSQL 15 writes it, with its own send time in it; number 0 is not counted. */
function probe(number: number): string {
  const now = new Date()
  const timestamp = now.toISOString().replace('T', ' ').replace('Z', ' UTC')
  const record = {
    timestamp,
    user: 'shop',
    dbname: 'orders',
    pid: process.pid,
    remote_host: '10.1.2.3',
    remote_port: 40100,
    session_id: `6b05544b.${process.pid.toString(16)}`,
    line_num: number + 1,
    ps: 'SELECT',
    session_start: '2026-11-24 09:09:31 UTC',
    vxid: '3/7',
    txid: 0,
    error_severity: 'LOG',
    message: `probe ${number} ${now.getTime()}`,
    application_name: 'shop',
    backend_type: 'client backend',
    query_id: 0,
  }
  return `${JSON.stringify(record)}\n`
}

async function append(blob: AppendBlobClient, line: string): Promise<void> {
  await blob.appendBlock(line, Buffer.byteLength(line))
}

async function waitForVersion(version: number, log: string, ended: Promise<unknown>): Promise<void> {
  const stopped = new AbortController()
  const failed = ended.then(() => Promise.reject(new Error('Tailrace ended before its first commit.')))
  const seen = async (): Promise<void> => {
    for (let waitedMs = 0; waitedMs < startDeadlineMs && !stopped.signal.aborted; waitedMs += 50) {
      if ((await commitNames(log)).length > version) return
      await delay(50)
    }
    throw new Error(`Tailrace made no commit within ${startDeadlineMs} ms.`)
  }
  try {
    await Promise.race([failed, seen()])
  } finally {
    stopped.abort()
    failed.catch(() => {})
  }
}

async function commitNames(log: string): Promise<string[]> {
  const names = await readdir(log).catch(() => [])
  return names.filter((name) => /^\d+\.json$/.test(name)).sort()
}

async function findLatencies(
  log: string,
  count: number,
  directory: string,
): Promise<Omit<LatencyResult, keyof LatencyCase | 'peakRssBytes'>> {
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  try {
    const latencies = new Map<number, number>()
    let commits = 0
    for (const name of await commitNames(log)) {
      // The commit's last change is the link that makes it visible, or the removal of its temporary name just after.
      const { ctimeMs } = await stat(join(log, name))
      const paths = addedPaths(await readFile(join(log, name), 'utf8'))
      if (paths.length === 0) continue
      commits += 1
      const files = paths.map((path) => sqlString(join(log, '..', path))).join(', ')
      const rows = await engine.rows(
        `SELECT message FROM read_parquet([${files}], hive_partitioning = false)`,
      )
      for (const { message } of rows) {
        const [, number, sentMs] = String(message).split(' ').map(Number) as [number, number, number]
        if (number === 0) continue
        if (latencies.has(number)) throw new Error(`Probe ${number} has two rows.`)
        latencies.set(number, ctimeMs - sentMs)
      }
    }
    if (latencies.size !== count) throw new Error(`${latencies.size} of ${count} probes were committed.`)
    const values = [...latencies.values()]
    return {
      probes: count,
      commits,
      p50Ms: percentile(values, 0.5),
      p99Ms: percentile(values, 0.99),
      maxMs: percentile(values, 1),
    }
  } finally {
    await engine.close()
  }
}

function addedPaths(commit: string): string[] {
  return commit
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { add?: { path: string } })
    .flatMap(({ add }) => (add === undefined ? [] : [decodeURIComponent(add.path)]))
}
