import assert from 'node:assert/strict'
import { posix } from 'node:path'
import type { Random } from '../../doubles/seeded-random.ts'
import { SimulatedClock } from '../../doubles/simulated-clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import { createLogger, type Logger, silentLogger } from '../../src/reporting/logger.ts'
import type { SupervisedPipeline } from '../../src/run/supervised-pipeline.ts'
import { commitPath } from '../../src/sinks/delta/protocol/actions.ts'
import { BlobService } from '../support/blob-service/blob-service.ts'
import { type WorldEvent, worldEvents } from '../support/blob-service/fault-plan.ts'
import { FaultyAnswers } from '../support/blob-service/faulty-answers.ts'
import type { ServiceRequest, StorageServer } from '../support/blob-service/protocol.ts'
import { withSeededChance } from '../support/blob-service/tail-schedule.ts'
import { History } from './history.ts'
import { assertAllLanded, isAllLanded } from './landed-whole.ts'
import { type CallVerdict, Life, MachineFiles } from './machine.ts'
import { installMemoryFiles, mount, systemError, unmountAll } from './memory-files.ts'
import { MemoryTableStorage, TableObjects, type TableVerdict, tableUnavailable } from './memory-table.ts'
import { offsetsIn, recognizableBy } from './offset-files.ts'
import {
  FaultDraws,
  fileFaults,
  type ProcessPlan,
  planWorld,
  processFaults,
  randomOf,
  tableFaults,
  type WorldChoice,
  type WorldPlan,
} from './plan.ts'
import { simulatedPipeline } from './process.ts'
import { VisibleTable } from './visible-table.ts'
import { container, WrittenBlob } from './written-blobs.ts'

const waits = { latencyMs: 400, retryAfterMs: 5_000, slowListingMs: 20_000 }

/** How long everything that is left may take once the world is calm: a refused blob waits for a day at most. */
const patienceMs = 3 * 24 * 3_600_000
const lookMs = 20_000
/** How long a process that was asked to stop may take. */
const stopMs = 30 * 60_000

/** Calls within which everything that is left lands once a world is calm: a few hours of polls. */
const maxCalmCalls = 40_000

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
])

/** What came of a world. */
export interface WorldReport {
  readonly plan: WorldPlan
  readonly history: History
  /** Calls that were made until the world was calm, and after it. */
  readonly calls: number
  readonly commits: number
  readonly lives: number
  readonly failure: Error | undefined
}

/**
 * Runs one world to its end, in virtual time. A choice has one report.
 *
 * @param options.logs whether the history has the warnings of the processes, too
 */
export async function runWorld(choice: WorldChoice, { logs = false } = {}): Promise<WorldReport> {
  installMemoryFiles()
  const clock = new SimulatedClock()
  const world = new World(planWorld(choice), clock, logs)
  const rejected = (reason: unknown): void =>
    world.fail(new Error(`unhandled rejection: ${reason}`, { cause: reason }))
  process.on('unhandledRejection', rejected)
  try {
    await withSeededChance(choice.seed, () => clock.run(world.run()))
  } catch (error) {
    world.fail(error)
  } finally {
    process.off('unhandledRejection', rejected)
    unmountAll()
  }
  return world.report()
}

class World {
  readonly #plan: WorldPlan
  readonly #clock: SimulatedClock
  readonly #history: History
  readonly #logs: boolean
  readonly #draws: FaultDraws
  readonly #service: BlobService
  readonly #blobs: readonly (WrittenBlob | undefined)[]
  readonly #table = new VisibleTable()
  readonly #objects: TableObjects
  readonly #machines = new Map<string, MachineFiles>()
  readonly #running = new Map<string, { readonly life: Life; readonly pipeline: SupervisedPipeline }>()
  readonly #writes: Random
  readonly #latencies: Random
  readonly #downtimes: Random
  readonly #lives = new Map<string, number>()
  /** Processes that do not come back. */
  readonly #gone = new Set<string>()
  #calls = 0
  #isEnding = false
  #failure: Error | undefined

