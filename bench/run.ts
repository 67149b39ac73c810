/**
 * `pnpm bench`: measures everything in one go, prints the tables, and writes bench/.work/results.json.
 *
 * It fails when something did not run or a count does not match, never because of a time.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { projectDirectory } from './measured-process.ts'
import { measureCommits } from './measures/commits.ts'
import { measureCompaction } from './measures/compaction.ts'
import { measureDatabricks } from './measures/databricks.ts'
import { measureIdle } from './measures/idle.ts'
import { measureLatency } from './measures/latency.ts'
import { type LinesFile, makeLines, takeLines } from './measures/lines.ts'
import { measureListing } from './measures/listing.ts'
import { measureOpening } from './measures/opening.ts'
import { measureSmallBlobs } from './measures/small-blobs.ts'
import { contenders, runThroughput, type ThroughputResult } from './measures/throughput.ts'
import { measureWriters } from './measures/writers.ts'
import { machineFacts } from './reports/machine.ts'
import { type BenchResults, markdownReport, ratiosOf } from './reports/report.ts'

const usage = `pnpm bench [options]
  --only LIST        of throughput, large, small, listing, idle, latency, commits,
                     writers, opening, compaction, databricks; default all
  --mib N            size of the throughput, small and databricks inputs in MiB; default 512
  --input FILE       this NDJSON file instead of one made of the sample
  --rounds N         rounds of what takes turns; default 3
  --large-mib N      size of the large input in MiB; default 4096
  --smoke            small and short, to see that everything runs
`

const parts = [
  'throughput',
  'large',
  'small',
  'listing',
  'idle',
  'latency',
  'commits',
  'writers',
  'opening',
  'compaction',
  'databricks',
] as const
type Part = (typeof parts)[number]

const full = {
  mib: 512,
  rounds: 3,
  warmUpMib: 64,
  largeMib: 4096,
  small: { mib: 512, blobs: 1_000 },
  listing: { counts: [10, 200_000], readBlobs: 5_000 },
  idleHours: 24,
  compactionMib: 64,
  latencySeconds: 60,
  versions: [10, 1_000, 20_000],
  writers: { counts: [1, 2, 4], commits: 200 },
  databricks: { mib: 512, mergeMib: 64 },
}
const smoke: typeof full = {
  mib: 32,
  rounds: 1,
  warmUpMib: 0,
  largeMib: 64,
  small: { mib: 4, blobs: 40 },
  listing: { counts: [6_000], readBlobs: 20 },
  idleHours: 0.5,
  compactionMib: 2,
  latencySeconds: 10,
  versions: [10, 50, 200],
  writers: { counts: [2], commits: 10 },
  databricks: { mib: 4, mergeMib: 2 },
}

/** Source bytes of a small file to merge: the output of a quiet server in some minutes. */
const compactionBatchBytes = 256 * 1024

const work = join(projectDirectory, 'bench', '.work')

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      mib: { type: 'string' },
      input: { type: 'string' },
      rounds: { type: 'string' },
      'large-mib': { type: 'string' },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const sizes = values.smoke ? smoke : full
  const only = partsOf(values.only)
  const rounds = countOf(values.rounds, sizes.rounds)
  const machine = machineFacts()
  const scratch = join(work, 'scratch')
  await mkdir(scratch, { recursive: true })

  const linesOf = (mib: number): Promise<LinesFile> =>
    values.input === undefined ? makeLines(mib, work) : takeLines(resolve(values.input))
  const throughput = async (): Promise<ThroughputResult> =>
    runThroughput(await linesOf(countOf(values.mib, sizes.mib)), {
      ...(sizes.warmUpMib === 0 ? {} : { warmUp: await makeLines(sizes.warmUpMib, work) }),
      rounds,
      who: contenders,
      scratch,
      say,
    })
  const large = async (): Promise<ThroughputResult> =>
    runThroughput(await makeLines(countOf(values['large-mib'], sizes.largeMib), work), {
      rounds: 1,
      who: ['tailrace'],
      scratch,
      say,
    })

  let results: BenchResults = { machine }
  if (only.has('throughput')) {
    const measured = await throughput()
    results = { ...results, throughput: { ...measured, ratios: ratiosOf(measured) } }
  }
  if (only.has('large')) results = { ...results, large: await large() }
  if (only.has('small')) {
    const lines = await linesOf(countOf(values.mib, sizes.small.mib))
    results = {
      ...results,
      small: await measureSmallBlobs(lines, { blobs: sizes.small.blobs, rounds, scratch }, say),
    }
  }
  if (only.has('listing')) {
    results = { ...results, listing: await measureListing(sizes.listing, scratch, say) }
  }
  if (only.has('idle')) results = { ...results, idle: await measureIdle(sizes.idleHours, scratch) }
  if (only.has('latency')) {
    results = { ...results, latency: await measureLatency(sizes.latencySeconds, scratch) }
  }
  if (only.has('commits')) {
    results = { ...results, commits: await measureCommits(sizes.versions, { rounds, scratch }, say) }
  }
  if (only.has('writers')) {
    results = { ...results, writers: await measureWriters(sizes.writers, scratch, say) }
  }
  if (only.has('opening')) {
    results = { ...results, opening: await measureOpening(sizes.versions, { rounds, scratch }, say) }
  }
  if (only.has('compaction')) {
    const compaction = await measureCompaction(await linesOf(sizes.compactionMib), {
      batchBytes: compactionBatchBytes,
      rounds,
      scratch,
    })
    results = { ...results, compaction }
  }
  if (only.has('databricks')) {
    const databricks = await measureDatabricks(
      {
        files: await linesOf(countOf(values.mib, sizes.databricks.mib)),
        merge: await makeLines(sizes.databricks.mergeMib, work),
      },
      { rounds, scratch },
      say,
    )
    results = { ...results, databricks }
  }

  const file = join(work, 'results.json')
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
  process.stdout.write(`${markdownReport(results)}\n`)
  say(`results: ${file}`)
}

function partsOf(list: string | undefined): ReadonlySet<Part> {
  if (list === undefined) return new Set(parts)
  const chosen = list.split(',')
  const unknown = chosen.filter((name) => !parts.includes(name as Part))
  if (unknown.length > 0)
    throw new Error(`There is no part ${unknown.join(', ')}; there are ${parts.join(', ')}.`)
  return new Set(chosen as Part[])
}

function countOf(text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${text} is not a whole number from 1 on.`)
  return value
}

/** Progress goes to stderr, so that stdout is the report alone. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

await main()
