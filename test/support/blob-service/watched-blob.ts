import type { Random } from '../../../doubles/seeded-random.ts'
import type { BlobService } from './blob-service.ts'
import { assertGenerationsDelivered, type Delivery } from './delivered-generations.ts'
import type { WorldEvent } from './fault-plan.ts'

export const watchedContainer = 'logs'
export const watchedName = 'watched.json'

/** Bytes with newlines at fixed places: one byte that agrees proves nothing about the rest. */
const lineBytes = 12
const firstLetter = 0x21
const letters = 93
/** The generations of which no two have a letter in common at any place. */
const mostEpochs = letters

/**
 * The one blob that world events happen to, and its writer.
 *
 * What is written after each event that replaces content differs from what was there before at every byte except the
 * newlines, so that a single byte taken from another generation shows.
 */
export class WatchedBlob {
  #service: BlobService
  #random: Random
  #epoch = 0

  constructor(service: BlobService, random: Random) {
    this.#service = service
    this.#random = random
    service.createContainer(watchedContainer)
  }

  get exists(): boolean {
    return this.#service.find(watchedContainer, watchedName) !== undefined
  }

  /** What it holds now; nothing when it is missing. */
  get content(): Buffer {
    return this.#service.find(watchedContainer, watchedName)?.content ?? Buffer.alloc(0)
  }

  /** @throws unless what was delivered is what it held, generation by generation */
  assertDelivered(deliveries: readonly Delivery[]): void {
    const generations = this.#service.generations(watchedContainer, watchedName)
    assertGenerationsDelivered(generations, deliveries, this.exists)
  }

  /** @returns what happened, in a few words; undefined when there was nothing for the event to happen to */
  happen(event: WorldEvent): string | undefined {
    const service = this.#service
    const name = [watchedContainer, watchedName] as const
    if (event === 'append' || event === 'append-in-answer') return this.#append()
    if (!this.exists) return undefined
    switch (event) {
      case 'touch':
        service.touch(...name)
        return 'touch'
      case 'recreate':
        service.recreate(...name, this.#other())
        break
      case 'overwrite':
        service.overwrite(...name, this.#other(), 'kept')
        break
      case 'truncate':
        if (this.content.length === 0) return undefined
        this.#nextEpoch()
        service.truncate(...name, this.#random.between(0, this.content.length - 1))
        break
      case 'remove':
        service.remove(...name)
        return 'remove'
    }
    return `${event} to ${this.content.length}`
  }

  #append(): string {
    if (!this.exists) {
      this.#service.create(watchedContainer, watchedName, this.#other())
      return `create with ${this.content.length}`
    }
    const bytes = this.#random.between(1, this.#random.next() < 0.2 ? 700 : 90)
    this.#service.append(watchedContainer, watchedName, textOf(this.#epoch, this.content.length, bytes))
    return `append ${bytes}`
  }

  #other(): Buffer {
    this.#nextEpoch()
    const bytes = this.#random.next() < 0.2 ? 0 : this.#random.between(1, 400)
    return textOf(this.#epoch, 0, bytes)
  }

  #nextEpoch(): void {
    if (this.#epoch >= mostEpochs - 1)
      throw new Error('The watched blob is replaced too often for one schedule.')
    this.#epoch += 1
  }
}

/** The bytes `[start, start + bytes)` that one epoch writes. */
function textOf(epoch: number, start: number, bytes: number): Buffer {
  const text = Buffer.alloc(bytes)
  for (let index = 0; index < bytes; index += 1) {
    const place = start + index
    const mixed = Math.imul(place + 1, 0x9e37_79b1) >>> 8
    text[index] = place % lineBytes === lineBytes - 1 ? 0x0a : firstLetter + ((mixed + epoch * 37) % letters)
  }
  return text
}
