import type { CommitTimes } from '../measures/commits.ts'
import type { CompactionResult } from '../measures/compaction.ts'
import type { IdleResult } from '../measures/idle.ts'
import type { ListingCase, ListingRun } from '../measures/listing.ts'
import type { OpeningTimes } from '../measures/opening.ts'
import type { WritersResult } from '../measures/writers.ts'
import { type BenchResults, type Measured, parts } from '../parts.ts'
import { databricksCounts, databricksSpeeds } from './databricks-report.ts'
import { markdownTable } from './markdown-table.ts'
import { pageSection } from './page-report.ts'
import { count, readsOf } from './quantities.ts'
import {
  blobsSection,
  latencySection,
  memorySection,
  startSection,
  throughputSection,
} from './speed-report.ts'

const listingTitles: Readonly<Record<ListingCase, string>> = {
  'first-latest': 'first run, `latest`',
  again: 'again: all has landed',
  'first-earliest': 'first run, `earliest`',
}

/** The sections of the report, each by the name of its place in the pages; undefined where nothing of it ran. */
const sections = {
  conditions: conditionsSection,
  throughput: ({ throughput }) => throughput && throughputSection(throughput.result),
  large: ({ large }) => large && throughputSection(large.result),
  memory: memorySection,
  blobs: ({ blobs }) => blobs && blobsSection(blobs.result),
  listing: ({ listing }) => listing && listingTable(listing.result),
  idle: ({ idle }) => idle && idleTable(idle.result),
  latency: ({ latency }) => latency && latencySection(latency.result),
  start: ({ start }) => start && startSection(start.result),
  commits: ({ commits }) => commits && commitsTable(commits.result),
  writers: ({ writers }) => writers && writersTable(writers.result),
  opening: ({ opening }) => opening && openingTable(opening.result),
  compaction: ({ compaction }) => compaction && compactionTables(compaction.result).join('\n\n'),
  databricks: ({ databricks }) => databricks && databricksSpeeds(databricks.result).join('\n\n'),
  page: ({ page }) => page && pageSection(page.result),
  'databricks-counts': ({ databricks }) => databricks && databricksCounts(databricks.result).join('\n\n'),
} as const satisfies Readonly<Record<string, (results: BenchResults) => string | undefined>>

/** The text of each section whose part ran, as Markdown. */
export function reportSections(results: BenchResults): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(sections).flatMap(([name, section]) => {
      const text = section(results)
      return text === undefined ? [] : [[name, text] as const]
    }),
  )
}

/** The results as Markdown, which reads well on a terminal too. */
export function markdownReport(results: BenchResults): string {
  return [...reportSections(results).values()].join('\n\n')
}

/** Parts that were measured on the same day under the same conditions share a line. */
function conditionsSection(results: BenchResults): string | undefined {
  const lines = new Map<string, string[]>()
  for (const part of parts) {
    const measured = results[part]
    if (measured === undefined) continue
    const text = conditionsText(measured)
    lines.set(text, [...(lines.get(text) ?? []), part])
  }
  if (lines.size === 0) return undefined
  return [...lines].map(([text, names]) => `- ${names.join(', ')}: ${text}`).join('\n')
}

function conditionsText({ machine, rounds, isSmoke }: Measured<unknown>): string {
  const { cpu, cores, memoryGib, system, node, duckdb, loadBefore, measuredAt } = machine
  return `${measuredAt.slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGib} GiB, ${system}; Node ${node}, DuckDB ${duckdb}; load before ${loadBefore}; rounds: ${rounds}${isSmoke ? '; in small' : ''}`
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
