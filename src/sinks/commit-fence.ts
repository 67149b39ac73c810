import { TailraceError } from '../errors.ts'
import { type BlobGeneration, generationKey, type Span } from '../records.ts'

/** A span that does not start at the table's offset for its blob generation. */
export interface FencedSpan {
  readonly span: Span
  /** The table's offset. */
  readonly landedTo: number
}

/** Blob generations named in the error's message. */
const maxNamed = 3

/** COMMIT_FENCED with the fenced spans. The other spans of the batch can be committed without them. */
export class CommitFencedError extends TailraceError {
  readonly fenced: readonly FencedSpan[]

  constructor(fenced: readonly FencedSpan[]) {
    const named = fenced
      .slice(0, maxNamed)
      .map(
        ({ span, landedTo }) =>
          `${generationKey(span)}: found offset ${landedTo} in the table, expected ${span.start}`,
      )
    const more = fenced.length > named.length ? `; and ${fenced.length - named.length} more` : ''
    super('COMMIT_FENCED', `Another process moved an offset: ${named.join('; ')}${more}.`, {
      context: { blobs: fenced.length },
    })
    this.fenced = fenced
  }
}

/**
 * Checks that each span starts at the table's offset. A generation without an offset allows any start.
 *
 * @throws CommitFencedError with every span that does not
 */
export function requireOffsets(
  spans: readonly Span[],
  offsetOf: (source: BlobGeneration) => number | undefined,
): void {
  const fenced = spans.flatMap((span) => {
    const landedTo = offsetOf(span)
    return landedTo === undefined || landedTo === span.start ? [] : [{ span, landedTo }]
  })
  if (fenced.length > 0) throw new CommitFencedError(fenced)
}
