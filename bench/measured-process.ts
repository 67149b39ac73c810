import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** Where the commands below run: paths of the project's own scripts are relative to it. */
export const projectDirectory = fileURLToPath(new URL('..', import.meta.url))

/** The resources that a process used from its start to its end. */
export interface Usage {
  readonly userSeconds: number
  readonly systemSeconds: number
  /** The kernel's mark (`VmHWM`), which the process reads at its end. */
  readonly peakRssBytes: number
  /** Whether the driver of Databricks' SQL warehouses was loaded; undefined where it is no process of Node. */
  readonly loadedDriver?: boolean
}

/** A process that ended well, as seen from outside. */
export interface Measurement extends Usage {
  readonly wallSeconds: number
  readonly stdout: string
}

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  /** On top of this process's environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A running process that will report the resources that it used. */
export interface MeasuredProcess {
  readonly child: ChildProcess
  /**
   * Resolves when it has ended with exit code 0, or by `signal` of ours.
   *
   * @throws Error with the end of its stderr when it failed
   */
  readonly ended: Promise<Measurement>
}

/** Preloaded into processes of Node; plain JavaScript, so that nothing else is loaded for it. */
const reportUsage = ['--import', './bench/reports/report-usage.mjs']

/** A Node command that runs a TypeScript file of the project and reports the resources that it used. */
export function nodeCommand(script: string, args: readonly string[], env: Command['env'] = {}): Command {
  return { program: process.execPath, args: ['--import', 'tsx', ...reportUsage, script, ...args], env }
}

/** A Node command that runs JavaScript, without anything that understands TypeScript. */
export function plainNodeCommand(script: string, args: readonly string[], env: Command['env'] = {}): Command {
  return { program: process.execPath, args: [...reportUsage, script, ...args], env }
}

/**
 * Starts a command, which must write its usage to the file named by `TAILRACE_BENCH_USAGE`: peak memory, and CPU unless
 * `measure` counts it.
 *
 * @param scratch directory for that file
 * @param goodCodes exit codes that are no failure. Default 0 alone
 */
export function startMeasured(
  { program, args, env }: Command,
  scratch: string,
  goodCodes: readonly number[] = [0],
): MeasuredProcess {
  const usagePath = join(scratch, `usage-${randomUUID()}.json`)
  const startedAt = performance.now()
  const child = spawn(program, args, {
    cwd: projectDirectory,
    env: { ...process.env, ...env, TAILRACE_BENCH_USAGE: usagePath },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = (async (): Promise<Measurement> => {
    const exited = new Promise<{ code: number | null; wallSeconds: number }>((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (code) => resolve({ code, wallSeconds: (performance.now() - startedAt) / 1000 }))
    })
    const [{ code, wallSeconds }, stdout, stderr] = await Promise.all([
      exited,
      text(child.stdout),
      text(child.stderr),
    ])
    if (code === null || !goodCodes.includes(code)) {
      throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stderr.slice(-4000)}`)
    }
    const usage = JSON.parse(await readFile(usagePath, 'utf8')) as Usage
    await rm(usagePath)
    return { ...usage, wallSeconds, stdout }
  })()
  // When a failed bench stops its processes, their own failures are not awaited.
  ended.catch(() => {})
  return { child, ended }
}

/**
 * Runs a command to its end, after the writes of what ran before it have left the page cache. Its CPU is counted from
 * outside: from the process's start to its end, with the children that it waited for.
 */
export async function measure({ program, args, env }: Command, scratch: string): Promise<Measurement> {
  spawnSync('sync')
  const timesPath = join(scratch, `times-${randomUUID()}`)
  const timed = '"$@"; status=$?; times >"$TAILRACE_BENCH_TIMES"; exit $status'
  const { ended } = startMeasured(
    {
      program: 'bash',
      args: ['-c', timed, 'bash', program, ...args],
      env: { ...env, TAILRACE_BENCH_TIMES: timesPath },
    },
    scratch,
  )
  const measured = await ended
  const times = await readFile(timesPath, 'utf8')
  await rm(timesPath)
  return { ...measured, ...childTimes(times) }
}

/** Reads the second line of bash's `times`, such as `0m1.250s 0m0.031s`: the user and system time of its children. */
function childTimes(times: string): Pick<Usage, 'userSeconds' | 'systemSeconds'> {
  const [userSeconds, systemSeconds] = [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds),
  )
  if (userSeconds === undefined || systemSeconds === undefined) {
    throw new Error(`invalid times of a process: ${JSON.stringify(times)}`)
  }
  return { userSeconds, systemSeconds }
}
