import { type LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../records.ts'
import type { TransactionAction } from './protocol/actions.ts'

const prefix = 'tailrace:'

/** A release that kept offsets by pipeline began its application ids like this; a pipeline's name holds no `/`. */
const formerId = /^tailrace\/([^/]+)\/(.+)$/s

/** A range that pipelines of different names landed, each for itself. */
export interface DoubledRange extends BlobGeneration {
  readonly pipelines: readonly string[]
  /** Where it ends; it begins where the later one of the pipelines began. */
  readonly end: number
}

/**
 * The newest transaction of each application in a table, above all the offset of each blob generation.
 *
 * An offset belongs to the generation, whoever landed it. Offsets that a former release kept by pipeline count for
 * every pipeline, the largest first, until the generation has one of its own.
 */
export class Transactions implements Iterable<readonly [appId: string, version: number | bigint]> {
  /** How far each blob generation is landed. */
  readonly landed = new LandedOffsets()
  /** Versions of other applications, by their ids. */
  readonly #others = new Map<string, number | bigint>()
  /** Offsets that a former release kept, by its ids. */
  readonly #former = new Map<string, number>()
  /** The keys of generations that have no other offset. */
  readonly #onlyFormer = new Set<string>()
  #ownCount = 0
  #onLanded: (landed: LandedOffset) => void = () => {}

  /** Applications. */
  get size(): number {
    return this.#ownCount + this.#former.size + this.#others.size
  }

  /** Calls `listener` with each offset that is set from now on; the last one given is called. */
  listen(listener: (landed: LandedOffset) => void): void {
    this.#onLanded = listener
  }

  /** The newest wins, not the largest: an application may go back. */
  set({ appId, version }: Pick<TransactionAction, 'appId' | 'version'>): void {
    const key = appId.startsWith(prefix) ? appId.slice(prefix.length) : undefined
    const source = key === undefined ? undefined : sourceOf(key)
    if (key !== undefined && source !== undefined) this.#setOwn(key, source, Number(version))
    else this.#setOther(appId, version)
  }

  /** What pipelines of a former release landed twice, because each kept offsets of its own. */
  doubled(): DoubledRange[] {
    const byKey = new Map<string, { readonly pipeline: string; readonly offset: number }[]>()
    for (const [appId, offset] of this.#former) {
      const [, pipeline = '', key = ''] = formerId.exec(appId) ?? []
      byKey.set(key, [...(byKey.get(key) ?? []), { pipeline, offset }])
    }
    return [...byKey].flatMap(([key, landed]) => {
      if (landed.length < 2) return []
      const [, second] = landed.sort((a, b) => b.offset - a.offset)
      return [{ ...sourceOf(key)!, pipelines: landed.map(({ pipeline }) => pipeline), end: second!.offset }]
    })
  }

  *[Symbol.iterator](): Iterator<readonly [string, number | bigint]> {
    for (const landed of this.landed) {
      if (!this.#onlyFormer.has(generationKey(landed))) yield [appIdOf(landed), landed.offset]
    }
    yield* this.#former
    yield* this.#others
  }

  #setOwn(key: string, source: BlobGeneration, offset: number): void {
    const isFirst = this.#onlyFormer.delete(key) || this.landed.get(source) === undefined
    if (isFirst) this.#ownCount += 1
    this.#setLanded(source, offset)
  }

  #setOther(appId: string, version: number | bigint): void {
    const key = formerId.exec(appId)?.[2]
    const source = key === undefined ? undefined : sourceOf(key)
    if (key === undefined || source === undefined) {
      this.#others.set(appId, version)
      return
    }
    const offset = Number(version)
    this.#former.set(appId, offset)
    const known = this.landed.get(source)
    if (known !== undefined && !(this.#onlyFormer.has(key) && known < offset)) return
    this.#onlyFormer.add(key)
    this.#setLanded(source, offset)
  }

  #setLanded({ blob, generation }: BlobGeneration, offset: number): void {
    // A copy of `source` with one more property would take twice the memory.
    const landed = { blob, generation, offset }
    this.landed.set(landed)
    this.#onLanded(landed)
  }
}

/** @returns the application id under which a table keeps the offset of a blob generation. */
export function appIdOf(source: BlobGeneration): string {
  return `${prefix}${generationKey(source)}`
}

/** A blob's name may hold an @, a generation never does. */
function sourceOf(key: string): BlobGeneration | undefined {
  const at = key.lastIndexOf('@')
  return at === -1 ? undefined : { blob: key.slice(0, at), generation: key.slice(at + 1) }
}
