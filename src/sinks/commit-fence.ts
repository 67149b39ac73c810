import { TailraceError } from '../errors.ts'
import { type BlobGeneration, generationKey, type Span } from '../records.ts'

/** A span that does not start at the table's offset of its blob generation. */
export interface FencedSpan {
  readonly span: Span
  /** The table's offset. */
  readonly landedTo: number
}

/** An error's message names this many blob generations. */
const maxNamed = 3

/** COMMIT_FENCED, with the spans that it is about: the others of the batch could be committed without them. */
export class CommitFencedError extends TailraceError {
  readonly fenced: readonly FencedSpan[]

  constructor(fenced: readonly FencedSpan[]) {
    const named = fenced
      .slice(0, maxNamed)
      .map(
        ({ span, landedTo }) =>
          `${generationKey(span)}: the table's offset is ${landedTo}, the batch starts at ${span.start}`,
      )
    const more = fenced.length > named.length ? `; and ${fenced.length - named.length} more` : ''
    super('COMMIT_FENCED', `Another process moved an offset: ${named.join('; ')}${more}.`, {
      context: { blobs: fenced.length },
    })
    this.fenced = fenced
  }
}

/**
 * Compares the start of each span with the table's offset; a generation without an offset takes any start.
 *
 * @throws CommitFencedError naming every span whose start is not the offset
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
