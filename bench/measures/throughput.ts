import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type Command,
  type Measurement,
  measure,
  nodeCommand,
  projectDirectory,
} from '../measured-process.ts'
import { median } from '../reports/statistics.ts'
import { whileServing } from '../servers/while-serving.ts'
import { tailraceCommand, tailraceSummary } from '../tailrace-command.ts'
import type { LinesFile } from './lines.ts'

export const contenders = ['tailrace', 'duckdb', 'duckdb-small-groups', 'reference'] as const
/** Who is measured: Tailrace, DuckDB alone with its own row groups and with the encoder's, and the reference. */
export type Contender = (typeof contenders)[number]

/** One run of one contender. */
export interface Run {
  readonly megabytesPerSecond: number
  readonly cpuSecondsPerGigabyte: number
  readonly peakRssMegabytes: number
  readonly wallSeconds: number
  /** CPU of the server that sent the blob; not counted as Tailrace's. */
  readonly serverCpuSeconds?: number
}

export interface ThroughputResult {
  readonly inputBytes: number
  readonly lines: number
  readonly runs: Readonly<Partial<Record<Contender, readonly Run[]>>>
  /** Why a contender did not run. */
  readonly skipped: Readonly<Partial<Record<Contender, string>>>
}

/** The blob's name; the server answers to any. */
const servedBlob = 'lines.ndjson'
const megabyte = 1e6
const rowGroupRows = { duckdb: 122_880, 'duckdb-small-groups': 10_240 }

/**
 * Runs the contenders one after the other, round by round, each in a process of its own and into a fresh directory.
 *
 * @param warmUp lines of one more run each, before the first round, that is not counted
 * @throws Error when a contender wrote another number of rows than there are lines
 */
export async function runThroughput(
  lines: LinesFile,
  options: {
    readonly warmUp?: LinesFile
    readonly rounds: number
    readonly who: readonly Contender[]
    readonly scratch: string
    readonly say: (text: string) => void
  },
): Promise<ThroughputResult> {
  const { warmUp, rounds, scratch, say } = options
  const runs: Partial<Record<Contender, Run[]>> = {}
  const skipped: Partial<Record<Contender, string>> = {}
  let python: string | undefined
  if (options.who.includes('reference')) {
    try {
      python = await preparePython()
    } catch (error) {
      skipped.reference = `its Python environment could not be made: ${(error as Error).message.trim().split('\n').at(-1)}`
      say(`reference: skipped, ${skipped.reference}`)
    }
  }
  const who = options.who.filter((contender) => skipped[contender] === undefined)
  for (let round = warmUp === undefined ? 1 : 0; round <= rounds; round += 1) {
    for (const contender of who) {
      const run = await runOnce(contender, round === 0 ? warmUp! : lines, scratch, python)
      say(
        `${round === 0 ? 'warm-up' : `round ${round}`} ${contender}: ${run.megabytesPerSecond.toFixed(1)} MB/s, ` +
          `${run.cpuSecondsPerGigabyte.toFixed(1)} CPU s/GB, ${run.peakRssMegabytes.toFixed(0)} MB`,
      )
      if (round > 0) runs[contender] = [...(runs[contender] ?? []), run]
    }
  }
  return { inputBytes: lines.bytes, lines: lines.lines, runs, skipped }
}

/** The medians of a contender's runs, and of the faster of DuckDB's two. */
export function medianRun(runs: readonly Run[]): Run {
  const of = (value: (run: Run) => number): number => median(runs.map(value))
  return {
    megabytesPerSecond: of((run) => run.megabytesPerSecond),
    cpuSecondsPerGigabyte: of((run) => run.cpuSecondsPerGigabyte),
    // A peak is a promise, so the worst one counts.
    peakRssMegabytes: Math.max(...runs.map((run) => run.peakRssMegabytes)),
    wallSeconds: of((run) => run.wallSeconds),
    ...(runs.every((run) => run.serverCpuSeconds !== undefined)
      ? { serverCpuSeconds: of((run) => run.serverCpuSeconds!) }
      : {}),
  }
}

async function runOnce(
  contender: Contender,
  lines: LinesFile,
  scratch: string,
  python: string | undefined,
): Promise<Run> {
  const directory = join(scratch, contender)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  try {
    if (contender === 'duckdb' || contender === 'duckdb-small-groups') {
      const args = [lines.path, lines.longestLineBytes, lines.lines, rowGroupRows[contender], directory].map(
        String,
      )
      const measured = await measure(nodeCommand('bench/measures/duckdb-limit.ts', args), scratch)
      return checkedRun(contender, lines, measured, summaryOf(measured).rows)
    }
    const rangeServer = nodeCommand('bench/servers/range-server.ts', [lines.path])
    const { result: measured, server } = await whileServing(rangeServer, scratch, (connectionString) => {
      const command =
        contender === 'tailrace'
          ? tailraceCommand(connectionString, { blobs: servedBlob, directory })
          : referenceCommand(python!, connectionString, directory)
      return measure(command, scratch)
    })
    const rows = (contender === 'tailrace' ? tailraceSummary(measured) : summaryOf(measured)).rows
    const serverCpuSeconds = server.userSeconds + server.systemSeconds
    return { ...checkedRun(contender, lines, measured, rows), serverCpuSeconds }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function referenceCommand(python: string, connectionString: string, directory: string): Command {
  return {
    program: python,
    args: ['bench/reference/reference.py', 'logs', servedBlob, directory],
    env: { CONNECTION_STRING: connectionString },
  }
}

async function preparePython(): Promise<string> {
  const script = join(projectDirectory, 'bench', 'reference', 'prepare.sh')
  const { stdout } = await promisify(execFile)('sh', [script])
  const python = stdout.trim()
  return python
}

function checkedRun(contender: Contender, lines: LinesFile, measured: Measurement, rows: number): Run {
  if (rows !== lines.lines) {
    throw new Error(`${contender} wrote ${rows} rows of ${lines.lines} lines.`)
  }
  return {
    megabytesPerSecond: lines.bytes / megabyte / measured.wallSeconds,
    cpuSecondsPerGigabyte: (measured.userSeconds + measured.systemSeconds) / (lines.bytes / 1e9),
    peakRssMegabytes: measured.peakRssBytes / megabyte,
    wallSeconds: measured.wallSeconds,
  }
}

function summaryOf({ stdout }: Measurement): { readonly rows: number } {
  return JSON.parse(stdout) as { rows: number }
}
