import type { RequestCounts } from '../../src/sources/readers/counted-reader.ts'
import type { CommitTimes } from '../measures/commits.ts'
import type { CompactionResult } from '../measures/compaction.ts'
import type { DatabricksResult } from '../measures/databricks.ts'
import type { IdleResult } from '../measures/idle.ts'
import type { LatencyResult } from '../measures/latency.ts'
import type { ListingCase, ListingRun } from '../measures/listing.ts'
import type { OpeningTimes } from '../measures/opening.ts'
import type { SmallBlobsResult } from '../measures/small-blobs.ts'
import {
  type Contender,
  contenders,
  medianRun,
  type Run,
  type ThroughputResult,
} from '../measures/throughput.ts'
import type { WritersResult } from '../measures/writers.ts'
import { databricksSections } from './databricks-report.ts'
import type { MachineFacts } from './machine.ts'
import { markdownTable } from './markdown-table.ts'

/** Everything that one go measured; what did not run is missing. */
export interface BenchResults {
  readonly machine: MachineFacts
  readonly throughput?: ThroughputResult & { readonly ratios: Ratios }
  /** Tailrace alone on a much larger input, for its memory. */
  readonly large?: ThroughputResult
  readonly small?: SmallBlobsResult
  readonly listing?: readonly ListingRun[]
  readonly idle?: readonly IdleResult[]
  readonly compaction?: CompactionResult
  readonly latency?: LatencyResult
  readonly commits?: readonly CommitTimes[]
  readonly writers?: readonly WritersResult[]
  readonly opening?: readonly OpeningTimes[]
  readonly databricks?: DatabricksResult
}

/** Tailrace's MB/s by that of the others; missing where one did not run. */
export interface Ratios {
  /** By the faster of DuckDB's two runs. */
  readonly ofLimit?: number
  readonly ofReference?: number
}

const titles: Readonly<Record<Contender, string>> = {
  tailrace: 'Tailrace, blob to Delta table',
  duckdb: 'DuckDB alone, file to Parquet',
  'duckdb-small-groups': "DuckDB alone, Tailrace's row groups",
  reference: 'Reference in Python, blob to Delta table',
}

const listingTitles: Readonly<Record<ListingCase, string>> = {
  'first-latest': 'first run, `latest`',
  again: 'again: all has landed',
  'first-earliest': 'first run, `earliest`',
}

/** Ratios of medians. */
export function ratiosOf({ runs }: ThroughputResult): Ratios {
  const speed = (contender: Contender): number | undefined => {
    const all = runs[contender]
    return all === undefined ? undefined : medianRun(all).megabytesPerSecond
  }
  const tailrace = speed('tailrace')
  const limit = Math.max(speed('duckdb') ?? 0, speed('duckdb-small-groups') ?? 0)
  const reference = speed('reference')
  return {
    ...(tailrace === undefined || limit === 0 ? {} : { ofLimit: tailrace / limit }),
    ...(tailrace === undefined || reference === undefined ? {} : { ofReference: tailrace / reference }),
  }
}

