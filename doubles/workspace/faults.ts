import { type Random, seededRandom } from '../seeded-random.ts'
import { DroppedConnection, HttpRefusal } from './refusals.ts'
import type { SqlFailure } from './warehouse-engine.ts'

/** What can happen to any request. */
export type RequestFault =
  | {
      readonly kind: 'status'
      readonly status: number
      /** Such as `TEMPORARILY_UNAVAILABLE`. Default: the usual code of the status. */
      readonly errorCode?: string
      readonly message?: string
      readonly retryAfterSeconds?: number
    }
  /** The connection goes away and nothing was done. */
  | { readonly kind: 'drop-before' }
  /** All was done, a statement to its end, and the reply is lost. */
  | { readonly kind: 'drop-after' }

/** What can happen to a request with a session or an operation of one. */
export type SessionFault =
  | RequestFault
  /** The session and all of its operations end. A newer front end reports it with HTTP 400 instead of a Thrift status. */
  | { readonly kind: 'session-expired'; readonly saidBy?: 'http' }

/** What can happen to a statement. */
export type StatementFault =
  | SessionFault
  /** For this many status polls, or until it is released, the statement does not begin or, with `holds: 'end'`, its end is not reported. */
  | { readonly kind: 'slow'; readonly polls?: number; readonly holds?: 'end' }
  /** The reply is lost and with it the handle, while the statement continues. */
  | { readonly kind: 'orphan' }
  /** The statement is not executed and fails. */
  | { readonly kind: 'fail'; readonly failure: SqlFailure }

/** What can happen to the request of a route. */
export type RouteFault =
  | RequestFault
  /** The connection goes away when this many bytes of the body have come, or at its end if it is shorter. */
  | { readonly kind: 'cut-upload'; readonly afterBytes: number }

/** Where a fault strikes: at a route such as `PUT /api/2.0/fs/files/Volumes/…`, an RPC, or an ExecuteStatement. */
type Site =
  | { readonly route: RegExp; readonly fault: RouteFault }
  | { readonly rpc: string; readonly fault: SessionFault }
  | { readonly statement: RegExp; readonly fault: StatementFault }

export type FaultRule = Site & {
  /** The number of requests to fail. Default 1, or unlimited for a fault with a probability. */
  readonly times?: number
  /** The fraction of matching requests to fail, in [0, 1]. Default 1. */
  readonly probability?: number
}

/** The properties of a request that a fault can match. */
export interface FaultSite {
  readonly route?: string
  readonly rpc?: string
  readonly statement?: string
}

/** A rule at work. */
export class ScheduledFault {
  readonly rule: FaultRule
  /** Settles when the fault has struck for the first time. */
  readonly struck: Promise<void>
  /** Settles when the fault is released. */
  readonly released: Promise<void>
  #strikes = 0
  #isReleased = false
  #tellStruck = (): void => {}
  #tellReleased = (): void => {}

  constructor(rule: FaultRule) {
    this.rule = rule
    this.struck = new Promise((resolve) => {
      this.#tellStruck = resolve
    })
    this.released = new Promise((resolve) => {
      this.#tellReleased = resolve
    })
  }

  /** How many requests it has struck. */
  get strikes(): number {
    return this.#strikes
  }

  get isSpent(): boolean {
    const { times = this.rule.probability === undefined ? 1 : Number.POSITIVE_INFINITY } = this.rule
    return this.#isReleased || this.#strikes >= times
  }

  strike(): void {
    this.#strikes += 1
    this.#tellStruck()
  }

  /** Ends the fault, and lets go of the statements that it holds. */
  release(): void {
    this.#isReleased = true
    this.#tellReleased()
  }
}

/** The planned faults. At most one applies to a request: the first one added of those that match. */
export class FaultPlan {
  readonly #random: Random
  #scheduled: ScheduledFault[] = []

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  add(rule: FaultRule): ScheduledFault {
    const scheduled = new ScheduledFault(rule)
    this.#scheduled.push(scheduled)
    return scheduled
  }

  /** A warehouse that is not up: its statements wait, or it refuses sessions and statements, until released. */
  coldStart(as: 'waits' | 'refuses'): { release(): void } {
    const times = Number.POSITIVE_INFINITY
    const fault = { kind: 'status', status: 503, errorCode: 'TEMPORARILY_UNAVAILABLE' } as const
    const scheduled =
      as === 'waits'
        ? [this.add({ statement: /(?:)/, fault: { kind: 'slow' }, times })]
        : ['OpenSession', 'ExecuteStatement'].map((rpc) => this.add({ rpc, fault, times }))
    return {
      release: () => {
        for (const each of scheduled) each.release()
      },
    }
  }

  /** The fault that strikes this request. */
  strike(site: FaultSite): ScheduledFault | undefined {
    const scheduled = this.#scheduled.find(
      (each) =>
        !each.isSpent && matches(each.rule, site) && this.#random.next() < (each.rule.probability ?? 1),
    )
    scheduled?.strike()
    return scheduled
  }

  releaseAll(): void {
    for (const scheduled of this.#scheduled) scheduled.release()
  }
}

/**
 * Stops a request that is not to be executed.
 *
 * @throws HttpRefusal, DroppedConnection
 */
export function stopStruck(fault: FaultRule['fault'] | undefined): void {
  if (fault?.kind === 'drop-before') throw new DroppedConnection('Dropped before the execution.')
  if (fault?.kind !== 'status') return
  const { status, errorCode = usualCodes[status] ?? 'UNKNOWN', retryAfterSeconds } = fault
  const { message = `The request was refused with ${status}.` } = fault
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  throw new HttpRefusal(status, errorCode, message, headers)
}

const usualCodes: Readonly<Record<number, string>> = {
  400: 'BAD_REQUEST',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'REQUEST_LIMIT_EXCEEDED',
  500: 'INTERNAL_ERROR',
  503: 'TEMPORARILY_UNAVAILABLE',
}

function matches(rule: FaultRule, site: FaultSite): boolean {
  if ('route' in rule) return site.route !== undefined && rule.route.test(site.route)
  if ('rpc' in rule) return site.rpc === rule.rpc
  return site.statement !== undefined && rule.statement.test(site.statement)
}
