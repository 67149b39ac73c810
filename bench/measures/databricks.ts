import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SinkConfig } from '../../src/config/options.ts'
import { type Command, type Measurement, measure, nodeCommand } from '../measured-process.ts'
import { median } from '../reports/statistics.ts'
import { whileRunning, whileServing } from '../servers/while-serving.ts'
import type { WorkspaceCounts, WorkspacePlace } from '../servers/workspace-server.ts'
import { tailraceCommand, tailraceSummary } from '../tailrace-command.ts'
import { type DriverCosts, measureDriver } from './driver-costs.ts'
import type { LinesFile } from './lines.ts'

/** Where the logs land: a local Delta table, or a workspace in one of the ways into it. */
export type Landing =
  | 'delta'
  | 'transaction-files-api'
  | 'replace-where-files-api'
  | 'copy-into-put'
  | 'copy-into-files-api'
  | 'stage-only-files-api'
  | 'merge'

/** One way of landing an input; speed, time and CPU are medians, the peak is the worst. */
export interface LandingRun {
  readonly landing: Landing
  readonly megabytesPerSecond: number
  /** The speed by that of the Delta table in the same rounds. */
  readonly toDelta: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssMegabytes: number
  readonly loadedDriver: boolean
  /** CPU of the workspace; not counted as Tailrace's. */
  readonly workspaceCpuSeconds?: number
  /** What came into the workspace in the last run. */
  readonly counts?: WorkspaceCounts
}

/** Runs with one input. */
export interface LandingGroup {
  readonly inputBytes: number
  readonly lines: number
  readonly rounds: number
  readonly runs: readonly LandingRun[]
}

export interface DatabricksResult {
  readonly files: LandingGroup
  readonly merge: LandingGroup
  /** A single line, which measures the cost of a start. */
  readonly start: LandingGroup
  readonly driver: DriverCosts
}

type SingleRun = Omit<LandingRun, 'landing' | 'toDelta'>

const byFiles = [
  'transaction-files-api',
  'replace-where-files-api',
  'copy-into-put',
  'copy-into-files-api',
  'stage-only-files-api',
] as const

const line =
  '{"timestamp":"2026-11-24 09:09:31.946 UTC","pid":8397,"session_id":"6b05544b.20cd","line_num":1,"error_severity":"LOG","message":"checkpoint starting: time","backend_type":"checkpointer","query_id":0}\n'

/**
 * Lands the same logs in a local Delta table and in the tests' workspace, in turns, with the batch sizes that each way
 * has by default.
 *
 * @param inputs.merge a small one, as this way is for low volumes
 * @throws Error when rows are missing, when the workspace failed by itself, or when the driver was loaded without need
 */
