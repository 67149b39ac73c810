import { type BlobGeneration, compareGenerations } from '../records.ts'

/** How far a blob generation is landed. */
export interface LandedOffset extends BlobGeneration {
  /** The byte after the last one that is accounted for. */
  readonly offset: number
}

/** How far every blob generation of a pipeline is landed, by blob. */
export class LandedOffsets implements Iterable<LandedOffset> {
  /** Nearly every blob has one generation: a list of its own would be a seventh of what an offset takes. */
  #blobs = new Map<string, LandedOffset | readonly LandedOffset[]>()

  /** Blobs, not generations. */
  get blobCount(): number {
    return this.#blobs.size
  }

  /** @returns undefined for a generation that never landed. */
  get({ blob, generation }: BlobGeneration): number | undefined {
    const known = this.#blobs.get(blob)
    if (known === undefined || 'offset' in known)
      return known?.generation === generation ? known.offset : undefined
    return known.find((one) => one.generation === generation)?.offset
  }

  /** The generations of one blob, the newest one last. */
  of(blob: string): readonly LandedOffset[] {
    const known = this.#blobs.get(blob)
    if (known === undefined) return []
    return 'offset' in known ? [known] : known
  }

  set(landed: LandedOffset): void {
    const others = this.of(landed.blob).filter(({ generation }) => generation !== landed.generation)
    this.#blobs.set(landed.blob, others.length === 0 ? landed : [...others, landed].sort(compareGenerations))
  }

  /** Forgets a generation. */
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