/** The results as Markdown, which reads well on a terminal too. */
export function markdownReport(results: BenchResults): string {
  const { machine, throughput, large, small, listing, idle, latency, commits, opening, compaction } = results
  const sections = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${machine.system}; Node ${machine.node}, DuckDB ${machine.duckdb}; load before: ${machine.loadBefore}`,
  ]
  if (throughput !== undefined) {
    sections.push(throughputTable(throughput), ratioLines(throughput.ratios, throughput.skipped.reference))
  }
  if (large !== undefined) sections.push(throughputTable(large))
  if (small !== undefined) sections.push(smallBlobsTable(small), smallBlobsRatio(small))
  if (listing !== undefined) sections.push(listingTable(listing))
  if (idle !== undefined) sections.push(idleTable(idle))
  if (latency !== undefined) {
    sections.push(
      markdownTable(
        ['append to committed row', 'p50 ms', 'p99 ms', 'max ms'],
        [
          [
            `${latency.probes} probes in ${latency.commits} commits`,
            ...[latency.p50Ms, latency.p99Ms, latency.maxMs].map((ms) => ms.toFixed(0)),
          ],
        ],
      ),
    )
  }
  if (commits !== undefined) sections.push(commitsTable(commits))
  if (results.writers !== undefined) sections.push(writersTable(results.writers))
  if (opening !== undefined) sections.push(openingTable(opening))
  if (compaction !== undefined) sections.push(...compactionTables(compaction))
  if (results.databricks !== undefined) sections.push(...databricksSections(results.databricks))
  return sections.join('\n\n')
}

function commitsTable(commits: readonly CommitTimes[]): string {
  return markdownTable(
    [
      'commits at version',
      'median ms',
      'p90 ms',
      'slowest ms',
      'median to the first',
      'p90 to the first',
      'checkpoint ms',
      'beside it, median ms',
    ],
    commits.map(({ version, beside, besideMedianMs, ...times }) => [
      `${times.commits} at ${count(version)}`,
      ...[times.medianMs, times.p90Ms, times.slowestMs].map((ms) => ms.toFixed(1)),
      ...[times.medianToFirst, times.p90ToFirst].map((ratio) => ratio.toFixed(2)),
      times.checkpointMs.toFixed(0),
      besideMedianMs === undefined ? '' : `${besideMedianMs.toFixed(1)} (${beside})`,
    ]),
  )
}

function writersTable(writers: readonly WritersResult[]): string {
  return markdownTable(
    ['processes on one table', 'commits', 'p50 ms', 'p99 ms', 'max ms'],
    writers.map(({ writers, commits, ...times }) => [
      count(writers),
      count(commits),
      ...[times.p50Ms, times.p99Ms, times.maxMs].map((ms) => ms.toFixed(0)),
    ]),
  )
}

function openingTable(opening: readonly OpeningTimes[]): string {
  return markdownTable(
    ['opening at version', 'with checkpoint, ms', 'to the first', 'without, ms', 'to the first'],
    opening.map(({ version, withMs, withToFirst, withoutMs, withoutToFirst }) => [
      count(version),
      ...[withMs, withToFirst, withoutMs, withoutToFirst].map((value) => value.toFixed(1)),
    ]),
  )
}

function compactionTables({ commitsAlone, commitsBeside, ...merged }: CompactionResult): string[] {
  const { files, filesAfter, bytes, optimizeMegabytesPerSecond, duckdbMegabytesPerSecond } = merged
  return [
    markdownTable(
      [`${files} files, ${(bytes / 1e6).toFixed(1)} MB`, 'files after', 'MB/s'],
      [
        ['tailrace optimize', String(filesAfter), optimizeMegabytesPerSecond.toFixed(1)],
        ['DuckDB alone, copying them to one', '1', duckdbMegabytesPerSecond.toFixed(1)],
      ],
    ),
    `Tailrace to DuckDB alone: ${(optimizeMegabytesPerSecond / duckdbMegabytesPerSecond).toFixed(2)}`,
    markdownTable(
      ['commits', 'median ms', 'p95 ms', 'slowest ms'],
      [['alone', commitsAlone] as const, ['beside a merge in the background', commitsBeside] as const].map(
        ([what, { commits, medianMs, p95Ms, slowestMs }]) => [
          `${commits} ${what}`,
          ...[medianMs, p95Ms, slowestMs].map((ms) => ms.toFixed(1)),
        ],
      ),
    ),
  ]
}

function throughputTable({ inputBytes, lines, runs }: ThroughputResult): string {
  const rows = contenders.flatMap((contender) => {
    const all: readonly Run[] = runs[contender] ?? []
    if (all.length === 0) return []
    const { megabytesPerSecond, cpuSecondsPerGigabyte, peakRssMegabytes, serverCpuSeconds } = medianRun(all)
    return [
      [
        titles[contender],
        String(all.length),
        megabytesPerSecond.toFixed(1),
        cpuSecondsPerGigabyte.toFixed(1),
        peakRssMegabytes.toFixed(0),
        serverCpuSeconds === undefined ? '' : (serverCpuSeconds / (inputBytes / 1e9)).toFixed(1),
      ],
    ]
  })
  return markdownTable(
    [sizeText(inputBytes, lines), 'runs', 'MB/s', 'CPU s/GB', 'peak RSS MB', "server's CPU s/GB"],
    rows,
  )
}

function smallBlobsTable({ inputBytes, lines, runs }: SmallBlobsResult): string {
  return markdownTable(
    [`${sizeText(inputBytes, lines)}, as`, 'MB/s', 'CPU s/GB', 'peak RSS MB', 'reads', 'listings'],
    runs.map(({ blobs, megabytesPerSecond, cpuSecondsPerGigabyte, peakRssMegabytes, requests }) => [
      blobs === 1 ? '1 blob' : `${count(blobs)} blobs`,
      megabytesPerSecond.toFixed(1),
      cpuSecondsPerGigabyte.toFixed(1),
      peakRssMegabytes.toFixed(0),
      count(readsOf(requests)),
      count(requests.list),
    ]),
  )
}

function smallBlobsRatio({ runs: [, many], ratio }: SmallBlobsResult): string {
  return `${count(many.blobs)} blobs to one: ${ratio.toFixed(2)}`
}

function listingTable(runs: readonly ListingRun[]): string {
  return markdownTable(
    [
      'blobs under a prefix',
      'blobs',
      'seconds',
      'CPU s',
      'peak RSS MB',
      'bytes per blob',
      'listings',
      'reads',
    ],
    runs.map(({ what, blobs, seconds, cpuSeconds, peakRssBytes, bytesPerBlob, requests }) => [
      listingTitles[what],
      count(blobs),
      seconds.toFixed(1),
      cpuSeconds.toFixed(1),
      (peakRssBytes / 1e6).toFixed(0),
      bytesPerBlob === undefined ? '' : count(Math.round(bytesPerBlob)),
      count(requests.list),
      count(readsOf(requests)),
    ]),
  )
}

function idleTable(results: readonly IdleResult[]): string {
  return markdownTable(
    [
      `${results[0]?.hours ?? 0} virtual hours`,
      'requests per blob and hour',
      'of them 304',
      'reads a day',
      'listings a day',
      '$ a day',
      '$ in 30 days',
    ],
    results.map(({ what, hours, blobs, requests, readsPerDay, listingsPerDay, dollarsPerDay }) => [
      what,
      ((readsOf(requests) + requests.list) / blobs / hours).toFixed(1),
      (requests.unchanged / blobs / hours).toFixed(1),
      count(Math.round(readsPerDay)),
      count(Math.round(listingsPerDay)),
      dollarsPerDay.toFixed(4),
      (dollarsPerDay * 30).toFixed(2),
    ]),
  )
}

/** Everything that is asked of a single blob. */
function readsOf({ read, unchanged, empty, missing }: RequestCounts): number {
  return read + unchanged + empty + missing
}

function count(value: number): string {
  return value.toLocaleString('en')
}

function sizeText(inputBytes: number, lines: number): string {
  return `${(inputBytes / 2 ** 20).toFixed(0)} MiB, ${count(lines)} lines`
}

function ratioLines({ ofLimit, ofReference }: Ratios, skipped: string | undefined): string {
  return [
    ...(ofLimit === undefined ? [] : [`Tailrace to DuckDB alone: ${ofLimit.toFixed(2)}`]),
    ...(ofReference === undefined ? [] : [`Tailrace to the reference: ${ofReference.toFixed(1)}`]),
    ...(skipped === undefined ? [] : [`No reference: ${skipped}`]),
  ].join('\n')
}
