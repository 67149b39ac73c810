import { type BlobGeneration, compareGenerations } from './records.ts'

/** How far a blob generation is landed. */
export interface LandedOffset extends BlobGeneration {
  /** The byte after the last one that is accounted for. */
  readonly offset: number
}

/** How far every blob generation of a pipeline is landed, by blob. */
export class LandedOffsets implements Iterable<LandedOffset> {
  #blobs = new Map<string, readonly LandedOffset[]>()

  /** Blobs, not generations. */
  get blobCount(): number {
    return this.#blobs.size
  }

  /** @returns undefined for a generation that never landed. */
  get({ blob, generation }: BlobGeneration): number | undefined {
    return this.#blobs.get(blob)?.find((known) => known.generation === generation)?.offset
  }

  /** The generations of one blob, the newest one last. */
  of(blob: string): readonly LandedOffset[] {
    return this.#blobs.get(blob) ?? []
  }

  set(landed: LandedOffset): void {
    const others = this.of(landed.blob).filter(({ generation }) => generation !== landed.generation)
    const generations = others.length === 0 ? [landed] : [...others, landed].sort(compareGenerations)
    this.#blobs.set(landed.blob, generations)
  }

  /** Forgets a generation. */
  delete({ blob, generation }: BlobGeneration): void {
    const others = this.of(blob).filter((known) => known.generation !== generation)
    if (others.length === 0) this.#blobs.delete(blob)
    else this.#blobs.set(blob, others)
  }

  *[Symbol.iterator](): Iterator<LandedOffset> {
    for (const generations of this.#blobs.values()) yield* generations
  }
}
