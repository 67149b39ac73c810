import type { BlobsCase, BlobsResult, BlobsRun } from '../measures/blobs.ts'
import { type Contender, contenders, definitions } from '../measures/contenders.ts'
import type { LatencyResult } from '../measures/latency.ts'
import type { StartCase, StartResult } from '../measures/start.ts'
import type { Run, ThroughputResult } from '../measures/throughput.ts'
import type { BenchResults } from '../parts.ts'
import { markdownTable } from './markdown-table.ts'
import { count, megabytes, readsOf, sizeText } from './quantities.ts'
import { median } from './statistics.ts'

/** The peak that Tailrace has to stay below, in all cases. */
const maxPeakBytes = 300e6

/** The first contender's speed by that of the second: how often its wall time is contained in the other's. */
export interface SpeedRatio {
  /** Of the medians. */
  readonly ratio: number
  /** The smallest and the largest of single rounds, whose runs were minutes apart. */
  readonly lowest: number
  readonly highest: number
}

/** @returns undefined where one did not run */
export function speedRatio(
  { runs }: ThroughputResult,
  contender: Contender,
  other: Contender,
): SpeedRatio | undefined {
  const [mine, theirs] = [runs[contender], runs[other]]
  if (mine === undefined || theirs === undefined) return undefined
  const rounds = mine.map(({ wallSeconds }, round) => theirs[round]!.wallSeconds / wallSeconds)
  return {
    ratio: medianOf(theirs, 'wallSeconds') / medianOf(mine, 'wallSeconds'),
    lowest: Math.min(...rounds),
    highest: Math.max(...rounds),
  }
}

/** The headline, the table and the other ratios. */
export function throughputSection(result: ThroughputResult): string {
  const { inputBytes, lines, runs, versions, skipped } = result
  const gigabytes = inputBytes / 1e9
  const byHand = runs['duckdb-by-hand']
  const rows = contenders.flatMap((contender) => {
    const all: readonly Run[] = runs[contender] ?? []
    if (all.length === 0) return []
    const seconds = medianOf(all, 'wallSeconds')
    const server = all.map(({ serverCpuSeconds }) => serverCpuSeconds).filter((value) => value !== undefined)
    return [
      [
        definitions[contender].title,
        String(all.length),
        seconds.toFixed(1),
        (inputBytes / 1e6 / seconds).toFixed(1),
        byHand === undefined ? '' : (medianOf(byHand, 'wallSeconds') / seconds).toFixed(2),
        (medianOf(all, 'cpuSeconds') / gigabytes).toFixed(1),
        peakOf(all),
        megabytes(medianOf(all, 'outputBytes')),
        server.length === 0 ? '' : (median(server) / gigabytes).toFixed(1),
      ],
    ]
  })
  const table = markdownTable(
    [
      sizeText(inputBytes, lines),
      'runs',
      'seconds',
      'MB/s',
      'to SQL by hand',
      'CPU s/GB',
      'peak RSS MB',
      'output MB',
      "server's CPU s/GB",
    ],
    rows,
  )
  const different = [...new Set(Object.values(versions).flatMap((text) => text.split(', ')))]
  const notes = [
    ...(different.length === 0 ? [] : [`Versions: ${different.join(', ')}.`]),
    ...Object.entries(skipped).map(([contender, reason]) => `Not measured: ${contender}, because ${reason}`),
  ]
  return [headline(result), table, otherRatios(result), notes.join('\n')]
    .filter((text) => text !== '')
    .join('\n\n')
}

function headline(result: ThroughputResult): string {
  const ratio = speedRatio(result, 'tailrace', 'duckdb-by-hand')
  const unusual = speedRatio(result, 'tailrace-unusual', 'duckdb-by-hand')
  return [
    ...(ratio === undefined ? [] : [`**Tailrace to DuckDB with SQL by hand: ${ratioText(ratio)}.**`]),
    ...(unusual === undefined ? [] : [`With \`keepRaw: 'unusual'\`: ${ratioText(unusual)}.`]),
  ].join(' ')
}

function otherRatios(result: ThroughputResult): string {
  const others = [
    ['the second load of Spark', 'spark-warm'],
    ['the Python reference', 'reference'],
  ] as const
  return others
    .flatMap(([name, other]) => {
      const ratio = speedRatio(result, 'tailrace', other)
      return ratio === undefined ? [] : [`Tailrace to ${name}: ${ratioText(ratio)}.`]
    })
    .join(' ')
}

function ratioText({ ratio, lowest, highest }: SpeedRatio): string {
  return `${ratio.toFixed(2)} (single rounds ${lowest.toFixed(2)} to ${highest.toFixed(2)})`
}

const blobsTitles: Readonly<Record<BlobsCase, (blobs: number) => string>> = {
  one: () => '1 blob',
  many: (blobs) => `${count(blobs)} blobs under a prefix`,
  'two-pipelines': () => '2 blobs, 2 pipelines at once',
}

