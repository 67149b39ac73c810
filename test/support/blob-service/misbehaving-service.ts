import { type Random, seededRandom } from '../../../doubles/seeded-random.ts'
import { damages } from './answer-faults.ts'
import type { BlobService } from './blob-service.ts'
import {
  answerFaults,
  type FaultPlan,
  lies,
  listingFaults,
  readFaults,
  type WorldEvent,
  worldEvents,
} from './fault-plan.ts'
import type { Reply, ServiceRequest, StorageServer } from './protocol.ts'
import { WatchedBlob } from './watched-blob.ts'

const kindsOf = {
  read: [...answerFaults, ...readFaults, ...lies],
  list: [...answerFaults, ...listingFaults, ...lies],
}

/** Before anything was granted they are what a wrong configuration gets, and end a process with the reason. */
const onlyOnceGranted: ReadonlySet<string> = new Set(['denied', 'listing-416'])

/** A process that is killed, three times at most, may take a good answer with it that nobody has seen. */
const surelyGranted = 4

/** A storage service on a bad day: a `BlobService` with the faults and events of a plan. */
export class MisbehavingService implements StorageServer {
  readonly plan: FaultPlan
  readonly watched: WatchedBlob
  /** One line per request: what was asked, what happened, what was answered. */
  readonly journal: string[] = []
  #service: BlobService
  #random: Random
  #requests = 0
  #denied = false
  #grants = 0

  constructor(service: BlobService, plan: FaultPlan) {
    this.plan = plan
    this.#service = service
    this.#random = seededRandom(plan.seed ^ 0x5bd1_e995)
    this.watched = new WatchedBlob(service, this.#random)
  }

  get requests(): number {
    return this.#requests
  }

  /** Whether it behaves from now on, and the world stands still. */
  get calm(): boolean {
    return this.#requests >= this.plan.untilRequest
  }

  /** Lets it behave from now on. */
  calmDown(): void {
    this.#requests = Math.max(this.#requests, this.plan.untilRequest)
  }

  answer(request: ServiceRequest): Reply {
    const calm = this.calm
    this.#requests += 1
    const notes: string[] = []
    const event = calm ? undefined : this.#draw(worldEvents)
    if (event !== undefined && event !== 'append-in-answer') this.#happen(event, notes)
    let reply = this.#inPieces(this.#service.answer(request))
    // Between the head and the last byte: the answer is fixed, and the blob goes on.
    if (event === 'append-in-answer') this.#happen(event, notes)

    const isListing = request.url.includes('comp=list')
    const fault = calm ? undefined : this.#draw(isListing ? kindsOf.list : kindsOf.read)
    const isOver =
      (fault === 'denied-once' && this.#denied) ||
      (fault !== undefined && onlyOnceGranted.has(fault) && this.#grants < surelyGranted)
    if (fault === undefined) this.#grants += (reply.head?.status ?? 500) < 300 ? 1 : 0
    else if (!isOver) {
      if (fault === 'denied-once') this.#denied = true
      reply = damages[fault](reply, request, this.#random, this.plan.waits)
      notes.push(fault)
    }
    this.#note(request, notes, reply)
    return reply
  }

  #happen(event: WorldEvent, notes: string[]): void {
    const what = this.watched.happen(event)
    if (what !== undefined) notes.push(event === 'append-in-answer' ? `${what} meanwhile` : what)
  }

  /** At most one of the kinds, by their chances. */
  #draw<Kind extends keyof FaultPlan['chances']>(kinds: readonly Kind[]): Kind | undefined {
    let left = this.#random.next()
    for (const kind of kinds) {
      left -= this.plan.chances[kind] ?? 0
      if (left < 0) return kind
    }
    return undefined
  }

  #inPieces(reply: Reply): Reply {
    const { latencyMs } = this.plan.waits
    const body = Buffer.concat(reply.pieces)
    const pieceBytes = Math.max(1, Math.ceil(body.length / this.#random.between(1, 3)))
    const pieces: Buffer[] = []
    for (let at = 0; at < body.length; at += pieceBytes) pieces.push(body.subarray(at, at + pieceBytes))
    return {
      ...reply,
      pieces,
      headAfterMs: this.#random.between(0, latencyMs),
      pieceAfterMs: this.#random.between(0, latencyMs),
    }
  }

  #note(request: ServiceRequest, notes: readonly string[], { head, pieces, ending }: Reply): void {
    const asked = request.headers['x-ms-range'] ?? request.url.split('?')[1] ?? 'whole'
    const condition = request.headers['if-none-match'] === undefined ? '' : ' if changed'
    const range = head?.headers['content-range'] ?? ''
    const sent = pieces.reduce((sum, piece) => sum + piece.length, 0)
    this.journal.push(
      `${this.#requests} at ${this.#service.clock.now()}: ${request.method} ${asked}${condition} -> ` +
        `${head?.status ?? 'no head'} ${range} ${sent} sent, ${ending}${notes.map((note) => ` [${note}]`).join('')}`,
    )
  }
}
