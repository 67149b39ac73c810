import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RequestCounts } from '../../src/sources/readers/counted-reader.ts'
import { measure, nodeCommand } from '../measured-process.ts'
import { median } from '../reports/statistics.ts'
import { pieceName, piecesPrefix } from '../servers/served-blobs.ts'
import { whileServing } from '../servers/while-serving.ts'
import { tailraceCommand, tailraceSummary } from '../tailrace-command.ts'
import type { LinesFile } from './lines.ts'

/** The same bytes read from so many blobs; speed and CPU are medians, the peak is the worst. */
export interface SmallBlobsRun {
  readonly blobs: number
  readonly megabytesPerSecond: number
  readonly cpuSecondsPerGigabyte: number
  readonly peakRssMegabytes: number
  /** Of the last run. */
  readonly requests: RequestCounts
}

export interface SmallBlobsResult {
  readonly inputBytes: number
  readonly lines: number
  readonly runs: readonly [one: SmallBlobsRun, many: SmallBlobsRun]
  /** The speed from many blobs by that from one. */
  readonly ratio: number
}

type SingleRun = Omit<SmallBlobsRun, 'blobs'>

const megabyte = 1e6

/**
 * Runs Tailrace over a file as one blob and cut into many, in turns, into a fresh table each time.
 *
 * @throws Error when a run landed another number of rows than there are lines
 */
export async function measureSmallBlobs(
  lines: LinesFile,
  options: { readonly blobs: number; readonly rounds: number; readonly scratch: string },
  say: (text: string) => void,
): Promise<SmallBlobsResult> {
  const all = new Map<number, SingleRun[]>([
    [1, []],
    [options.blobs, []],
  ])
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const [blobs, runs] of all) {
      const run = await runOnce(lines, blobs, options.scratch)
      runs.push(run)
      say(
        `round ${round}, ${blobs} ${blobs === 1 ? 'blob' : 'blobs'}: ${run.megabytesPerSecond.toFixed(1)} MB/s`,
      )
    }
  }
  const one = medianRun(1, all.get(1)!)
  const many = medianRun(options.blobs, all.get(options.blobs)!)
  return {
    inputBytes: lines.bytes,
    lines: lines.lines,
    runs: [one, many],
    ratio: many.megabytesPerSecond / one.megabytesPerSecond,
  }
}

async function runOnce(lines: LinesFile, blobs: number, scratch: string): Promise<SingleRun> {
  const directory = join(scratch, 'small')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const server = nodeCommand('bench/servers/account-server.ts', [lines.path, 'pieces', String(blobs)])
  try {
    const { result: measured } = await whileServing(server, scratch, (connectionString) =>
      measure(
        tailraceCommand(connectionString, { blobs: blobs === 1 ? pieceName(0) : piecesPrefix, directory }),
        scratch,
      ),
    )
    const { rows, requests } = tailraceSummary(measured)
    if (rows !== lines.lines)
      throw new Error(`Of ${lines.lines} lines in ${blobs} blobs ${rows} were landed.`)
    return {
      megabytesPerSecond: lines.bytes / megabyte / measured.wallSeconds,
      cpuSecondsPerGigabyte: (measured.userSeconds + measured.systemSeconds) / (lines.bytes / 1e9),
      peakRssMegabytes: measured.peakRssBytes / megabyte,
      requests,
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function medianRun(blobs: number, runs: readonly SingleRun[]): SmallBlobsRun {
  return {
    blobs,
    megabytesPerSecond: median(runs.map((run) => run.megabytesPerSecond)),
    cpuSecondsPerGigabyte: median(runs.map((run) => run.cpuSecondsPerGigabyte)),
    peakRssMegabytes: Math.max(...runs.map((run) => run.peakRssMegabytes)),
    requests: runs.at(-1)!.requests,
  }
}
