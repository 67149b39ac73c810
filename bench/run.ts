/**
 * `pnpm bench`: measures everything in one go, prints the tables, and writes bench/.work/results.json.
 *
 * It fails when something did not run or a count does not match, never because of a time.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { projectDirectory } from './measured-process.ts'
import { measureBlobs } from './measures/blobs.ts'
import { measureCommits } from './measures/commits.ts'
import { measureCompaction } from './measures/compaction.ts'
import { type Contender, contenders } from './measures/contenders.ts'
import { measureDatabricks } from './measures/databricks.ts'
import { measureIdle } from './measures/idle.ts'
import { measureLatencies } from './measures/latency.ts'
import { type LinesFile, makeLines, takeLines } from './measures/lines.ts'
import { measureListing } from './measures/listing.ts'
import { measureOpening } from './measures/opening.ts'
import { measurePage } from './measures/page.ts'
import { measureStart } from './measures/start.ts'
import { runThroughput } from './measures/throughput.ts'
import { measureWriters } from './measures/writers.ts'
import { type BenchResults, type Part, type PartResults, parts } from './parts.ts'
import { profileTailrace } from './profile/profile.ts'
import { machineFacts } from './reports/machine.ts'
import { publish } from './reports/publish.ts'
import { markdownReport } from './reports/report.ts'

const usage = `pnpm bench [options]
  --only LIST        of ${parts.slice(0, 7).join(', ')},
                     ${parts.slice(7).join(', ')}; default all
  --who LIST         contenders of the throughput part, of
                     ${contenders.join(', ')}
  --mib N            size of the throughput, blobs and databricks inputs in MiB; default 512
  --input FILE       this NDJSON file instead of one made of the sample
  --rounds N         rounds of what takes turns; default 5
  --large-mib N      size of the large input in MiB; default 4096
  --smoke            small and short, to see that everything runs
  --publish          measure nothing: put the results of the last run into
                     bench/results, docs/benchmarks.md, bench/README.md and README.md
  --profile          measure nothing: run Tailrace once and print the CPU time of its parts
`

const full = {
  mib: 512,
  rounds: 5,
  warmUpMib: 64,
  largeMib: 4096,
  blobs: { mib: 512, count: 1_000 },
  listing: { counts: [10, 200_000], readBlobs: 5_000 },
  idleHours: 24,
  compactionMib: 64,
  latency: { seconds: 60, defaultSeconds: 240 },
  startMib: 1,
  versions: [10, 1_000, 20_000],
  writers: { counts: [1, 2, 4], commits: 200 },
  databricks: { mib: 512, mergeMib: 64 },
  page: { rows: 100_000_000, days: 30, landingMib: 512 },
}
const smoke: typeof full = {
  mib: 8,
  rounds: 1,
  warmUpMib: 0,
  largeMib: 64,
  blobs: { mib: 4, count: 40 },
  listing: { counts: [6_000], readBlobs: 20 },
  idleHours: 0.5,
  compactionMib: 2,
  latency: { seconds: 5, defaultSeconds: 0 },
  startMib: 1,
  versions: [10, 50, 200],
  writers: { counts: [2], commits: 10 },
  databricks: { mib: 4, mergeMib: 2 },
  page: { rows: 200_000, days: 4, landingMib: 4 },
}

/** Source bytes of a small file to merge: the output of a quiet server in some minutes. */
const compactionBatchBytes = 256 * 1024

const work = join(projectDirectory, 'bench', '.work')

/** Everything that a part needs. */
interface BenchContext {
  readonly sizes: typeof full
  readonly rounds: number
  readonly who: readonly Contender[]
  readonly scratch: string
  readonly mib: (otherwise: number) => number
  readonly largeMib: number
  readonly linesOf: (mib: number) => Promise<LinesFile>
}

