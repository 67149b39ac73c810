import { createHash } from 'node:crypto'
import { type BlobGeneration, type GenerationMark, generationKey } from '../records.ts'

/**
 * The marks of generations. A process that follows 1,000 servers has those of 72,000 blobs, nearly all of which it never reads
 * again: as objects with their long names they took 700 bytes each, in this form 170.
 */
export class MarkMemory {
  /** By the digest of the generation, because the offsets have its name in memory already. */
  #texts = new Map<string, string>()

  of({ blob, generation }: BlobGeneration): GenerationMark | undefined {
    const text = this.#texts.get(digestOf({ blob, generation }))
    if (text === undefined) return undefined
    const [createdAt, head, tail, closing] = JSON.parse(text) as MarkParts
    return {
      blob,
      generation,
      createdAt,
      head: head ?? undefined,
      tail: tail ?? undefined,
      closing: closing ?? undefined,
    }
  }

  /** Replaces the mark of its generation. */
  set(mark: GenerationMark): void {
    const { createdAt, head = null, tail = null, closing = null } = mark
    this.#texts.set(digestOf(mark), JSON.stringify([createdAt, head, tail, closing] satisfies MarkParts))
  }

  delete(source: BlobGeneration): void {
    this.#texts.delete(digestOf(source))
  }
}

type MarkParts = [createdAt: string, head: string | null, tail: string | null, closing: number | null]

function digestOf(source: BlobGeneration): string {
  return createHash('sha256').update(generationKey(source)).digest('binary')
}
