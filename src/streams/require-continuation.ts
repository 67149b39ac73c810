import { TailraceError } from '../errors.ts'
import { type Span, touches } from '../records.ts'

/**
 * Refuses a chunk that does not continue the one before it: everything behind it would have a wrong place.
 *
 * @throws SPAN_GAP
 */
export function requireContinuation(previous: Span | undefined, next: Span): void {
  if (previous === undefined || touches(previous, next)) return
  throw new TailraceError('SPAN_GAP', `A chunk of ${next.blob} does not continue the one before it.`, {
    context: { expected: previous.end, found: next.start },
  })
}