const measures: { readonly [Name in Part]: (context: BenchContext) => Promise<PartResults[Name]> } = {
  throughput: async ({ sizes, rounds, who, scratch, mib, linesOf }) =>
    runThroughput(await linesOf(mib(sizes.mib)), {
      warmUp: sizes.warmUpMib === 0 ? undefined : await makeLines(sizes.warmUpMib, work),
      rounds,
      who,
      scratch,
      say,
    }),
  large: async ({ scratch, largeMib }) =>
    runThroughput(await makeLines(largeMib, work), { rounds: 1, who: ['tailrace'], scratch, say }),
  blobs: async ({ sizes, rounds, scratch, mib, linesOf }) =>
    measureBlobs(await linesOf(mib(sizes.blobs.mib)), { blobs: sizes.blobs.count, rounds, scratch }, say),
  listing: ({ sizes, scratch }) => measureListing(sizes.listing, scratch, say),
  idle: ({ sizes, scratch }) => measureIdle(sizes.idleHours, scratch),
  latency: ({ sizes, scratch }) =>
    measureLatencies(
      [
        { pollMs: 250, flushMs: 250, areDefaults: false, seconds: sizes.latency.seconds },
        { pollMs: 5_000, flushMs: 10_000, areDefaults: true, seconds: sizes.latency.defaultSeconds },
      ].filter(({ seconds }) => seconds > 0),
      scratch,
      say,
    ),
  start: async ({ sizes, rounds, scratch }) =>
    measureStart(await makeLines(sizes.startMib, work), { rounds, scratch }, say),
  commits: ({ sizes, rounds, scratch }) => measureCommits(sizes.versions, { rounds, scratch }, say),
  writers: ({ sizes, scratch }) => measureWriters(sizes.writers, scratch, say),
  opening: ({ sizes, rounds, scratch }) => measureOpening(sizes.versions, { rounds, scratch }, say),
  compaction: async ({ sizes, rounds, scratch, linesOf }) =>
    measureCompaction(await linesOf(sizes.compactionMib), {
      batchBytes: compactionBatchBytes,
      rounds,
      scratch,
    }),
  databricks: async ({ sizes, rounds, scratch, mib, linesOf }) =>
    measureDatabricks(
      {
        files: await linesOf(mib(sizes.databricks.mib)),
        merge: await makeLines(sizes.databricks.mergeMib, work),
      },
      { rounds, scratch },
      say,
    ),
  page: async ({ sizes, rounds, scratch, linesOf }) =>
    measurePage(sizes.page, await linesOf(sizes.page.landingMib), { rounds, work, scratch }, say),
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      who: { type: 'string' },
      mib: { type: 'string' },
      input: { type: 'string' },
      rounds: { type: 'string' },
      'large-mib': { type: 'string' },
      smoke: { type: 'boolean', default: false },
      publish: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const file = join(work, 'results.json')
  if (values.publish) return publish(file)

  const sizes = values.smoke ? smoke : full
  const { input } = values
  const context: BenchContext = {
    sizes,
    rounds: countOf(values.rounds, sizes.rounds),
    who: namesIn(values.who, contenders),
    scratch: join(work, 'scratch'),
    mib: (otherwise) => countOf(values.mib, otherwise),
    largeMib: countOf(values['large-mib'], sizes.largeMib),
    linesOf: (mib) => (input === undefined ? makeLines(mib, work) : takeLines(resolve(input))),
  }
  await mkdir(context.scratch, { recursive: true })
  if (values.profile) {
    const lines = await context.linesOf(context.mib(sizes.mib))
    process.stdout.write(`${await profileTailrace(lines, context.scratch)}\n`)
    return
  }

  const machine = machineFacts()
  const only = namesIn(values.only, parts)
  let results: BenchResults = {}
  for (const part of only) {
    const result = await measures[part](context)
    results = { ...results, [part]: { machine, rounds: context.rounds, isSmoke: values.smoke, result } }
    // After each part, so that a later one that fails costs only itself.
    await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
  }
  process.stdout.write(`${markdownReport(results)}\n`)
  say(`results: ${file}`)
}

/** @returns those that the list names, in their own order; all of them without a list */
function namesIn<Name extends string>(list: string | undefined, names: readonly Name[]): readonly Name[] {
  const chosen: readonly string[] = list?.split(',') ?? names
  const unknown = chosen.filter((name) => !names.some((known) => known === name))
  if (unknown.length > 0)
    throw new Error(`unknown: ${unknown.join(', ')}; expected some of ${names.join(', ')}`)
  return names.filter((name) => chosen.includes(name))
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
