import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RequestCounts } from '../../src/sources/readers/counted-reader.ts'
import { measure, nodeCommand } from '../measured-process.ts'
import { pieceName, piecesPrefix } from '../servers/served-blobs.ts'
import { whileServing } from '../servers/while-serving.ts'
import { landCommand, summariesOf } from '../tailrace-command.ts'
import type { LinesFile } from './lines.ts'
import { outputOf } from './output.ts'
import { orderInRound } from './rounds.ts'

/** The same lines as one blob, as many blobs under a prefix, and as two blobs that a pipeline each lands at once. */
export type BlobsCase = 'one' | 'many' | 'two-pipelines'

/** One run: a whole process, its start included. */
export interface BlobsRun {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  /** By pipeline. */
  readonly requests: Readonly<Record<string, RequestCounts>>
}

export interface BlobsResult {
  readonly inputBytes: number
  readonly lines: number
  /** Blobs of the case `many`. */
  readonly blobs: number
  /** Of each case, one run per round. */
  readonly runs: Readonly<Record<BlobsCase, readonly BlobsRun[]>>
}

/**
 * Runs Tailrace over the same lines in three layouts, in turns, into fresh tables each time.
 *
 * @throws Error when the tables of a run have another number of rows than there are lines
 */
export async function measureBlobs(
  lines: LinesFile,
  options: { readonly blobs: number; readonly rounds: number; readonly scratch: string },
  say: (text: string) => void,
): Promise<BlobsResult> {
  const runs: Record<BlobsCase, BlobsRun[]> = { one: [], many: [], 'two-pipelines': [] }
  const cases = Object.keys(runs) as BlobsCase[]
  for (let round = 0; round < options.rounds; round += 1) {
    for (const name of orderInRound(cases, round)) {
      const run = await runOnce(lines, name, options)
      runs[name].push(run)
      say(
        `round ${round + 1}, blobs, ${name}: ${(lines.bytes / 1e6 / run.wallSeconds).toFixed(1)} MB/s, ` +
          `${(run.peakRssBytes / 1e6).toFixed(0)} MB`,
      )
    }
  }
  return { inputBytes: lines.bytes, lines: lines.lines, blobs: options.blobs, runs }
}

async function runOnce(
  lines: LinesFile,
  name: BlobsCase,
  { blobs, scratch }: { readonly blobs: number; readonly scratch: string },
): Promise<BlobsRun> {
  const directory = join(scratch, 'blobs')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const pieces = { one: 1, many: blobs, 'two-pipelines': 2 }[name]
  const server = nodeCommand('bench/servers/account-server.ts', [lines.path, 'pieces', String(pieces)])
  try {
    const { result: measured } = await whileServing(server, scratch, (connectionString) =>
      measure(
        landCommand(connectionString, {
          directory,
          blobs: name === 'many' ? piecesPrefix : pieceName(0),
          replicaBlobs: name === 'two-pipelines' ? pieceName(1) : undefined,
        }),
        scratch,
      ),
    )
    const { rows } = await outputOf(directory)
    if (rows !== lines.lines)
      throw new Error(`Of ${lines.lines} lines in ${pieces} blobs ${rows} were landed.`)
    const summaries = Object.entries(summariesOf(measured))
    return {
      wallSeconds: measured.wallSeconds,
      cpuSeconds: measured.userSeconds + measured.systemSeconds,
      peakRssBytes: measured.peakRssBytes,
      requests: Object.fromEntries(summaries.map(([pipeline, { requests }]) => [pipeline, requests])),
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
