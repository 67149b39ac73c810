import type { CommitTimes } from '../measures/commits.ts'
import type { Contender } from '../measures/contenders.ts'
import type { LandingRun } from '../measures/databricks.ts'
import type { ThroughputResult } from '../measures/throughput.ts'
import type { BenchResults } from '../parts.ts'
import { markdownTable } from './markdown-table.ts'
import { megabytes } from './quantities.ts'
import { blobsRatio, medianOf, speedRatio } from './speed-report.ts'

/** Labels of the rows, in their order. */
const labels = {
  byHand: 'speed relative to DuckDB with SQL by hand, from a local file to Parquet',
  unusual: "the same with `keepRaw: 'unusual'`",
  cpu: "CPU seconds per GB of logs: Tailrace, with `keepRaw: 'unusual'`, and that DuckDB",
  spark: 'speed relative to Spark `local[2]`, its second load of the same file into a Delta table',
  reference: 'speed relative to a plain Python design (`json.loads`, `pyarrow`, `deltalake`)',
  memory: 'peak memory: one blob, 1,000 small blobs, two pipelines at once',
  smallBlobs: 'speed with 1,000 small blobs relative to one large blob',
  large: '4 GiB, from blob to Delta table',
  latency: 'from append to committed row, polling and flushing every 250 ms',
  start: 'from the start of the process until it follows its blobs',
  commits: 'a commit at table version 10 and at 20,000',
  databricks:
    "speed of the Databricks sink relative to a local Delta table (the warehouse's own load made instant)",
} as const

/**
 * The README's table of results. A row whose part was not measured keeps its value.
 *
 * @param table the table as it is
 */
export function readmeRows(results: BenchResults, table: string): string {
  const measured = valuesOf(results)
  const rows = (Object.keys(labels) as (keyof typeof labels)[]).flatMap((name) => {
    const value = measured[name] ?? currentValue(table, labels[name])
    return value === undefined ? [] : [[labels[name], value]]
  })
  return markdownTable(['measure', 'result'], rows)
}

function currentValue(table: string, label: string): string | undefined {
  const rows = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  return rows.find((cells) => cells[1] === label)?.[2]
}

function valuesOf(results: BenchResults): Readonly<Record<keyof typeof labels, string | undefined>> {
  const throughput = results.throughput?.result
  const blobs = results.blobs?.result
  const large = results.large?.result
  const latency = results.latency?.result.find(({ areDefaults }) => !areDefaults)
  const start = results.start?.result
  const commits = results.commits?.result
  return {
    byHand: throughput && ratioTo(throughput, 'tailrace', 'duckdb-by-hand'),
    unusual: throughput && ratioTo(throughput, 'tailrace-unusual', 'duckdb-by-hand'),
    cpu: throughput && cpuText(throughput),
    spark: throughput && ratioTo(throughput, 'tailrace', 'spark-warm'),
    reference: throughput && ratioTo(throughput, 'tailrace', 'reference'),
    memory:
      throughput?.runs.tailrace &&
      blobs &&
      peaksText([throughput.runs.tailrace, blobs.runs.many, blobs.runs['two-pipelines']]),
    smallBlobs: blobs && blobsRatio(blobs, 'many').toFixed(2),
    large:
      large?.runs.tailrace &&
      `${(large.inputBytes / 1e6 / medianOf(large.runs.tailrace, 'wallSeconds')).toFixed(0)} MB/s`,
    latency: latency && `p50 ${seconds(latency.p50Ms)} s, p99 ${seconds(latency.p99Ms)} s`,
    start: start && `${medianOf(start.runs.start, 'wallSeconds').toFixed(1)} s`,
    commits: commits && commitsText(commits),
    databricks: results.databricks && landingsText(results.databricks.result.files.runs),
  }
}

function ratioTo(throughput: ThroughputResult, contender: Contender, other: Contender): string | undefined {
  return speedRatio(throughput, contender, other)?.ratio.toFixed(2)
}

function cpuText({ inputBytes, runs }: ThroughputResult): string | undefined {
  const all = [runs.tailrace, runs['tailrace-unusual'], runs['duckdb-by-hand']]
  if (all.includes(undefined)) return undefined
  const texts = all.map((each) => (medianOf(each!, 'cpuSeconds') / (inputBytes / 1e9)).toFixed(0))
  return `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`
}

/** The worst run of each case. */
function peaksText(cases: readonly (readonly { readonly peakRssBytes: number }[])[]): string {
  const peaks = cases.map((runs) => megabytes(Math.max(...runs.map((run) => run.peakRssBytes))))
  return `${peaks.slice(0, -1).join(', ')} and ${peaks.at(-1)} MB`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}

/** At the first and the last version. */
function commitsText(commits: readonly CommitTimes[]): string {
  return `${commits[0]!.medianMs.toFixed(1)} and ${commits.at(-1)!.medianMs.toFixed(1)} ms`
}

function landingsText(runs: readonly LandingRun[]): string {
  const ratios = runs.filter(({ landing }) => landing !== 'delta').map(({ toDelta }) => toDelta)
  return `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
}
