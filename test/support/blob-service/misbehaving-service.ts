import { type Random, seededRandom } from '../../../doubles/seeded-random.ts'
import type { BlobService } from './blob-service.ts'
import { type FaultPlan, worldEvents } from './fault-plan.ts'
import { FaultyAnswers } from './faulty-answers.ts'
import type { Reply, ServiceRequest, StorageServer } from './protocol.ts'
import { WatchedBlob } from './watched-blob.ts'

/** A storage service on a bad day: a `BlobService` with the faults and events of a plan. */
export class MisbehavingService implements StorageServer {
  readonly plan: FaultPlan
  readonly watched: WatchedBlob
  /** One line per request: what was asked, what happened, what was answered. */
  readonly journal: string[] = []
  #answers: FaultyAnswers
  #random: Random
  #requests = 0

  constructor(service: BlobService, plan: FaultPlan) {
    this.plan = plan
    const random = seededRandom(plan.seed ^ 0x5bd1_e995)
    this.#random = random
    this.watched = new WatchedBlob(service, random)
    let isCalm = false
    this.#answers = new FaultyAnswers(service, {
      waits: plan.waits,
      random,
      event: () => {
        isCalm = this.calm
        this.#requests += 1
        return isCalm ? undefined : this.#draw(worldEvents)
      },
      happen: (event) => this.watched.happen(event),
      fault: (kinds) => (isCalm ? undefined : this.#draw(kinds)),
      note: (line) => this.journal.push(`${this.#requests} at ${service.clock.now()}: ${line}`),
    })
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
    return this.#answers.answer(request)
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
}
