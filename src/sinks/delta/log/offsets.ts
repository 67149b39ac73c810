import { type LandedOffset, LandedOffsets } from '../../../offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../../records.ts'
import type { TransactionAction } from '../protocol/actions.ts'

const prefix = 'tailrace:'

/**
 * The application whose version is the instant of the table's offset archive, in milliseconds since the epoch. Its commit
 * moves every offset of the commits before it with an earlier `lastUpdated` into that archive.
 */
export const archiveAppId = 'tailrace-archive'

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
  /** The landed offset of each blob generation that is not in the table's archive alone. */
  readonly landed = new LandedOffsets()
  /** When each of these offsets was committed, by its writer's clock, in milliseconds since the epoch. */
  readonly #committedAtMs = new Map<LandedOffset, number>()
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

  /** The instant of the table's offset archive; undefined when there is none. */
  get archivedAtMs(): number | undefined {
    const instant = this.#others.get(archiveAppId)
    return instant === undefined ? undefined : Number(instant)
  }

  /** Whether release 0.1.0 left offsets by pipeline. */
  get hasFormer(): boolean {
    return this.#former.size > 0
  }

  /** Replaces an application's version, also by a smaller one: the newest counts. */
  set({ appId, version, lastUpdated }: Pick<TransactionAction, 'appId' | 'version' | 'lastUpdated'>): void {
    const source = generationOf({ appId })
    if (source === undefined) this.#setOther(appId, version)
    else this.#setOwn(source, { offset: Number(version), committedAtMs: lastUpdated })
  }

  /** The offsets that an archive of this instant takes. One without a time stays for ever. */
  *committedBefore(instantMs: number): Iterable<LandedOffset> {
    for (const [landed, committedAtMs] of this.#committedAtMs) if (committedAtMs < instantMs) yield landed
  }

  /** Leaves the offsets to the archive that takes them. */
  moveToArchive(instantMs: number): void {
    for (const landed of this.committedBefore(instantMs)) {
      this.#committedAtMs.delete(landed)
      this.landed.delete(landed)
      this.#ownCount -= 1
    }
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

  #setOwn(
    source: BlobGeneration,
    { offset, committedAtMs }: { readonly offset: number; readonly committedAtMs: number | undefined },
  ): void {
    const before = this.landed.of(source.blob).find(({ generation }) => generation === source.generation)
    if (this.#onlyFormer.delete(generationKey(source)) || before === undefined) this.#ownCount += 1
    if (before !== undefined) this.#committedAtMs.delete(before)
    const landed = this.#setLanded(source, offset)
    if (committedAtMs !== undefined) this.#committedAtMs.set(landed, committedAtMs)
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

  #setLanded({ blob, generation }: BlobGeneration, offset: number): LandedOffset {
    // Written out, because `{ ...source, offset }` takes twice the memory.
    const landed = { blob, generation, offset }
    this.landed.set(landed)
    this.#onLanded(landed)
    return landed
  }
}

/** @returns the application id of a blob generation's offset in a table. */
export function appIdOf(source: BlobGeneration): string {
  return `${prefix}${generationKey(source)}`
}

/** @returns the blob generation whose offset a transaction is; undefined for another application's */
export function generationOf({ appId }: Pick<TransactionAction, 'appId'>): BlobGeneration | undefined {
  return appId.startsWith(prefix) ? sourceOf(appId.slice(prefix.length)) : undefined
}

/** @returns SQL that is true for a transaction that is a blob generation's offset, as `generationOf` */
export function isOffsetSql(appId: string): string {
  return `(starts_with(${appId}, '${prefix}') AND contains(substr(${appId}, ${prefix.length + 1}), '@'))`
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
