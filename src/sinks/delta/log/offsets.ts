import { type LandedOffset, LandedOffsets } from '../../../offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../../records.ts'
import type { TransactionAction } from '../protocol/actions.ts'

const prefix = 'tailrace:'

/** Application ids of release 0.1.0, which kept offsets by pipeline. A pipeline's name holds no `/`. */
const formerId = /^tailrace\/([^/]+)\/(.+)$/s

/** A range of a blob that several pipelines of release 0.1.0 landed, so that its rows are in the table more than once. */
export interface DoubledRange extends BlobGeneration {
  readonly pipelines: readonly string[]
  /** End of the range. Its start is not known: it is the first offset that the later pipeline landed. */
  readonly end: number
}

/**
 * The newest transaction of each application in a table. Most of them are the offsets of blob generations.
 *
 * An offset belongs to the generation, whichever pipeline landed it. Release 0.1.0 kept offsets by pipeline: the largest
 * of them counts for a generation until it has an offset of the new kind.
 */
export class Transactions implements Iterable<readonly [appId: string, version: number | bigint]> {
  /** The landed offset of each blob generation. */
  readonly landed = new LandedOffsets()
  /** Versions of other applications, by application id. */
  readonly #others = new Map<string, number | bigint>()
  /** Offsets by pipeline, of release 0.1.0, by application id. */
  readonly #former = new Map<string, number>()
  /** Keys of generations that have only offsets by pipeline. */
  readonly #onlyFormer = new Set<string>()
  #ownCount = 0
  #onLanded: (landed: LandedOffset) => void = () => {}

  /** Number of applications. */
  get size(): number {
    return this.#ownCount + this.#former.size + this.#others.size
  }

  /** Calls `listener` with each offset set from now on. There is one listener: a new one replaces the old. */
  listen(listener: (landed: LandedOffset) => void): void {
    this.#onLanded = listener
  }

  /** Replaces an application's version, also by a smaller one: the newest counts. */
  set({ appId, version }: Pick<TransactionAction, 'appId' | 'version'>): void {
    const key = appId.startsWith(prefix) ? appId.slice(prefix.length) : undefined
    const source = key === undefined ? undefined : sourceOf(key)
    if (key !== undefined && source !== undefined) this.#setOwn(key, source, Number(version))
    else this.#setOther(appId, version)
  }

  /** The ranges that several pipelines of release 0.1.0 landed, because each kept its own offsets. */
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
    // Written out, because `{ ...source, offset }` takes twice the memory.
    const landed = { blob, generation, offset }
    this.landed.set(landed)
    this.#onLanded(landed)
  }
}

/** @returns the application id of a blob generation's offset in a table. */
export function appIdOf(source: BlobGeneration): string {
  return `${prefix}${generationKey(source)}`
}

/**
 * @param nowMs milliseconds since the epoch
 * @returns the actions that record offsets
 */
export function transactionsOf(
  landed: readonly LandedOffset[],
  nowMs: number,
): { readonly txn: TransactionAction }[] {
  return landed.map((one) => ({ txn: { appId: appIdOf(one), version: one.offset, lastUpdated: nowMs } }))
}

/** Splits at the last `@`: a blob's name may hold one, a generation never does. */
function sourceOf(key: string): BlobGeneration | undefined {
  const at = key.lastIndexOf('@')
  return at === -1 ? undefined : { blob: key.slice(0, at), generation: key.slice(at + 1) }
}
