import { posix } from 'node:path'
import type { Random } from '../../doubles/seeded-random.ts'
import type { BlobService } from '../support/blob-service/blob-service.ts'
import { type WorldEvent, worldEvents } from '../support/blob-service/fault-plan.ts'
import { FaultyAnswers } from '../support/blob-service/faulty-answers.ts'
import type { ServiceRequest, StorageServer } from '../support/blob-service/protocol.ts'
import type { History } from './history.ts'
import type { CallVerdict, Life } from './machine.ts'
import { systemError } from './memory-files.ts'
import {
  FaultDraws,
  type FaultGroup,
  fileFaults,
  processFaults,
  randomOf,
  type WorldFault,
  type WorldPlan,
} from './plan.ts'

const waits = { latencyMs: 400, retryAfterMs: 5_000, slowListingMs: 20_000 }

/** Calls within which everything that is left lands once a world is calm: a few hours of polls. */
const maxCalmCalls = 40_000

/** What can happen at a call to a table. */
/** A world goes on and on, because not everything has landed, or because processes do needless work. */
export class BusyWorld extends Error {}

export interface TableFaults<Fault extends WorldFault> {
  readonly group: FaultGroup
  readonly faults: readonly Fault[]
  readonly isPossible: (fault: Fault) => boolean
}

export interface WorldCallsOptions {
  readonly plan: WorldPlan
  readonly history: History
  readonly service: BlobService
  /** Lets an event happen to a blob. @returns its description, if there was a blob for it */
  readonly happen: (event: WorldEvent) => string | undefined
  /** Asks a process to stop. */
  readonly stop: (life: Life) => void
  readonly fail: (error: unknown) => void
}

/** The calls that processes make to anything outside of them: counts them and draws the outcome of each. */
export class WorldCalls {
  readonly #options: WorldCallsOptions
  readonly #draws: FaultDraws
  readonly #latencies: Random
  #count = 0

  constructor(options: WorldCallsOptions) {
    this.#options = options
    this.#draws = new FaultDraws(options.plan)
    this.#latencies = randomOf(options.plan.seed, 'latencies')
  }

  get count(): number {
    return this.#count
  }

  /** Whether the world has stopped to misbehave. */
  get isCalm(): boolean {
    return this.#count >= this.#options.plan.steps
  }

  /** The storage account as one process reaches it. */
  serverFor(life: Life): StorageServer {
    const { service, history, happen } = this.#options
    let isCalm = false
    let about = ''
    const answers = new FaultyAnswers(service, {
      waits,
      random: this.#latencies,
      event: () => (isCalm ? undefined : this.#draws.draw('writers', worldEvents)),
      happen,
      fault: (kinds) => (isCalm ? undefined : this.#draws.draw('answers', kinds)),
      note: (line) => {
        if (!isCalm || line.includes('206')) history.note(life.id, `${about} ${line}`)
      },
    })
    return {
      answer: (request) => {
        about = blobOf(request)
        isCalm = this.isCalm
        const reply = answers.answer(request)
        if (this.#processVerdict(life, `a request for ${about}`).isLast) life.end()
        return reply
      },
    }
  }

  /** @param writes whether the call takes space on the disk */
  fileVerdict(life: Life, call: string, path: string, writes: boolean): CallVerdict {
    const wasCalm = this.isCalm
    const verdict = this.#processVerdict(life, `${call} of ${plainName(path)}`)
    const fault = wasCalm ? undefined : this.#draws.draw('files', fileFaults)
    if (fault === undefined || !life.isAlive || (fault === 'disk-full' && !writes)) return verdict
    this.#options.history.note(life.id, `${call} of ${plainName(path)}: ${fault}`)
    return { ...verdict, error: systemError(fault === 'disk-full' ? 'ENOSPC' : 'EIO', call, path) }
  }

  /**
   * Draws the outcome of a call to a table.
   *
   * @param faults of one group; a drawn one that is not possible at this call does nothing
   */
  tableVerdict<Fault extends WorldFault>(
    life: Life,
    call: string,
    { group, faults, isPossible }: TableFaults<Fault>,
  ): { readonly verdict: CallVerdict; readonly fault: Fault | undefined } {
    const wasCalm = this.isCalm
    const verdict = { ...this.#processVerdict(life, call), ms: this.between(2, waits.latencyMs) }
    const fault = wasCalm ? undefined : this.#draws.draw(group, faults)
    if (fault === undefined || !life.isAlive || !isPossible(fault)) return { verdict, fault: undefined }
    this.#options.history.note(life.id, `${call}: ${fault}`)
    return { verdict, fault }
  }

  /** Draws a duration in milliseconds. */
  between(minMs: number, maxMs: number): number {
    return this.#latencies.between(minMs, maxMs)
  }

  /** Counts a call, and decides whether the process outlives it. */
  #processVerdict(life: Life, call: string): CallVerdict {
    if (!life.isAlive) return {}
    const { plan, history, stop, fail } = this.#options
    const { isCalm } = this
    this.#count += 1
    if (this.#count === plan.steps + maxCalmCalls)
      fail(new BusyWorld(`The world is busy ${maxCalmCalls} calls after it became calm.`))
    const fault = isCalm ? undefined : this.#draws.draw('processes', processFaults)
    if (fault === undefined) return {}
    history.note(life.id, `${fault} at ${call}`)
    if (fault === 'stop') stop(life)
    if (fault === 'crash' || fault === 'crash-diskless') life.end()
    if (fault === 'crash-diskless') life.machine.nodes.clear()
    return { isLast: fault === 'crash-unheard' }
  }
}

/** A path's last part without what no seed repeats: unique names and the process's id. */
export function plainName(path: string): string {
  return posix
    .basename(path)
    .replace(/[\da-f]{8}-[\da-f-]{27}/g, '…')
    .replace(/\.\d+\.tmp$/, '.tmp')
}

function blobOf({ url }: ServiceRequest): string {
  if (url.includes('comp=list')) return 'listing'
  return decodeURIComponent(new URL(url).pathname.split('/').at(-1)!)
}
