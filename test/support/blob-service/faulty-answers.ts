import type { Random } from '../../../doubles/seeded-random.ts'
import { damages } from './answer-faults.ts'
import type { BlobService } from './blob-service.ts'
import {
  type AnswerFault,
  answerFaults,
  lies,
  listingFaults,
  readFaults,
  type Waits,
  type WorldEvent,
} from './fault-plan.ts'
import type { Reply, ServiceRequest, StorageServer } from './protocol.ts'

const kindsOf = {
  read: [...answerFaults, ...readFaults, ...lies],
  list: [...answerFaults, ...listingFaults, ...lies],
} as const

/** Before anything was granted they are what a wrong configuration gets, and end a process with the reason. */
const onlyOnceGranted: ReadonlySet<string> = new Set(['denied', 'listing-416'])

/** A process that is killed, three times at most, may take a good answer with it that nobody has seen. */
const surelyGranted = 4

/** What happens at the requests to a service that misbehaves. */
export interface Misbehavior {
  readonly waits: Waits
  /** Of the latencies and of the details of each fault. */
  readonly random: Random
  /** Called first at each request. */
  event(): WorldEvent | undefined
  /** @returns what happened, in a few words; undefined when there was nothing for the event to happen to */
  happen(event: WorldEvent): string | undefined
  /** Draws at most one of the kinds. */
  fault(kinds: readonly AnswerFault[]): AnswerFault | undefined
  /** Called last at each request, with a line of what was asked, what happened and what was answered. */
  note(line: string): void
}

/** A `BlobService` whose answers are damaged, and whose blobs change at its requests. */
export class FaultyAnswers implements StorageServer {
  readonly #service: BlobService
  readonly #misbehavior: Misbehavior
  #denied = false
  #grants = 0

  constructor(service: BlobService, misbehavior: Misbehavior) {
    this.#service = service
    this.#misbehavior = misbehavior
  }

  answer(request: ServiceRequest): Reply {
    const { random, waits } = this.#misbehavior
    const notes: string[] = []
    const event = this.#misbehavior.event()
    if (event !== undefined && event !== 'append-in-answer') this.#happen(event, notes)
    let reply = this.#inPieces(this.#service.answer(request))
    // Between the head and the last byte: the answer is fixed, and the blob goes on.
    if (event === 'append-in-answer') this.#happen(event, notes)

    const isListing = request.url.includes('comp=list')
    const fault = this.#misbehavior.fault(isListing ? kindsOf.list : kindsOf.read)
    const isOver =
      (fault === 'denied-once' && this.#denied) ||
      (fault !== undefined && onlyOnceGranted.has(fault) && this.#grants < surelyGranted)
    if (fault === undefined) this.#grants += (reply.head?.status ?? 500) < 300 ? 1 : 0
    else if (!isOver) {
      if (fault === 'denied-once') this.#denied = true
      reply = damages[fault](reply, request, random, waits)
      notes.push(fault)
    }
    this.#misbehavior.note(summary(request, notes, reply))
    return reply
  }

  #happen(event: WorldEvent, notes: string[]): void {
    const what = this.#misbehavior.happen(event)
    if (what !== undefined) notes.push(event === 'append-in-answer' ? `${what} meanwhile` : what)
  }

  #inPieces(reply: Reply): Reply {
    const { random, waits } = this.#misbehavior
    const body = Buffer.concat(reply.pieces)
    const pieceBytes = Math.max(1, Math.ceil(body.length / random.between(1, 3)))
    const pieces: Buffer[] = []
    for (let at = 0; at < body.length; at += pieceBytes) pieces.push(body.subarray(at, at + pieceBytes))
    return {
      ...reply,
      pieces,
      headAfterMs: random.between(0, waits.latencyMs),
      pieceAfterMs: random.between(0, waits.latencyMs),
    }
  }
}

function summary(request: ServiceRequest, notes: readonly string[], { head, pieces, ending }: Reply): string {
  const asked = request.headers['x-ms-range'] ?? request.url.split('?')[1] ?? 'whole'
  const condition = request.headers['if-none-match'] === undefined ? '' : ' if changed'
  const range = head?.headers['content-range'] ?? ''
  const sent = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return (
    `${request.method} ${asked}${condition} -> ${head?.status ?? 'no head'} ${range} ${sent} sent, ${ending}` +
    notes.map((note) => ` [${note}]`).join('')
  )
}
