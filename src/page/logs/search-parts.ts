/** After this time a search returns what it has found so far. */
export const replyMs = 2_000

/**
 * Decides how many rows the next part of a search has: more, the quicker the one before was, so that a part takes about
 * half of a reply.
 *
 * @param part its rows, and how long it took
 * @param limits the fewest and the most rows of a part
 */
export function nextPartRows(
  part: { readonly rows: number; readonly tookMs: number },
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const growth = Math.min(4, replyMs / 2 / Math.max(1, part.tookMs))
  return Math.min(max, Math.max(min, Math.floor(part.rows * growth)))
}
