import { type BlobGeneration, compareGenerations } from '../records.ts'

/** The offset up to which one blob generation has landed. */
export interface LandedOffset extends BlobGeneration {
  /** Every byte before this one is landed: a row, a reject, or blank. */
  readonly offset: number
}

/** The landed offsets of all blob generations of a pipeline, in memory. */
export class LandedOffsets implements Iterable<LandedOffset> {
  /** Nearly every blob has one generation. An array for each would add a seventh to the memory of an offset. */
  #blobs = new Map<string, LandedOffset | readonly LandedOffset[]>()

  /** Offsets that the table keeps in an archive instead, with those of other pipelines; 0 without an archive. */
  archivedCount = 0

  /** The number of blobs; a blob may have several generations. */
  get blobCount(): number {
    return this.#blobs.size
  }

  /** @returns undefined when no byte of the generation has landed */
  get({ blob, generation }: BlobGeneration): number | undefined {
    const known = this.#blobs.get(blob)
    if (known === undefined || 'offset' in known)
      return known?.generation === generation ? known.offset : undefined
    return known.find((one) => one.generation === generation)?.offset
  }

  /** The offsets of one blob's generations, oldest generation first. */
  of(blob: string): readonly LandedOffset[] {
    const known = this.#blobs.get(blob)
    if (known === undefined) return []
    return 'offset' in known ? [known] : known
  }

  set(landed: LandedOffset): void {
    const others = this.of(landed.blob).filter(({ generation }) => generation !== landed.generation)
    this.#blobs.set(landed.blob, others.length === 0 ? landed : [...others, landed].sort(compareGenerations))
  }

  /** Removes one generation; its blob's other generations stay. */
  delete({ blob, generation }: BlobGeneration): void {
    const others = this.of(blob).filter((known) => known.generation !== generation)
    if (others.length === 0) this.#blobs.delete(blob)
    else this.#blobs.set(blob, others)
  }

  *[Symbol.iterator](): Iterator<LandedOffset> {
    for (const known of this.#blobs.values()) {
      if ('offset' in known) yield known
      else yield* known
    }
  }
}
