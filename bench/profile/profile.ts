import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, nodeCommand, startMeasured } from '../measured-process.ts'
import { definitions } from '../measures/contenders.ts'
import type { LinesFile } from '../measures/lines.ts'
import { markdownTable } from '../reports/markdown-table.ts'
import { sizeText } from '../reports/quantities.ts'
import { whileServing } from '../servers/while-serving.ts'
import { landCommand } from '../tailrace-command.ts'
import {
  type CpuProfile,
  idleShare,
  type SelfTimes,
  selfTimesByFunction,
  selfTimesByPart,
} from './cpu-profile.ts'
import { canSample, type PartTimes, partTimes, sampledCommand } from './process-parts.ts'
import { followThreads, type ThreadTime } from './threads.ts'

/** The threads of a process by their work. */
interface MarkedThreads {
  /** The main thread, V8's helpers and the inspector. */
  readonly runtime: readonly number[]
  /** libuv's pool. */
  readonly pool: readonly number[]
  /** Workers of JavaScript. */
  readonly workers: readonly number[]
}

const maxParts = 25
const maxFunctions = 25
const samplingMicroseconds = 500

/**
 * Lands the lines and reports where the CPU time went: first by threads, undisturbed; then the main thread's by parts of
 * the program, with V8's profiler; then the whole process's by parts of the work, beside those of the SQL by hand, where
 * Linux's `perf` is installed.
 */
export async function profileTailrace(lines: LinesFile, scratch: string): Promise<string> {
  const directory = join(scratch, 'profile')
  const land = async (
    nodeArgs: readonly string[],
    env: Command['env'],
    around: (command: Command) => Command = (command) => command,
  ): Promise<ReadonlyMap<number, ThreadTime>> => {
    await rm(join(directory, 'lakehouse'), { recursive: true, force: true })
    await rm(join(directory, 'state'), { recursive: true, force: true })
    const server = nodeCommand('bench/servers/range-server.ts', [lines.path])
    const { result } = await whileServing(server, scratch, async (connectionString) => {
      const command = landCommand(connectionString, { blobs: 'lines.ndjson', directory })
      const { child, ended } = startMeasured(
        around({ ...command, args: [...nodeArgs, ...command.args], env: { ...command.env, ...env } }),
        scratch,
      )
      const [times] = await Promise.all([followThreads(child.pid!), ended])
      return times
    })
    return result
  }
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  try {
    const marks = join(directory, 'threads')
    await mkdir(marks)
    const times = await land(['--require', './bench/profile/mark-threads.cjs'], {
      TAILRACE_BENCH_THREADS: marks,
    })
    const threads = await markedThreads(marks)
    await land(
      ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-interval=${samplingMicroseconds}`],
      {},
    )
    const profile = await mainProfile(directory)
    let byParts = '`perf` is missing or may not sample: CPU time by parts of the work is left out.'
    if (canSample()) {
      const samples = join(directory, 'samples')
      await land([], {}, (command) => sampledCommand(command, samples))
      const landing = await partTimes(samples)
      const byHand = definitions['duckdb-by-hand'].command({
        lines,
        directory,
        connectionString: '',
        program: '',
      })
      await startMeasured(sampledCommand(byHand, samples), scratch).ended
      byParts = partsTable(lines, landing, await partTimes(samples))
    }
    return [
      byParts,
      threadsTable(lines, times, threads),
      `The main thread was idle for ${(idleShare(profile) * 100).toFixed(0)} % of the profiled run.`,
      selfTimesTable(lines, 'main thread, by part', selfTimesByPart(profile).slice(0, maxParts)),
      selfTimesTable(lines, 'main thread, by function', selfTimesByFunction(profile).slice(0, maxFunctions)),
    ].join('\n\n')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Reads what `mark-threads.cjs` wrote. */
async function markedThreads(directory: string): Promise<MarkedThreads> {
  const ids = async (name: string): Promise<number[]> =>
    JSON.parse(await readFile(join(directory, name), 'utf8')) as number[]
  const workers = (await readdir(directory)).filter((name) => name.startsWith('worker-'))
  return {
    runtime: await ids('runtime'),
    pool: await ids('pool'),
    workers: (await Promise.all(workers.map(ids))).flat(),
  }
}

/** Each thread of JavaScript writes a profile; the main thread has number 0. */
async function mainProfile(directory: string): Promise<CpuProfile> {
  const names = (await readdir(directory)).filter((name) => /\.\d+\.0\.\d+\.cpuprofile$/.test(name))
  if (names.length !== 1) throw new Error(`found ${names.length} profiles of a main thread, expected one`)
  return JSON.parse(await readFile(join(directory, names[0]!), 'utf8')) as CpuProfile
}

function threadsTable(
  lines: LinesFile,
  times: ReadonlyMap<number, ThreadTime>,
  { runtime, pool, workers }: MarkedThreads,
): string {
  const gigabytes = lines.bytes / 1e9
  const main = Math.min(...runtime)
  const known = new Set([...runtime, ...pool, ...workers])
  const groups: readonly [string, (id: number) => boolean][] = [
    ['main thread', (id) => id === main],
    ["V8's helpers: garbage collection, compiling", (id) => id !== main && runtime.includes(id)],
    ["libuv's pool: files, and DuckDB's callers, which work too", (id) => pool.includes(id)],
    ['workers: the loader of a config in TypeScript', (id) => workers.includes(id)],
    ["DuckDB's own", (id) => !known.has(id)],
    ['all', () => true],
  ]
  return markdownTable(
    [`${sizeText(lines.bytes, lines.lines)}, CPU s/GB by threads`, 'threads', 'user', 'system', 'both'],
    groups.map(([name, isOne]) => {
      const all = [...times].filter(([id]) => isOne(id)).map(([, time]) => time)
      const user = all.reduce((sum, { userSeconds }) => sum + userSeconds, 0) / gigabytes
      const system = all.reduce((sum, { systemSeconds }) => sum + systemSeconds, 0) / gigabytes
      return [name, String(all.length), ...[user, system, user + system].map((value) => value.toFixed(1))]
    }),
  )
}

function selfTimesTable(lines: LinesFile, title: string, times: SelfTimes): string {
  const gigabytes = lines.bytes / 1e9
  return markdownTable(
    [title, 's/GB'],
    times.map(([name, seconds]) => [name, (seconds / gigabytes).toFixed(2)]),
  )
}

function partsTable(lines: LinesFile, landing: PartTimes, byHand: PartTimes): string {
  const gigabytes = lines.bytes / 1e9
  const rows = [...landing].map(([part, seconds]) => [part, seconds, byHand.get(part)!] as const)
  const sum = (column: 1 | 2): number => rows.reduce((all, row) => all + row[column], 0)
  return markdownTable(
    [`${sizeText(lines.bytes, lines.lines)}, CPU s/GB by part`, 'Tailrace', 'SQL by hand'],
    [...rows, ['all', sum(1), sum(2)] as const].map(([part, ...seconds]) => [
      part,
      ...seconds.map((one) => (one / gigabytes).toFixed(1)),
    ]),
  )
}
