import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type Random, seededRandom } from '../../doubles/seeded-random.ts'
import type { FaultRule, ScheduledFault } from '../../doubles/workspace/faults.ts'
import type { Hold } from '../../doubles/workspace/sql-holds.ts'
import { Workspace } from '../../doubles/workspace/workspace.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { type ResolvedConfig, sinkTarget } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { createLogger, type Logger } from '../../src/reporting/logger.ts'
import { ContainerStorage } from '../../src/run/container-storage.ts'
import { replay } from '../../src/run/replay.ts'
import { Tailrace } from '../../src/run/tailrace.ts'
import { type DatabricksTarget, stagingFolderOf } from '../../src/sinks/databricks/options.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { eventually } from '../support/eventually.ts'
import { HastyClock } from '../support/hasty-clock.ts'
import { LogGenerator } from '../support/log-lines.ts'
import { assertVerified } from './assert-verified.ts'
import { type FaultSchedule, faultSchedule, loading, loadsFiles, type SinkMode } from './fault-schedule.ts'
import { assertEachLineOnce, rowsIn } from './landed-lines.ts'
import { assertNothingTold } from './nothing-told.ts'
import { catalog, schema, type WorkspaceBench } from './workspace-bench.ts'

/** A run that was ended is started again: so often while the faults last, and then without them. */
const faultyRuns = 6
/** The retries' own pauses are shorter: this is the least that a load of somebody else is given. */
const orphanPauseMs = 15_000

/** What a simulation met. */
export interface SimulationCounts {
  readonly schedules: number
  readonly runs: number
  readonly strikes: number
  /** Runs that ended with an error, as they had to. */
  readonly ended: number
  readonly aborted: number
  readonly orphans: number
  readonly replays: number
  readonly rows: number
}

/**
 * Lands a few blobs' lines, and more of them when these have landed, while the workspace does what a seed says. Then
 * asserts that each line is there once, and that nothing else is.
 *
 * @throws with the seed, the faults and the end of the log
 */
export async function runSimulation(
  bench: WorkspaceBench,
  mode: SinkMode,
  seed: number,
): Promise<SimulationCounts> {
  const random = seededRandom(seed)
  const workspace = await Workspace.start({
    engine: bench.warehouse,
    volumes: bench.volumes,
    seed,
    directResultsWaitMs: random.next() < 0.7 ? 5_000 : 0,
  })
  const simulation = new Simulation({ bench, mode, seed, random, workspace })
  try {
    return await simulation.run()
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    // The driver tells each of its steps.
    const lines = simulation.log.split('\n').filter((line) => !line.includes('"driverLevel"'))
    const parts = [`TAILRACE_SEED=${seed} repeats it: ${told}`, simulation.faults, ...lines.slice(-40)]
    throw new Error(parts.join('\n'), { cause: error })
  } finally {
    simulation.releaseHold()
    await workspace.close()
  }
}

interface SimulationOptions {
  readonly bench: WorkspaceBench
  readonly mode: SinkMode
  readonly seed: number
  readonly random: Random
  readonly workspace: Workspace
}

class Simulation {
  log = ''
  readonly #options: SimulationOptions
  readonly #schedule: FaultSchedule
  readonly #blobs: readonly string[]
  readonly #config: ResolvedConfig
  readonly #generator: LogGenerator
  readonly #clock: HastyClock
  readonly #logger: Logger
  readonly #counts = { runs: 0, ended: 0, aborted: 0, orphans: 0, replays: 0 }
  #passing: readonly ScheduledFault[] = []
  #ending: readonly ScheduledFault[] = []
  #hold: Hold | undefined
  #pausesLeft = 0
  #running: Tailrace | undefined
  #isAborted = false

