import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RequestCounts } from '../../src/sources/readers/counted-reader.ts'
import { measure, nodeCommand } from '../measured-process.ts'
import { hoursPrefix } from '../servers/served-blobs.ts'
import { whileServing } from '../servers/while-serving.ts'
import { landCommand, tailraceSummary } from '../tailrace-command.ts'

export const listingCases = ['first-latest', 'again', 'first-earliest'] as const
/**
 * What a run has to do: record the end of every blob, as a first run with `latest` does; find that all has landed;
 * or read every blob, as a first run with `earliest` does.
 */
export type ListingCase = (typeof listingCases)[number]

/** One run over a container of many blobs. */
export interface ListingRun {
  readonly what: ListingCase
  readonly blobs: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  readonly requests: RequestCounts
  /** Growth of the peak per blob, compared with the same run over a few blobs; undefined without a comparison. */
  readonly bytesPerBlob?: number
}

const pageNames = 5_000

const line =
  '{"timestamp":"2026-11-24 09:09:31.946 UTC","pid":8397,"session_id":"6b05544b.20cd","line_num":1,"error_severity":"LOG","message":"checkpoint starting: time","backend_type":"checkpointer","query_id":0}\n'

/**
 * Runs Tailrace over prefixes with so many hourly blobs of one line.
 *
 * @param options.counts blobs of the runs that only list, the fewest first: they tell the memory without blobs
 * @param options.readBlobs blobs of the run that reads them all
 * @throws Error when a look took more listing requests than it has pages, or when anything else than due was read
 */
export async function measureListing(
  options: { readonly counts: readonly number[]; readonly readBlobs: number },
  scratch: string,
  say: (text: string) => void,
): Promise<readonly ListingRun[]> {
  const directory = join(scratch, 'listing')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  try {
    const file = join(directory, 'line.ndjson')
    await writeFile(file, line)
    const runs: ListingRun[] = []
    for (const [cases, counts] of [
      [['first-latest', 'again'], options.counts],
      [['first-earliest'], [options.readBlobs]],
    ] as const) {
      for (const blobs of counts) {
        for (const run of await runCases(cases, blobs, { file, directory, scratch })) {
          const few = runs.find(({ what }) => what === run.what)
          const bytesPerBlob = few && (run.peakRssBytes - few.peakRssBytes) / (blobs - few.blobs)
          runs.push({ ...run, ...(bytesPerBlob === undefined ? {} : { bytesPerBlob }) })
          say(
            `listing ${run.what}, ${blobs} blobs: ${run.seconds.toFixed(1)} s, ${(run.peakRssBytes / 1e6).toFixed(0)} MB`,
          )
        }
      }
    }
    return runs
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Runs one case after the other on one table. */
async function runCases(
  cases: readonly ListingCase[],
  blobs: number,
  { file, directory, scratch }: { file: string; directory: string; scratch: string },
): Promise<readonly ListingRun[]> {
  const server = nodeCommand('bench/servers/account-server.ts', [file, 'hours', String(blobs)])
  const runDirectory = join(directory, `${cases[0]}-${blobs}`)
  const { result } = await whileServing(server, scratch, async (connectionString) => {
    const runs: ListingRun[] = []
    for (const what of cases) {
      const coldStart = what === 'first-earliest' ? 'earliest' : 'latest'
      const measured = await measure(
        landCommand(connectionString, { blobs: hoursPrefix, directory: runDirectory, coldStart }),
        scratch,
      )
      const { rows, requests, blobs: landedBlobs } = tailraceSummary(measured)
      const run = {
        what,
        blobs,
        seconds: measured.wallSeconds,
        cpuSeconds: measured.userSeconds + measured.systemSeconds,
        peakRssBytes: measured.peakRssBytes,
        requests,
      }
      check(run, { rows, landedBlobs })
      runs.push(run)
    }
    return runs
  })
  return result
}

function check(
  { what, blobs, requests }: ListingRun,
  found: { readonly rows: number; readonly landedBlobs: number },
): void {
  const due = what === 'first-earliest' ? blobs : 0
  const isWrong =
    requests.list !== Math.ceil(blobs / pageNames) ||
    (requests.read === 0) !== (due === 0) ||
    requests.failed > 0 ||
    found.rows !== due ||
    found.landedBlobs !== blobs
  if (isWrong) {
    const told = JSON.stringify({ ...found, requests })
    throw new Error(`The run ${what} over ${blobs} blobs did not do what it has to: ${told}`)
  }
}
