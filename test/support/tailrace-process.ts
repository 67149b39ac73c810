import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { builtCommand } from './built-script.ts'

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One line of the log on standard error. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string }

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Default: the project's root. */
  readonly cwd?: string
  /** The script instead of the CLI. */
  readonly script?: string
  /** Whether the command itself runs, with what `dist/` holds. Default: the script is bundled anew. */
  readonly asShipped?: boolean
}

export const projectRoot = fileURLToPath(new URL('../..', import.meta.url))
const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const command = fileURLToPath(new URL('../../bin/tailrace.js', import.meta.url))

/** Long enough for the slowest machine; what waits longer hangs. */
const limitMs = 60_000

/** A child process of this project, with everything it printed. */
export class TailraceProcess {
  readonly exited: Promise<ProcessEnd>
  stdout = ''
  stderr = ''
  #child: ChildProcess
  #wakers = new Set<() => void>()
  #ended = false

  /** Starts the real CLI, or another script, without the Azure settings of whoever runs the tests. */
  constructor(args: readonly string[], { env, cwd, script = cli, asShipped = false }: SpawnOptions = {}) {
    const { PATH, HOME, TMPDIR } = process.env
    const own = Object.entries({ PATH, HOME, TMPDIR }).filter(([, value]) => value !== undefined)
    const run = asShipped ? { args: [command, ...args], env } : builtCommand(script, args, env)
    const child = spawn(process.execPath, run.args, {
      cwd: cwd ?? projectRoot,
      env: { ...Object.fromEntries(own), ...run.env },
      stdio: ['ignore', 'pipe', 'pipe', script === cli ? 'ignore' : 'ipc'],
    })
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#wake()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#wake()
    })
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.#ended = true
        this.#wake()
        resolve({ code, signal })
      })
    })
  }

  /** The log so far; lines that are no JSON are left out. */
  get log(): readonly LogLine[] {
    return this.stderr.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine]
      } catch {
        return []
      }
    })
  }

  /** @returns whether the log has a line whose message holds `text`. */
  logged(text: string): boolean {
    return this.log.some(({ msg }) => msg?.includes(text))
  }

  /** The number of the process; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Closes the reading end of its standard output, as `head` does when it has enough. */
  stopReading(): void {
    this.#child.stdout?.destroy()
  }

  /** Tells a script that waits for a message to go on. */
  send(message: string): void {
    if (this.#child.connected) this.#child.send(message)
  }

  /**
   * Waits until something it printed makes `condition` true.
   *
   * @throws when it ends first, or after a minute
   */
  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + limitMs
    while (!condition()) {
      if (this.#ended) throw new Error(`The process ended before ${what}:\n${this.stderr.slice(-4_000)}`)
      if (Date.now() > deadline) throw new Error(`No ${what} in ${limitMs} ms:\n${this.stderr.slice(-4_000)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, deadline - Date.now()))
        this.#wakers.add(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #wake(): void {
    const wakers = [...this.#wakers]
    this.#wakers.clear()
    for (const wake of wakers) wake()
  }
}
