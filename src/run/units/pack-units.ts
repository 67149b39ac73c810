import type { GenerationMark, Span } from '../../records.ts'
import type { Unit } from './unit-files.ts'

/** A range that has not landed. */
export interface UnlandedRange {
  readonly span: Span
  readonly mark: GenerationMark
  /** Whether its bytes are lines, so that it can be cut at the start of one. */
  readonly isOfLines: boolean
}

/** Small blobs cost requests rather than bytes, so a unit has this many of them at most. */
const maxSpans = 2_000

/** @returns where to cut a range of lines into parts of about `targetBytes`: none for one that is hardly longer */
export function cutsOf({ span, isOfLines }: UnlandedRange, targetBytes: number): number[] {
  const parts = isOfLines ? Math.round((span.end - span.start) / targetBytes) : 1
  const bytes = (span.end - span.start) / parts
  return Array.from({ length: Math.max(0, parts - 1) }, (_, index) =>
    Math.floor(span.start + bytes * (index + 1)),
  )
}

/**
 * Packs ranges into units of about `targetBytes`, in their order. Parts of one blob go to different units, because a unit
 * has one range of each generation.
 */
export function packUnits(
  pipeline: string,
  ranges: readonly UnlandedRange[],
  targetBytes: number,
): readonly Unit[] {
  const units: { readonly spans: Span[]; readonly marks: GenerationMark[] }[] = []
  let bytes = 0
  for (const { span, mark } of ranges) {
    const open = units.at(-1)
    const length = span.end - span.start
    const previous = open?.spans.at(-1)
    const hasBlob = previous?.blob === span.blob && previous.generation === span.generation
    // Nearer to the target with this range than without it.
    const fits = bytes + length / 2 <= targetBytes
    if (open === undefined || hasBlob || !fits || open.spans.length === maxSpans) {
      units.push({ spans: [span], marks: [mark] })
      bytes = length
    } else {
      open.spans.push(span)
      open.marks.push(mark)
      bytes += length
    }
  }
  return units.map((unit) => ({ pipeline, ...unit }))
}