  constructor(options: SimulationOptions) {
    const { mode, seed, random } = options
    this.#options = options
    this.#schedule = faultSchedule(mode, random)
    this.#blobs = Array.from({ length: random.between(1, 3) }, (_, index) => `s${seed}/${index}.json`)
    this.#config = this.#resolvedConfig()
    this.#generator = new LogGenerator(random)
    this.#clock = new HastyClock({ onPause: (ms) => this.#notePause(ms) })
    this.#logger = createLogger({
      level: 'debug',
      pretty: false,
      output: {
        write: (line) => {
          this.log += line
        },
      },
    })
  }

  /** The faults and how often each struck, a line each. */
  get faults(): string {
    const shown = (_key: string, value: unknown): unknown =>
      value instanceof RegExp || value instanceof Error ? String(value) : value
    return [...this.#passing, ...this.#ending]
      .map(({ rule, strikes }) => `${strikes} times ${JSON.stringify(rule, shown)}`)
      .join('\n')
  }

  async run(): Promise<SimulationCounts> {
    const { workspace, mode, random } = this.#options
    const { passing, ending, abortsAt } = this.#schedule
    const isLate = random.next() < 0.5
    if (!isLate) this.#expectOrphan()
    this.#passing = passing.map((rule) => this.#add(rule))
    this.#ending = ending.map((rule) => this.#add(rule))
    if (abortsAt !== undefined) void this.#passing[abortsAt]?.struck.then(() => this.#abort())
    await this.#append()
    await this.#landAll()
    if (isLate) this.#expectOrphan()
    await this.#append()
    await this.#landAll()
    if (loadsFiles(mode) && random.next() < 0.5) await this.#replay()

    const strikes = [...this.#passing, ...this.#ending].reduce((sum, fault) => sum + fault.strikes, 0)
    workspace.faults.releaseAll()
    this.releaseHold()
    const hasEnded = async (): Promise<boolean> =>
      workspace.log.statements.every(({ state }) => state !== 'RUNNING')
    await eventually(hasEnded, 'end of all statements')
    const rows = await this.#check()
    assert.deepEqual(workspace.log.failures, [])
    assertNothingTold(this.log, workspace)
    return { schedules: 1, ...this.#counts, strikes, rows }
  }

  releaseHold(): void {
    this.#hold?.release()
  }

  #add(rule: FaultRule): ScheduledFault {
    return this.#options.workspace.faults.add(rule)
  }

  /** The next load goes on without anybody who waits for it, and takes its time. */
  #expectOrphan(): void {
    const { orphanPauses } = this.#schedule
    if (orphanPauses === undefined) return
    const pattern = loading(this.#options.mode)
    this.#pausesLeft = orphanPauses
    const hold = this.#options.bench.warehouse.holdNext(pattern)
    this.#hold = hold
    const orphan = this.#add({ statement: pattern, fault: { kind: 'orphan' } })
    void hold.reached.then(() => {
      // Another fault was first: whoever waits for this statement would wait for ever.
      if (orphan.strikes === 0) hold.release()
      else this.#counts.orphans += 1
    })
  }

  #notePause(ms: number): void {
    if (ms < orphanPauseMs) return
    this.#pausesLeft -= 1
    if (this.#pausesLeft <= 0) this.releaseHold()
  }

  #abort(): void {
    this.#isAborted = true
    this.#running?.abort()
  }

  async #append(): Promise<void> {
    const { bench, random } = this.#options
    for (const blob of this.#blobs) {
      await bench.storage.append(blob, this.#generator.lines(random.between(5, 60)))
    }
  }

  /** Runs until all is landed; only what has to end a run may end it. */
  async #landAll(): Promise<void> {
    for (let run = 1; ; run += 1) {
      this.#counts.runs += 1
      if (run > faultyRuns) this.#options.workspace.faults.releaseAll()
      try {
        this.#running = await Tailrace.open({
          config: this.#config,
          follow: false,
          clock: this.#clock,
          logger: this.#logger,
        })
        if (this.#isAborted) this.#running.abort()
        await this.#running.run()
        return
      } catch (error) {
        this.#expect(error)
      } finally {
        this.#running = undefined
        this.#isAborted = false
      }
    }
  }

  /** Counts the end of a run, or throws the error that ended it. */
  #expect(error: unknown): void {
    if (this.#isAborted && (error as Error).name === 'AbortError') this.#counts.aborted += 1
    else if (
      this.#ending.some(({ strikes }) => strikes > 0) &&
      (isTailraceError(error, 'WAREHOUSE_DENIED') || isTailraceError(error, 'STATEMENT_FAILED'))
    )
      this.#counts.ended += 1
    else throw error
  }

  /** Lands a range again; where that ends before its time, the next run ends what it began. */
  async #replay(): Promise<void> {
    const { bench, random, workspace } = this.#options
    const [blob = ''] = this.#blobs
    const content = await bench.storage.content(blob)
    const ends = [...content.entries()].flatMap(([index, byte]) => (byte === 0x0a ? [index + 1] : []))
    const to = random.between(1, ends.length - 1)
    const from = random.between(0, to - 1)
    for (const fault of ['drop-before', 'drop-after'] as const) {
      this.#add({
        statement: /^(?:DELETE|COPY INTO|BEGIN ATOMIC|INSERT INTO)/,
        fault: { kind: fault },
        probability: 0.5,
        times: 2,
      })
    }
    this.#add({ statement: /^DELETE/, fault: { kind: 'session-expired' }, probability: 0.3, times: 1 })
    const { source } = this.#config.pipelines.primary!
    const storage = new ContainerStorage(this.#config.stateDirectory, false, this.#clock, this.#logger)
    this.#counts.replays += 1
    try {
      await replay({
        config: this.#config,
        pipeline: 'primary',
        blob,
        from: ends[from] ?? 0,
        to: ends[to] ?? content.length,
        reader: await storage.reader(source),
        clock: this.#clock,
        logger: this.#logger,
      })
    } catch (error) {
      // A load that is still going on is waited for by the next start.
      if (!isTailraceError(error, 'COMMIT_CONTENDED')) this.#expect(error)
    } finally {
      await storage.stop()
    }
    workspace.faults.releaseAll()
    await this.#landAll()
  }

  /** @returns how many rows there are */
  async #check(): Promise<number> {
    const { bench, mode } = this.#options
    const { target } = this
    const table = target.table.name
    const folder = stagingFolderOf(target)
    const relation =
      mode.mode === 'stage-only'
        ? `read_parquet('${bench.volumes.onDisk(folder ?? '')}/**/*.parquet', hive_partitioning = false)`
        : `"${table.catalog}"."${table.schema}"."${table.table}"`
    const rows = await rowsIn(bench.warehouse, relation)
    const offsetPath = join(this.#config.stateDirectory, 'primary.offset.json')
    await assertEachLineOnce(bench.storage, this.#blobs, { rows, offsetPath })
    assert.equal(
      rows.length,
      rows.filter(({ blob }) => this.#blobs.some((one) => blob.endsWith(one))).length,
      'rows of other blobs',
    )
    if (mode.mode !== 'stage-only') {
      await assertVerified(this.#config, this.#blobs.length, { clock: this.#clock, logger: this.#logger })
    }
    return rows.length
  }

  get target(): DatabricksTarget {
    const { primary } = this.#config.pipelines
    if (primary?.sink.kind !== 'databricks') throw new Error('no Databricks pipeline')
    return sinkTarget('primary', primary) as DatabricksTarget
  }

  #resolvedConfig(): ResolvedConfig {
    const { bench, mode, seed, workspace } = this.#options
    const { directory } = bench
    const raw = bench.rawConfig({
      ...mode,
      host: `${workspace.host}:${workspace.port}`,
      auth: { kind: 'token', token: workspace.tokens.personal },
    })
    const primary = raw.pipelines.primary
    if (primary === undefined) throw new Error('no pipeline primary')
    return resolveConfig(
      {
        ...raw,
        pipelines: {
          primary: {
            ...primary,
            source: { ...primary.source, blobs: `s${seed}/` },
            table: postgresLogs(`${catalog}.${schema}.logs_${seed}`),
            batch: { maxRows: 40, maxAgeMs: 1_000 },
          },
        },
        stateDirectory: join(directory, `state-${seed}`),
      },
      directory,
    )
  }
}