export async function measureDatabricks(
  inputs: { readonly files: LinesFile; readonly merge: LinesFile },
  { rounds, scratch }: { readonly rounds: number; readonly scratch: string },
  say: (text: string) => void,
): Promise<DatabricksResult> {
  const directory = join(scratch, 'databricks')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const run = (
    lines: LinesFile,
    landings: readonly Landing[],
    groupRounds: number = rounds,
  ): Promise<LandingGroup> => measureGroup(lines, landings, { rounds: groupRounds, directory, scratch }, say)
  try {
    const path = join(directory, 'line.ndjson')
    await writeFile(path, line)
    const single = { path, bytes: line.length, lines: 1, longestLineBytes: line.length }
    return {
      driver: await measureDriver(rounds, scratch),
      start: await run(single, ['delta', ...byFiles, 'merge']),
      files: await run(inputs.files, ['delta', ...byFiles]),
      merge: await run(inputs.merge, ['delta', 'merge'], 1),
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function measureGroup(
  lines: LinesFile,
  landings: readonly Landing[],
  options: { readonly rounds: number; readonly directory: string; readonly scratch: string },
  say: (text: string) => void,
): Promise<LandingGroup> {
  const all = new Map<Landing, SingleRun[]>(landings.map((landing) => [landing, []]))
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const [landing, runs] of all) {
      const run = await runOnce(lines, landing, options)
      runs.push(run)
      say(
        `databricks round ${round}, ${lines.lines} lines, ${landing}: ${run.megabytesPerSecond.toFixed(1)} MB/s, ` +
          `${run.seconds.toFixed(1)} s, ${run.cpuSeconds.toFixed(1)} CPU s, ${run.peakRssMegabytes.toFixed(0)} MB`,
      )
    }
  }
  const deltaSpeed = median(all.get('delta')!.map((run) => run.megabytesPerSecond))
  return {
    inputBytes: lines.bytes,
    lines: lines.lines,
    rounds: options.rounds,
    runs: landings.map((landing) => medianRun(landing, all.get(landing)!, deltaSpeed)),
  }
}

async function runOnce(
  lines: LinesFile,
  landing: Landing,
  { directory: parent, scratch }: { readonly directory: string; readonly scratch: string },
): Promise<SingleRun> {
  const directory = join(parent, landing)
  await mkdir(directory)
  const land = async (sink: SinkConfig): Promise<Measurement> => {
    const server = nodeCommand('bench/servers/range-server.ts', [lines.path])
    const { result } = await whileServing(server, scratch, (connectionString) =>
      measure(landInto(sink, connectionString, directory), scratch),
    )
    return result
  }
  try {
    if (landing === 'delta') {
      return checkedRun(lines, landing, await land({ kind: 'delta', root: join(directory, 'lakehouse') }))
    }
    const { result: measured, server } = await whileRunning(
      nodeCommand('bench/servers/workspace-server.ts', [directory]),
      scratch,
      (ready) => land(workspaceSink(landing, JSON.parse(ready) as WorkspacePlace)),
    )
    const counts = JSON.parse(server.stdout.trimEnd().split('\n').at(-1)!) as WorkspaceCounts
    if (counts.failures.length > 0) throw new Error(`The workspace failed: ${counts.failures.join('; ')}`)
    if (counts.rows !== lines.lines) {
      throw new Error(`Of ${lines.lines} lines ${counts.rows} are in the workspace by ${landing}.`)
    }
    const workspaceCpuSeconds = server.userSeconds + server.systemSeconds
    return { ...checkedRun(lines, landing, measured), workspaceCpuSeconds, counts }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function landInto(sink: SinkConfig, connectionString: string, directory: string): Command {
  return tailraceCommand(['start', '--once', '--config', 'bench/measures/workspace.config.ts'], {
    AZURE_STORAGE_CONNECTION_STRING: connectionString,
    TAILRACE_BENCH_SINK: JSON.stringify(sink),
    TAILRACE_STATE: join(directory, 'state'),
  })
}

function workspaceSink(
  landing: Exclude<Landing, 'delta'>,
  { host, httpPath, token, volume, caFile }: WorkspacePlace,
): SinkConfig {
  const workspace = {
    kind: 'databricks',
    host,
    auth: { kind: 'token', token },
    customCaFile: caFile,
  } as const
  switch (landing) {
    case 'transaction-files-api':
      return { ...workspace, httpPath, volume, mode: 'transaction', upload: 'files-api' }
    case 'replace-where-files-api':
      return { ...workspace, httpPath, volume, mode: 'replace-where', upload: 'files-api' }
    case 'copy-into-put':
      return { ...workspace, httpPath, volume, mode: 'copy-into', upload: 'put' }
    case 'copy-into-files-api':
      return { ...workspace, httpPath, volume, mode: 'copy-into', upload: 'files-api' }
    case 'stage-only-files-api':
      return { ...workspace, volume, mode: 'stage-only', upload: 'files-api' }
    case 'merge':
      return { ...workspace, httpPath, mode: 'merge' }
  }
}

/** A process that sends no statement must not load the driver. */
function checkedRun(lines: LinesFile, landing: Landing, measured: Measurement): SingleRun {
  const { rows } = tailraceSummary(measured)
  if (rows !== lines.lines) throw new Error(`Of ${lines.lines} lines ${rows} were landed by ${landing}.`)
  const loadedDriver = measured.loadedDriver === true
  const needsDriver = landing !== 'delta' && landing !== 'stage-only-files-api'
  if (loadedDriver !== needsDriver) {
    throw new Error(`The driver was ${loadedDriver ? '' : 'not '}loaded by ${landing}.`)
  }
  return {
    megabytesPerSecond: lines.bytes / 1e6 / measured.wallSeconds,
    seconds: measured.wallSeconds,
    cpuSeconds: measured.userSeconds + measured.systemSeconds,
    peakRssMegabytes: measured.peakRssBytes / 1e6,
    loadedDriver,
  }
}

function medianRun(landing: Landing, runs: readonly SingleRun[], deltaSpeed: number): LandingRun {
  const of = (value: (run: SingleRun) => number): number => median(runs.map(value))
  const { counts, loadedDriver } = runs.at(-1)!
  const megabytesPerSecond = of((run) => run.megabytesPerSecond)
  return {
    landing,
    megabytesPerSecond,
    toDelta: megabytesPerSecond / deltaSpeed,
    seconds: of((run) => run.seconds),
    cpuSeconds: of((run) => run.cpuSeconds),
    peakRssMegabytes: Math.max(...runs.map((run) => run.peakRssMegabytes)),
    loadedDriver,
    ...(counts === undefined
      ? {}
      : { counts, workspaceCpuSeconds: of((run) => run.workspaceCpuSeconds ?? 0) }),
  }
}
