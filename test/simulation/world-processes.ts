import type { Random } from '../../doubles/seeded-random.ts'
import type { Clock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import { createLogger, type Logger, silentLogger } from '../../src/reporting/logger.ts'
import type { SupervisedPipeline } from '../../src/run/supervised-pipeline.ts'
import type { History } from './history.ts'
import { Life, MachineFiles } from './machine.ts'
import { mount } from './memory-files.ts'
import { type ProcessPlan, randomOf, type WorldPlan } from './plan.ts'
import { type OpenCommitter, simulatedPipeline } from './process.ts'
import type { WorldCalls } from './world-calls.ts'

/** How long a process that was asked to stop may take. */
const stopMs = 30 * 60_000

/** Ends of a pipeline that the faults of a world explain; it is started again after them. */
const explained: ReadonlySet<string> = new Set([
  'COMMIT_CONTENDED',
  'COMMIT_UNKNOWN',
  'DIRECTORY_UNUSABLE',
  'DISK_FULL',
  'SOURCE_DENIED',
  'SOURCE_UNAVAILABLE',
  'SOURCE_UNSUPPORTED',
  'TABLE_UNAVAILABLE',
  'WAREHOUSE_DENIED',
  'WAREHOUSE_UNAVAILABLE',
])

export interface WorldProcessesOptions {
  readonly plan: WorldPlan
  readonly clock: Clock
  readonly calls: WorldCalls
  readonly history: History
  readonly openCommitter: OpenCommitter
  /** The name of the only blob that a process lands. */
  readonly blobNameOf: (plan: ProcessPlan) => string | undefined
  /** Whether the history has the warnings of the processes, too. */
  readonly logs: boolean
  /** Whether the world has failed. */
  readonly hasFailed: () => boolean
  readonly fail: (error: unknown) => void
}

/** The processes of a world: each is started again after each of its ends, until all are asked to stop. */
export class WorldProcesses {
  readonly #options: WorldProcessesOptions
  readonly #machines = new Map<string, MachineFiles>()
  readonly #running = new Map<string, { readonly life: Life; readonly pipeline: SupervisedPipeline }>()
  readonly #downtimes: Random
  readonly #lives = new Map<string, number>()
  /** Processes that do not come back. */
  readonly #gone = new Set<string>()
  #isEnding = false
  #ended: Promise<unknown> = Promise.resolve()

  constructor(options: WorldProcessesOptions) {
    this.#options = options
    this.#downtimes = randomOf(options.plan.seed, 'downtimes')
    for (const { id } of options.plan.processes) this.#machines.set(id, new MachineFiles())
  }

  /** Starts of processes. */
  get lives(): number {
    return [...this.#lives.values()].reduce((sum, lives) => sum + lives, 0)
  }

  filesOf({ id }: Pick<ProcessPlan, 'id'>): MachineFiles {
    return this.#machines.get(id)!
  }

  start(): void {
    this.#ended = Promise.all(this.#options.plan.processes.map((plan) => this.#runProcess(plan)))
    // One that fails has noted it.
    this.#ended.catch((error: unknown) => this.#options.fail(error))
  }

  /** Asks the process of a life to stop. */
  stopOne({ id }: Life): void {
    this.#running.get(id.split('.')[0]!)?.pipeline.stop()
  }

  /**
   * Asks all processes to stop.
   *
   * @returns the ids of those that have not ended in time
   */
  async stopAll(): Promise<readonly string[]> {
    const { clock, history, hasFailed } = this.#options
    this.#isEnding = true
    for (const { life, pipeline } of this.#running.values()) {
      history.note(life.id, 'is asked to stop')
      pipeline.stop()
    }
    if (hasFailed()) {
      for (const { life } of this.#running.values()) life.end()
      return []
    }
    const late = new AbortController()
    const isLate = clock.sleep(stopMs, late.signal).then(
      () => true,
      () => false,
    )
    if (await Promise.race([this.#ended.then(() => false), isLate])) return [...this.#running.keys()]
    late.abort()
    return []
  }

  /**
   * Kills some processes that do not come back: the others land all that these would have landed.
   *
   * @param mayLack whether the remaining processes land everything
   */
  takeSomeAway(mayLack: (left: readonly ProcessPlan[]) => boolean): void {
    for (const { id } of this.#options.plan.processes) {
      const left = this.#options.plan.processes.filter(
        (other) => other.id !== id && !this.#gone.has(other.id),
      )
      if (this.#downtimes.next() > 0.4 || !mayLack(left)) continue
      this.#gone.add(id)
      this.#options.history.note(id, 'is gone for good')
      this.#running.get(id)?.life.end()
    }
  }

  async #runProcess(plan: ProcessPlan): Promise<void> {
    const { clock, calls, hasFailed } = this.#options
    await clock.sleep(this.#downtimes.between(0, 5_000))
    while (!this.#isEnding && !this.#gone.has(plan.id) && !hasFailed()) {
      await this.#runLife(plan)
      // A process that has ended while everything is landed stays down until the others are asked to stop.
      if (!this.#isEnding) await clock.sleep(this.#downtimes.between(500, calls.isCalm ? 30_000 : 120_000))
    }
  }

  async #runLife(plan: ProcessPlan): Promise<void> {
    const { clock, calls, history, blobNameOf, openCommitter, fail } = this.#options
    const number = (this.#lives.get(plan.id) ?? 0) + 1
    this.#lives.set(plan.id, number)
    const life = new Life(`${plan.id}.${number}`, this.filesOf(plan), clock)
    const root = mount(life, (caller, call, path, writes) => calls.fileVerdict(caller, call, path, writes))
    const blobName = blobNameOf(plan)
    history.note(life.id, `starts${plan.follow ? '' : ' a drain'} of ${blobName ?? 'all blobs'}`)
    const pipeline = simulatedPipeline({
      plan,
      blobName,
      life,
      root,
      server: calls.serverFor(life),
      openCommitter,
      seed: this.#options.plan.seed,
      logger: this.#loggerOf(life),
    })
    this.#running.set(plan.id, { life, pipeline })
    const work = pipeline
      .open()
      .catch((error: unknown) => {
        if (!plan.follow) throw error
      })
      .then(() => pipeline.run())
    const outcome = work.then(
      () => 'ends',
      (error: unknown) => `ends with ${isTailraceError(error) ? error.code : String(error)}`,
    )
    const how = await Promise.race([outcome, life.ended.then(() => 'is killed')])
    for (const code of pipeline.failuresByCode.keys())
      if (!explained.has(code))
        fail(
          new Error(`${life.id} failed with ${code}: ${pipeline.failure?.reason}`, {
            cause: pipeline.failure?.error,
          }),
        )
    history.note(life.id, how)
    life.end()
    this.#running.delete(plan.id)
  }

  /** Adds the warnings of a process to the history, as long as it is alive. */
  #loggerOf(life: Life): Logger {
    if (!this.#options.logs) return silentLogger
    const write = (line: string): void => {
      if (!life.isAlive) return
      const { msg, err } = JSON.parse(line) as {
        msg: string
        err?: { code?: string; message: string; stack?: string }
      }
      const cause = err === undefined ? '' : `: ${err.code ?? err.stack ?? ''} ${err.message}`
      this.#options.history.note(life.id, `logs ${msg}${cause}`)
    }
    return createLogger({ level: 'warn', pretty: false, output: { write } })
  }
}
