import { seededRandom } from '../../../doubles/seeded-random.ts'

/** What becomes of the answer to any request. */
export const answerFaults = [
  'throttled',
  'server-busy',
  'server-error',
  'bad-gateway',
  'gateway-timeout',
  'request-timeout',
  'reset-before-head',
  'reset-in-body',
  'stall-before-head',
  'stall-in-body',
  'short-body',
  'denied-once',
] as const

/** What becomes of the answer to a read. */
export const readFaults = ['wrong-416', 'wrong-412'] as const

/**
 * Answers that are not storage's, or not to this request, though they are whole and look well. Those of a length of
 * their own are what a wrong cache or a gateway makes of a range; in `doubled-body` and `shifted-body` the length is
 * right and the checksum is that of the right bytes.
 */
export const lies = [
  'longer-body',
  'shorter-body',
  'short-length',
  'other-range',
  'whole-for-range',
  'doubled-body',
  'shifted-body',
  'packed-body',
  'lengthless-body',
  'portal-page',
  'portal-not-found',
  'denied',
] as const

/** What becomes of a page of a listing. A page that fails half-way is `reset-in-body`. */
export const listingFaults = ['slow-listing', 'repeated-names', 'reordered-names', 'listing-416'] as const

/** What happens to the watched blob just before a request is answered, or while its answer is on the way. */
export const worldEvents = [
  'append',
  'append-in-answer',
  'touch',
  'recreate',
  'overwrite',
  'truncate',
  'remove',
] as const

export type AnswerFault =
  | (typeof answerFaults)[number]
  | (typeof readFaults)[number]
  | (typeof lies)[number]
  | (typeof listingFaults)[number]
export type WorldEvent = (typeof worldEvents)[number]
export type FaultKind = AnswerFault | WorldEvent

/** How long things take, in milliseconds; the real choice is seeded, up to these. */
export interface Waits {
  /** Before a head, and before each piece of a body. */
  readonly latencyMs: number
  /** What Retry-After asks for; from 1,000 on it may be said in seconds. */
  readonly retryAfterMs: number
  readonly slowListingMs: number
}

/** Which misbehavior is on. With the requests that come in, this is all that decides what happens: it can be replayed. */
export interface FaultPlan {
  readonly seed: number
  /** The chance of each kind at one request; what is not named is off. Faults of answers add up to at most 1, and so do events. */
  readonly chances: Readonly<Partial<Record<FaultKind, number>>>
  /** From this request on, counted from 0, the service behaves and the world stands still. */
  readonly untilRequest: number
  readonly waits: Waits
}

export const noWaits: Waits = { latencyMs: 0, retryAfterMs: 0, slowListingMs: 0 }

export interface PlanLimits {
  /** The kinds to choose from. */
  readonly kinds: readonly FaultKind[]
  /** The most requests that it misbehaves at. */
  readonly requests: number
  readonly waits: Waits
}

/** Chooses some of the kinds and how often they come: with all on at once, most would hide the others. */
export function drawFaultPlan(seed: number, { kinds, requests, waits }: PlanLimits): FaultPlan {
  const random = seededRandom(seed)
  const drawn = kinds.map(
    (kind) => [kind, random.next() < 0.5 ? 0.02 + 0.3 * random.next() ** 2 : 0] as const,
  )
  const chances: Partial<Record<FaultKind, number>> = {}
  for (const group of [worldEvents, [...answerFaults, ...readFaults, ...lies], listingFaults]) {
    const members = drawn.filter(
      ([kind, chance]) => chance > 0 && (group as readonly string[]).includes(kind),
    )
    const sum = members.reduce((total, [, chance]) => total + chance, 0)
    for (const [kind, chance] of members) chances[kind] = chance / Math.max(1, sum / 0.8)
  }
  return { seed, chances, untilRequest: random.between(requests >> 2, requests), waits }
}

/** @returns the plan in one line: its seed, and the kinds with their chances */
export function describePlan({ seed, chances, untilRequest }: FaultPlan): string {
  const kinds = Object.entries(chances).map(([kind, chance]) => `${kind} ${Math.round(100 * chance)}%`)
  return `seed ${seed}, ${untilRequest} requests: ${kinds.join(', ') || 'no faults'}`
}