/** The speed of a case by that of one blob. */
export function blobsRatio({ runs }: BlobsResult, name: BlobsCase): number {
  return medianOf(runs.one, 'wallSeconds') / medianOf(runs[name], 'wallSeconds')
}

export function blobsSection(result: BlobsResult): string {
  const { inputBytes, lines, blobs, runs } = result
  const cases = Object.entries(runs) as [BlobsCase, readonly BlobsRun[]][]
  return markdownTable(
    [
      `${sizeText(inputBytes, lines)}, as`,
      'runs',
      'MB/s',
      'to 1 blob',
      'CPU s/GB',
      'peak RSS MB',
      'reads',
      'listings',
    ],
    cases.map(([name, all]) => {
      const requests = Object.values(all.at(-1)!.requests)
      const sum = (values: readonly number[]): string =>
        count(values.reduce((total, value) => total + value, 0))
      return [
        blobsTitles[name](blobs),
        String(all.length),
        (inputBytes / 1e6 / medianOf(all, 'wallSeconds')).toFixed(1),
        blobsRatio(result, name).toFixed(2),
        (medianOf(all, 'cpuSeconds') / (inputBytes / 1e9)).toFixed(1),
        peakOf(all),
        sum(requests.map(readsOf)),
        sum(requests.map(({ list }) => list)),
      ]
    }),
  )
}

export function latencySection(results: readonly LatencyResult[]): string {
  return markdownTable(
    ['append to committed row', 'probes', 'commits', 'p50 ms', 'p99 ms', 'max ms', 'poll + flush ms'],
    results.map(({ pollMs, flushMs, areDefaults, probes, commits, p50Ms, p99Ms, maxMs }) => [
      `${areDefaults ? 'defaults: ' : ''}poll ${count(pollMs)} ms, flush ${count(flushMs)} ms`,
      count(probes),
      count(commits),
      ...[p50Ms, p99Ms, maxMs].map((ms) => count(Math.round(ms))),
      count(pollMs + flushMs),
    ]),
  )
}

const startTitles: Readonly<Record<StartCase, string>> = {
  help: '`tailrace --help`',
  version: '`tailrace --version`',
  start: '`tailrace start`, until it is ready',
}

export function startSection({ runs }: StartResult): string {
  return markdownTable(
    ['medians', 'runs', 'seconds', 'CPU s', 'peak RSS MB'],
    (Object.keys(runs) as StartCase[]).map((name) => [
      startTitles[name],
      String(runs[name].length),
      medianOf(runs[name], 'wallSeconds').toFixed(2),
      medianOf(runs[name], 'cpuSeconds').toFixed(2),
      peakOf(runs[name]),
    ]),
  )
}

/** The peak of Tailrace in each case that ran. A peak is a promise, so the worst run counts. */
export function memorySection(results: BenchResults): string | undefined {
  const { throughput, large, blobs, latency } = results
  const cases: [string, readonly { readonly peakRssBytes: number }[]][] = []
  for (const { result } of [throughput, large].filter((measured) => measured !== undefined)) {
    const title = `${sizeText(result.inputBytes, result.lines)}, 1 blob`
    cases.push([title, result.runs.tailrace ?? []])
    cases.push([`${title}, \`keepRaw: 'unusual'\``, result.runs['tailrace-unusual'] ?? []])
  }
  if (blobs !== undefined) {
    const { inputBytes, lines, runs } = blobs.result
    for (const name of ['many', 'two-pipelines'] as const) {
      cases.push([`${sizeText(inputBytes, lines)}, ${blobsTitles[name](blobs.result.blobs)}`, runs[name]])
    }
  }
  for (const { pollMs, flushMs, peakRssBytes } of latency?.result ?? []) {
    const title = `4 lines a second, poll ${count(pollMs)} ms, flush ${count(flushMs)} ms`
    cases.push([title, [{ peakRssBytes }]])
  }
  const rows = cases
    .filter(([, all]) => all.length > 0)
    .map(([title, all]) => {
      const peak = Math.max(...all.map(({ peakRssBytes }) => peakRssBytes))
      return [
        title,
        String(all.length),
        megabytes(peak),
        megabytes(maxPeakBytes),
        (peak / maxPeakBytes).toFixed(2),
      ]
    })
  if (rows.length === 0) return undefined
  return markdownTable(['peak memory of Tailrace', 'runs', 'VmHWM MB', 'goal MB', 'to the goal'], rows)
}

export function medianOf<Name extends string>(
  runs: readonly { readonly [Key in Name]: number }[],
  name: Name,
): number {
  return median(runs.map((run) => run[name]))
}

/** The worst of all runs, in MB. */
function peakOf(runs: readonly { readonly peakRssBytes: number }[]): string {
  return megabytes(Math.max(...runs.map(({ peakRssBytes }) => peakRssBytes)))
}
