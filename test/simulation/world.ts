import assert from 'node:assert/strict'
import type { Random } from '../../doubles/seeded-random.ts'
import { SimulatedClock } from '../../doubles/simulated-clock.ts'
import type { LandedOffset } from '../../src/offsets/landed-offsets.ts'
import { generationKey } from '../../src/records.ts'
import { BlobService } from '../support/blob-service/blob-service.ts'
import type { WorldEvent } from '../support/blob-service/fault-plan.ts'
import { withSeededChance } from '../support/blob-service/tail-schedule.ts'
import { SimulatedDeltaTable } from './delta-table.ts'
import { History } from './history.ts'
import { assertAllLanded, isAllLanded } from './landed-whole.ts'
import { installMemoryFiles, unmountAll } from './memory-files.ts'
import { landedIn, recognizableBy } from './offset-files.ts'
import { type ProcessPlan, planWorld, randomOf, type WorldChoice, type WorldPlan } from './plan.ts'
import type { SimulatedTable } from './process.ts'
import { SimulatedWorkspaceTable } from './workspace-table.ts'
import { BusyWorld, WorldCalls } from './world-calls.ts'
import { WorldProcesses } from './world-processes.ts'
import { container, WrittenBlob } from './written-blobs.ts'

/** How long everything that is left may take once the world is calm: a refused blob waits for a day at most. */
const patienceMs = 3 * 24 * 3_600_000
const lookMs = 20_000

/** The result of a world. */
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

/** The blobs with their writers, the processes and their table, from the start to the end of a world. */
class World {
  readonly #plan: WorldPlan
  readonly #clock: SimulatedClock
  readonly #history: History
  readonly #service: BlobService
  readonly #blobs: readonly (WrittenBlob | undefined)[]
  readonly #calls: WorldCalls
  readonly #table: SimulatedTable
  readonly #processes: WorldProcesses
  readonly #writes: Random
  #failure: Error | undefined

