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

/** A Node command that runs a TypeScript file of the project and reports the resources that it used. */
export function nodeCommand(script: string, args: readonly string[], env: Command['env'] = {}): Command {
  return {
    program: process.execPath,
    args: ['--import', 'tsx', '--import', './bench/reports/report-usage.ts', script, ...args],
    env,
  }
}

/**
 * Starts a command, which must write its usage to the file named by `TAILRACE_BENCH_USAGE`.
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

/** Runs a command to its end, after the writes of what ran before it have left the page cache. */
export async function measure(command: Command, scratch: string): Promise<Measurement> {
  spawnSync('sync')
  return startMeasured(command, scratch).ended
}
