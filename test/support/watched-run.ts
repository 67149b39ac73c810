import type { TestContext } from 'node:test'
import type { HealthReason, Probe } from '../../src/run/monitoring/health.ts'
import type { ProbeAnswer } from '../../src/run/monitoring/metrics-server.ts'
import { eventually } from './eventually.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { freePort } from './free-port.ts'
import { runTailrace, startTailrace, type TailraceRun } from './run-tailrace.ts'
import { samplesOf } from './scrape.ts'
import { containerName, startStorage, type TestStorage } from './storage.ts'
import type { TailraceProcess } from './tailrace-process.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { type TestConfig, writeProject } from './test-project.ts'

/** Limits of the tests: what is silent or stalls for this long is not well. */
export const maxSilentMs = 1_000
export const maxStallMs = 1_000

export interface WatchedRunOptions extends Partial<TestConfig> {
  /** Whether the table is in the storage too, where the proxy can stall its commits. Default false. */
  readonly tableInStorage?: boolean
  /** What happens to its requests from the start. Default: they are passed on. */
  readonly fault?: Parameters<FaultyProxy['plan']>[0]
}

/** A running `tailrace start` with one pipeline, behind a proxy that can treat its requests badly. */
export interface WatchedRun {
  readonly storage: TestStorage
  readonly proxy: FaultyProxy
  readonly process: TailraceProcess
  readonly port: number
  probe(probe: Probe): Promise<{ readonly status: number } & ProbeAnswer>
  /** Waits until /readyz has exactly these codes against it. */
  untilUnready(...codes: string[]): Promise<readonly HealthReason[]>
  samples(): Promise<Map<string, number>>
  exposition(): Promise<string>
  health(...args: string[]): Promise<TailraceRun>
  /** Runs `tailrace start` again, to its end. */
  runAgain(...args: string[]): Promise<TailraceRun>
  /** Writes the config again, with other options, and has the process load it. */
  reload(more: Partial<TestConfig>): Promise<void>
}

/** Starts it; the blob `primary.json` is to be appended to. */
export async function startWatched(
  t: TestContext,
  { tableInStorage = false, fault, ...config }: WatchedRunOptions = {},
): Promise<WatchedRun> {
  // Hooks run in the order of their registration: the process ends before its directory and its storage go.
  let process: TailraceProcess | undefined
  t.after(async () => {
    process?.kill('SIGKILL')
    await process?.exited
  })
  const storage = await startStorage(t)
  const direct = new URL(storage.container.url)
  const proxy = await faultyProxy(t, Number(direct.port))
  if (fault !== undefined) proxy.plan(fault)
  const through = (text: string): string => text.replaceAll(`:${direct.port}`, `:${proxy.port}`)
  const port = await freePort()
  const directory = await temporaryDirectory(t)
  const given: TestConfig = {
    storage: { kind: 'connection-string', connectionString: through(storage.connectionString) },
    pipelines: { primary: { blobs: 'primary.json' } },
    metrics: { port },
    health: { maxSilentMs, maxStallMs },
    restart: { minPauseMs: 200, maxPauseMs: 400 },
    ...(tableInStorage ? { lakehouse: `${through(direct.origin)}${direct.pathname}/lake` } : {}),
    ...config,
  }
  const { configPath } = await writeProject(directory, given)
  const args = ['--config', configPath]
  const started = startTailrace(t, ['start', ...args])
  process = started
  const ask = (path: string) =>
    fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) })
  const probe: WatchedRun['probe'] = async (name) => {
    const response = await ask(`/${name}`)
    return { status: response.status, ...((await response.json()) as ProbeAnswer) }
  }
  const exposition = async () => (await ask('/metrics')).text()
  return {
    storage,
    proxy,
    process: started,
    port,
    probe,
    untilUnready: async (...codes) => {
      let reasons: readonly HealthReason[] = []
      await eventually(async () => {
        // Undefined while it does not listen yet.
        const answer = await probe('readyz').catch(() => undefined)
        reasons = answer?.reasons ?? []
        return answer !== undefined && reasons.map(({ code }) => code).join() === codes.join()
      }, `${codes.join()} of /readyz`).catch((error: Error) => {
        throw new Error(`${error.message} Found: ${JSON.stringify(reasons)}\n${started.stderr.slice(-3_000)}`)
      })
      return reasons
    },
    samples: async () => samplesOf(await exposition()),
    exposition,
    health: (...more) => runTailrace(t, ['health', ...args, ...more]),
    runAgain: (...more) => runTailrace(t, ['start', ...args, ...more]),
    reload: async (more) => {
      await writeProject(directory, { ...given, ...more })
      started.kill('SIGHUP')
    },
  }
}

/** The name of the container, for faults that concern only the table or only the blobs. */
export const ofTable = (url: string): boolean => url.startsWith(`/devstoreaccount1/${containerName}/lake`)