  constructor(plan: WorldPlan, clock: SimulatedClock, logs: boolean) {
    this.#plan = plan
    this.#clock = clock
    this.#history = new History(clock)
    this.#writes = randomOf(plan.seed, 'writers')
    this.#service = new BlobService(clock)
    this.#service.createContainer(container)
    this.#blobs = plan.cast.blobs.map((blob) =>
      plan.blobs.includes(blob)
        ? new WrittenBlob(blob, this.#service, randomOf(plan.seed, `content of ${blob.id}`))
        : undefined,
    )
    const shared = { plan, clock, history: this.#history, fail: (error: unknown) => this.fail(error) }
    this.#calls = new WorldCalls({
      ...shared,
      service: this.#service,
      happen: (event) => this.#happen(event),
      stop: (life) => this.#processes.stopOne(life),
    })
    this.#table =
      plan.sink === 'delta'
        ? new SimulatedDeltaTable({ ...shared, calls: this.#calls })
        : new SimulatedWorkspaceTable({
            ...shared,
            mode: plan.sink,
            calls: this.#calls,
            filesOf: (process) => this.#processes.filesOf(process),
          })
    this.#processes = new WorldProcesses({
      ...shared,
      calls: this.#calls,
      openCommitter: this.#table.openCommitter,
      blobNameOf: (process) => this.#blobNameOf(process),
      hasFailed: () => this.#failure !== undefined,
      logs,
    })
  }

  report(): WorldReport {
    return {
      plan: this.#plan,
      history: this.#history,
      calls: this.#calls.count,
      commits: this.#table.commits,
      lives: this.#processes.lives,
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
    this.#processes.start()
    await this.#settle()
    const late = await this.#processes.stopAll()
    if (late.length > 0) this.fail(new Error(`${late.join(', ')} did not stop.`))
    if (this.#failure === undefined) this.#assertEnd()
    else if (this.#failure instanceof BusyWorld) this.#failure = this.#explained(this.#failure)
  }

  /** Adds what has not landed as it should, for which a process is started again and again. */
  #explained(busy: BusyWorld): Error {
    try {
      this.#assertEnd()
      return busy
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return new Error(`${busy.message} ${why}`, { cause: error })
    }
  }

  /** Waits until the world is calm and everything has landed, and finds it so a while later, too. */
  async #settle(): Promise<void> {
    while (!this.#calls.isCalm && this.#failure === undefined) {
      const before = this.#calls.count
      await this.#clock.sleep(lookMs)
      // Nobody is there who could call.
      if (before === this.#calls.count && this.#plan.processes.length === 0) return
    }
    this.#history.note('world', 'is calm from here on')
    this.#processes.takeSomeAway((left) => reachableBy(left, this.#written).length === this.#reachable.length)
    for (const blob of this.#written) {
      if (this.#writes.next() < 0.7) this.#note(blob, blob.happen('append', sure))
      blob.finish()
    }
    const untilMs = this.#clock.now() + patienceMs
    for (let atRest = 0; atRest < 3 && this.#clock.now() < untilMs && this.#failure === undefined; ) {
      await this.#clock.sleep(lookMs)
      atRest = isAllLanded(this.#reachable, this.#table.visible) ? atRest + 1 : 0
    }
  }

  get #written(): readonly WrittenBlob[] {
    return this.#blobs.filter((blob) => blob !== undefined)
  }

  /** Blobs that some process lands. */
  get #reachable(): readonly WrittenBlob[] {
    return reachableBy(this.#plan.processes, this.#written)
  }

  #assertEnd(): void {
    const { visible } = this.#table
    assertAllLanded(this.#reachable, this.#service, visible)
    const [first, ...others] = this.#plan.processes
    if (first === undefined || others.length > 0) return
    // The only process of a table has heard of every commit.
    const inFile = placesOf(landedIn(this.#processes.filesOf(first)))
    const all = new Set(placesOf(visible.offsets))
    assert.deepEqual(
      inFile.filter((place) => !all.has(place)),
      [],
      'the offset file has offsets that the table has not',
    )
    assert.deepEqual(
      placesOf(visible.unarchived ?? visible.offsets).filter((place) => !inFile.includes(place)),
      [],
      'the offset file lacks offsets of the table',
    )
  }

  #blobNameOf({ onlyBlob }: ProcessPlan): string | undefined {
    if (onlyBlob === undefined) return undefined
    const blob = this.#blobs.find((one) => one?.plan.id === onlyBlob)
    return blob?.name ?? `p/${onlyBlob}.left-out`
  }

  #happen(event: WorldEvent): string | undefined {
    const blob = this.#blobs[this.#writes.between(0, this.#blobs.length - 1)]
    if (blob === undefined) return undefined
    const machines = this.#plan.processes
      .filter(({ onlyBlob }) => onlyBlob === undefined || onlyBlob === blob.plan.id)
      .map((process) => this.#processes.filesOf(process))
    // Without its disk a process does not remember the content that it has read.
    const forgets = this.#plan.faults.includes('crash-diskless')
    const what = blob.happen(event, forgets ? sure : recognizableBy(machines, blob))
    this.#note(blob, what)
    return what === undefined ? undefined : `${blob.plan.id}: ${what}`
  }

  #note(blob: WrittenBlob, what: string | undefined): void {
    if (what !== undefined) this.#history.note(blob.plan.id, what)
  }
}

/** For what happens before any process has looked, or when none has to look any more. */
const sure = { overwrite: false, truncateTo: 0 }

/** `blob@generation offset` of each, sorted. */
function placesOf(offsets: Iterable<LandedOffset>): readonly string[] {
  return [...offsets].map((landed) => `${generationKey(landed)} ${landed.offset}`).sort()
}

function reachableBy(
  processes: readonly ProcessPlan[],
  blobs: readonly WrittenBlob[],
): readonly WrittenBlob[] {
  return blobs.filter(({ plan }) =>
    processes.some(({ onlyBlob }) => onlyBlob === undefined || onlyBlob === plan.id),
  )
}