  constructor(plan: WorldPlan, clock: SimulatedClock, logs: boolean) {
    this.#logs = logs
    this.#plan = plan
    this.#clock = clock
    this.#history = new History(clock)
    this.#draws = new FaultDraws(plan)
    this.#writes = randomOf(plan.seed, 'writers')
    this.#latencies = randomOf(plan.seed, 'latencies')
    this.#downtimes = randomOf(plan.seed, 'downtimes')
    this.#service = new BlobService(clock)
    this.#service.createContainer(container)
    this.#blobs = plan.cast.blobs.map((blob) =>
      plan.blobs.includes(blob)
        ? new WrittenBlob(blob, this.#service, randomOf(plan.seed, `content of ${blob.id}`))
        : undefined,
    )
    this.#objects = new TableObjects(clock, (path, bytes) => this.#noteCreated(path, bytes))
    for (const { id } of plan.processes) this.#machines.set(id, new MachineFiles())
  }

  report(): WorldReport {
    return {
      plan: this.#plan,
      history: this.#history,
      calls: this.#calls,
      commits: this.#table.version,
      lives: [...this.#lives.values()].reduce((sum, lives) => sum + lives, 0),
      failure: this.#failure,
    }
  }

  /** The first failure is the world's. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error instanceof Error ? error : new Error(String(error))
    this.#history.note('world', `FAILED: ${this.#failure.message}`)
  }

  async run(): Promise<void> {
    for (const blob of this.#written)
      if (this.#writes.next() < 0.8) this.#note(blob, blob.happen('append', sure))
    const processes = this.#plan.processes.map((plan) => this.#runProcess(plan))
    const ended = Promise.all(processes)
    // One that fails has noted it.
    ended.catch((error: unknown) => this.fail(error))
    await this.#settle()
    this.#isEnding = true
    for (const { life, pipeline } of this.#running.values()) {
      this.#history.note(life.id, 'is asked to stop')
      pipeline.stop()
    }
    if (this.#failure !== undefined) {
      for (const { life } of this.#running.values()) life.end()
      return
    }
    const late = new AbortController()
    const isLate = this.#clock.sleep(stopMs, late.signal).then(
      () => true,
      () => false,
    )
    if (await Promise.race([ended.then(() => false), isLate]))
      return this.fail(new Error(`${[...this.#running.keys()].join(', ')} did not stop.`))
    late.abort()
    this.#assertEnd()
  }

  get #written(): readonly WrittenBlob[] {
    return this.#blobs.filter((blob) => blob !== undefined)
  }

  get #isCalm(): boolean {
    return this.#calls >= this.#plan.steps
  }

  /** Waits until the world is calm and everything has landed, and finds it so a while later, too. */
  async #settle(): Promise<void> {
    while (!this.#isCalm && this.#failure === undefined) {
      const before = this.#calls
      await this.#clock.sleep(lookMs)
      // Nobody is there who could call.
      if (before === this.#calls && this.#plan.processes.length === 0) return
    }
    this.#history.note('world', 'is calm from here on')
    this.#takeSomeAway()
    for (const blob of this.#written) {
      if (this.#writes.next() < 0.7) this.#note(blob, blob.happen('append', sure))
      blob.finish()
    }
    const untilMs = this.#clock.now() + patienceMs
    for (let atRest = 0; atRest < 3 && this.#clock.now() < untilMs && this.#failure === undefined; ) {
      await this.#clock.sleep(lookMs)
      atRest = isAllLanded(this.#reachable, this.#table) ? atRest + 1 : 0
    }
  }

  /** Some processes are killed and do not come back: the others land all that these would have landed. */
  #takeSomeAway(): void {
    for (const { id } of this.#plan.processes) {
      const left = this.#staying.filter((other) => other.id !== id)
      if (this.#downtimes.next() > 0.4 || reachableBy(left, this.#written).length < this.#reachable.length)
        continue
      this.#gone.add(id)
      this.#history.note(id, 'is gone for good')
      this.#running.get(id)?.life.end()
    }
  }

  get #staying(): readonly ProcessPlan[] {
    return this.#plan.processes.filter(({ id }) => !this.#gone.has(id))
  }

  /** Blobs that some process lands. */
  get #reachable(): readonly WrittenBlob[] {
    return reachableBy(this.#plan.processes, this.#written)
  }

  #assertEnd(): void {
    assertAllLanded(this.#reachable, this.#service, this.#table)
    const [first, ...others] = this.#plan.processes
    if (first === undefined || others.length > 0) return
    // The only process of a table has heard of every commit.
    assert.deepEqual(
      offsetsIn(this.#machines.get(first.id)!),
      [...this.#table.offsets]
        .map(({ blob, generation, offset }) => `${blob}@${generation} ${offset}`)
        .sort(),
      'the offset file is not equal to the table',
    )
  }

  /** Starts a process again and again, after each of its ends. */
  async #runProcess(plan: ProcessPlan): Promise<void> {
    await this.#clock.sleep(this.#downtimes.between(0, 5_000))
    while (!this.#isEnding && !this.#gone.has(plan.id) && this.#failure === undefined) {
      await this.#runLife(plan)
      // A process that has ended while everything is landed stays down until the others are asked to stop.
      if (!this.#isEnding)
        await this.#clock.sleep(this.#downtimes.between(500, this.#isCalm ? 30_000 : 120_000))
    }
  }

  async #runLife(plan: ProcessPlan): Promise<void> {
    const number = (this.#lives.get(plan.id) ?? 0) + 1
    this.#lives.set(plan.id, number)
    const life = new Life(`${plan.id}.${number}`, this.#machines.get(plan.id)!, this.#clock)
    const root = mount(life, (caller, call, path, writes) => this.#fileVerdict(caller, call, path, writes))
    const blobName = this.#blobNameOf(plan)
    this.#history.note(life.id, `starts${plan.follow ? '' : ' a drain'} of ${blobName ?? 'all blobs'}`)
    const pipeline = simulatedPipeline({
      plan,
      blobName,
      life,
      root,
      server: this.#serverFor(life),
      storage: new MemoryTableStorage(
        this.#objects,
        life,
        (caller, call, path, isConditional) => this.#tableVerdict(caller, call, path, isConditional),
        this.#clock,
      ),
      seed: this.#plan.seed,
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
      (error: unknown) => `ends with ${codeOf(error)}`,
    )
    const how = await Promise.race([outcome, life.ended.then(() => 'is killed')])
    for (const code of pipeline.failuresByCode.keys())
      if (!explained.has(code))
        this.fail(
          new Error(`${life.id} failed with ${code}: ${pipeline.failure?.reason}`, {
            cause: pipeline.failure?.error,
          }),
        )
    this.#history.note(life.id, how)
    life.end()
    this.#running.delete(plan.id)
  }

  /** What a process warns of, for the history; it says nothing once it is gone. */
  #loggerOf(life: Life): Logger {
    if (!this.#logs) return silentLogger
    const write = (line: string): void => {
      if (!life.isAlive) return
      const { msg, err } = JSON.parse(line) as {
        msg: string
        err?: { code?: string; message: string; stack?: string }
      }
      const cause = err === undefined ? '' : `: ${err.code ?? err.stack ?? ''} ${err.message}`
      this.#history.note(life.id, `logs ${msg}${cause}`)
    }
    return createLogger({ level: 'warn', pretty: false, output: { write } })
  }

  #blobNameOf({ onlyBlob }: ProcessPlan): string | undefined {
    if (onlyBlob === undefined) return undefined
    const blob = this.#blobs.find((one) => one?.plan.id === onlyBlob)
    return blob?.name ?? `p/${onlyBlob}.left-out`
  }

  /** The account as one process reaches it. */
  #serverFor(life: Life): StorageServer {
    let isCalm = false
    let about = ''
    const answers = new FaultyAnswers(this.#service, {
      waits,
      random: this.#latencies,
      event: () => (isCalm ? undefined : this.#draws.draw('writers', worldEvents)),
      happen: (event) => this.#happen(event),
      fault: (kinds) => (isCalm ? undefined : this.#draws.draw('answers', kinds)),
      note: (line) => {
        if (!isCalm || line.includes('206')) this.#history.note(life.id, `${about} ${line}`)
      },
    })
    return {
      answer: (request) => {
        about = blobOf(request)
        isCalm = this.#isCalm
        const reply = answers.answer(request)
        if (this.#processVerdict(life, `a request for ${about}`).isLast) life.end()
        return reply
      },
    }
  }

  #happen(event: WorldEvent): string | undefined {
    const blob = this.#blobs[this.#writes.between(0, this.#blobs.length - 1)]
    if (blob === undefined) return undefined
    const machines = this.#plan.processes
      .filter(({ onlyBlob }) => onlyBlob === undefined || onlyBlob === blob.plan.id)
      .map(({ id }) => this.#machines.get(id)!)
    const what = blob.happen(event, recognizableBy(machines, blob))
    this.#note(blob, what)
    return what === undefined ? undefined : `${blob.plan.id}: ${what}`
  }

  #note(blob: WrittenBlob, what: string | undefined): void {
    if (what !== undefined) this.#history.note(blob.plan.id, what)
  }

  #fileVerdict(life: Life, call: string, path: string, writes: boolean): CallVerdict {
    const wasCalm = this.#isCalm
    const verdict = this.#processVerdict(life, `${call} of ${posix.basename(path)}`)
    const fault = wasCalm ? undefined : this.#draws.draw('files', fileFaults)
    if (fault === undefined || !life.isAlive || (fault === 'disk-full' && !writes)) return verdict
    this.#history.note(life.id, `${call} of ${plainName(path)}: ${fault}`)
    return { ...verdict, error: systemError(fault === 'disk-full' ? 'ENOSPC' : 'EIO', call, path) }
  }

  #tableVerdict(life: Life, call: string, path: string, isConditional: boolean): TableVerdict {
    const wasCalm = this.#isCalm
    const verdict = {
      ...this.#processVerdict(life, `${call} of ${plainName(path)}`),
      ms: this.#latencies.between(2, waits.latencyMs),
    }
    const fault = wasCalm ? undefined : this.#draws.draw('table', tableFaults)
    if (fault === undefined || !life.isAlive) return verdict
    if (fault !== 'table-unavailable' && fault !== 'table-slow' && !isConditional) return verdict
    this.#history.note(life.id, `${call} of ${plainName(path)}: ${fault}`)
    switch (fault) {
      case 'table-unavailable':
        return { ...verdict, error: tableUnavailable() }
      case 'table-slow':
        return { ...verdict, ms: this.#latencies.between(1_000, 60_000) }
      case 'table-lost-reply':
        return { ...verdict, unanswered: 'done' }
      case 'table-lost-request':
        return { ...verdict, unanswered: 'never' }
      case 'table-late-request':
        return { ...verdict, unanswered: { afterMs: this.#latencies.between(1, 20_000) } }
    }
  }

  /** Counts a call, and decides whether the process outlives it. */
  #processVerdict(life: Life, what: string): CallVerdict {
    if (!life.isAlive) return {}
    const isCalm = this.#isCalm
    this.#calls += 1
    if (this.#calls === this.#plan.steps + maxCalmCalls)
      this.fail(new Error(`The world is busy ${maxCalmCalls} calls after it became calm.`))
    const fault = isCalm ? undefined : this.#draws.draw('processes', processFaults)
    if (fault === undefined) return {}
    this.#history.note(life.id, `${fault} at ${what}`)
    if (fault === 'stop') this.#running.get(life.id.split('.')[0]!)?.pipeline.stop()
    if (fault === 'crash') life.end()
    return { isLast: fault === 'crash-unheard' }
  }

  #noteCreated(path: string, bytes: Buffer): void {
    const version = Number(posix.basename(path, '.json'))
    if (path !== commitPath(version)) return
    try {
      const { moves, rows } = this.#table.apply(version, bytes, (file) => this.#objects.get(file))
      this.#history.note('table', `version ${version}: ${rows} rows, ${moves.join(', ') || 'no offsets'}`)
    } catch (error) {
      this.fail(error)
    }
  }
}

/** For what happens before any process has looked, or when none has to look any more. */
const sure = { overwrite: false, truncateTo: 0 }

function reachableBy(
  processes: readonly ProcessPlan[],
  blobs: readonly WrittenBlob[],
): readonly WrittenBlob[] {
  return blobs.filter(({ plan }) =>
    processes.some(({ onlyBlob }) => onlyBlob === undefined || onlyBlob === plan.id),
  )
}

function blobOf({ url }: ServiceRequest): string {
  if (url.includes('comp=list')) return 'listing'
  return decodeURIComponent(new URL(url).pathname.split('/').at(-1)!)
}

/** A file's name without the part of it that no seed repeats. */
function plainName(path: string): string {
  return posix.basename(path).replace(/[\da-f]{8}-[\da-f-]{27}/g, '…')
}

function codeOf(error: unknown): string {
  return isTailraceError(error) ? error.code : String(error)
}
