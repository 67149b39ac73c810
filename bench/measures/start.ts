import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { measure, nodeCommand, startMeasured } from '../measured-process.ts'
import { timeIn } from '../profile/threads.ts'
import { pieceName } from '../servers/served-blobs.ts'
import { whileServing } from '../servers/while-serving.ts'
import { shippedConfig, tailraceCommand } from '../tailrace-command.ts'
import type { LinesFile } from './lines.ts'

/** `--help` and `--version` as whole processes, and `start` until `/readyz` says that all its pipelines run. */
export type StartCase = 'help' | 'version' | 'start'

export interface StartRun {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  /** At the end, or when it was ready. */
  readonly peakRssBytes: number
}

export interface StartResult {
  /** Of each case, one run per round. */
  readonly runs: Readonly<Record<StartCase, readonly StartRun[]>>
}

const readyDeadlineMs = 60_000
const askEveryMs = 5

/**
 * Starts the command with each case in turn. `start` follows one served blob, into a table that it has to create.
 *
 * @param lines a small file: it lands beside the start, not before it counts as ready
 */
export async function measureStart(
  lines: LinesFile,
  { rounds, scratch }: { readonly rounds: number; readonly scratch: string },
  say: (text: string) => void,
): Promise<StartResult> {
  const runs: Record<StartCase, StartRun[]> = { help: [], version: [], start: [] }
  // The first start of a clone compiles it.
  await measure(tailraceCommand(['--help']), scratch)
  for (let round = 0; round < rounds; round += 1) {
    for (const name of Object.keys(runs) as StartCase[]) {
      const run = name === 'start' ? await untilReady(lines, scratch) : await whole(name, scratch)
      runs[name].push(run)
      say(
        `round ${round + 1}, start, ${name}: ${run.wallSeconds.toFixed(2)} s, ${run.cpuSeconds.toFixed(2)} CPU s`,
      )
    }
  }
  return { runs }
}

async function whole(name: 'help' | 'version', scratch: string): Promise<StartRun> {
  const measured = await measure(tailraceCommand([`--${name}`]), scratch)
  const { wallSeconds, userSeconds, systemSeconds, peakRssBytes } = measured
  return { wallSeconds, cpuSeconds: userSeconds + systemSeconds, peakRssBytes }
}

async function untilReady(lines: LinesFile, scratch: string): Promise<StartRun> {
  const directory = join(scratch, 'start')
  await rm(directory, { recursive: true, force: true })
  const server = nodeCommand('bench/servers/account-server.ts', [lines.path, 'pieces', '1'])
  const { result } = await whileServing(server, scratch, async (connectionString) => {
    const startedAt = performance.now()
    const { child, ended } = startMeasured(
      tailraceCommand(['start'], {
        ...shippedConfig(connectionString, { directory, blobs: pieceName(0) }),
        TAILRACE_METRICS_PORT: '0',
        LOG_LEVEL: 'info',
      }),
      scratch,
      // Stopped by SIGTERM.
      [143],
    )
    try {
      const failed = ended.then(() => Promise.reject(new Error('Tailrace ended before it was ready.')))
      await Promise.race([failed, ready(child.stdout!, child.stderr!)])
      const wallSeconds = (performance.now() - startedAt) / 1000
      return { wallSeconds, ...(await usageOf(child.pid!)) }
    } finally {
      child.kill('SIGTERM')
      await ended.catch(() => {})
      await rm(directory, { recursive: true, force: true })
    }
  })
  return result
}

/** Waits for the log line with the port of the metrics' server, and then until that says that the pipelines run. */
async function ready(...outputs: readonly Readable[]): Promise<void> {
  const port = await Promise.race(outputs.map(portIn))
  for (let waitedMs = 0; waitedMs < readyDeadlineMs; waitedMs += askEveryMs) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
    await answer.text()
    if (answer.ok) return
    await delay(askEveryMs)
  }
  throw new Error(`Tailrace was not ready within ${readyDeadlineMs} ms.`)
}

function portIn(output: Readable): Promise<string> {
  return new Promise((resolve) => {
    createInterface({ input: output }).on('line', (line) => {
      const port = /readyz/.test(line) ? /"?port"?: ?(\d+)/.exec(line)?.[1] : undefined
      if (port !== undefined) resolve(port)
    })
  })
}

/** What a running process has used up to now. */
async function usageOf(pid: number): Promise<Omit<StartRun, 'wallSeconds'>> {
  const [stat, status] = await Promise.all(
    ['stat', 'status'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
  )
  const { userSeconds, systemSeconds } = timeIn(stat!)
  const kibibytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status!)?.[1])
  return { cpuSeconds: userSeconds + systemSeconds, peakRssBytes: kibibytes * 1024 }
}
