/** Code points of a bound that Delta writers keep. */
const boundCodePoints = 32

/** An upper bound that cannot be closed within this many code points is left out. */
const maxBoundCodePoints = 64

const highestAscii = 0x7f
const highestCodePoint = 0x10ffff

/** @returns a text that is at most `text` in UTF-8 order: its first 32 code points. */
export function lowerBound(text: string): string {
  return fits(text) ? text : firstCodePoints(text, boundCodePoints).join('')
}

/**
 * A text that is at least `text` in UTF-8 order: itself up to 32 code points, else its beginning and one code
 * point that is higher than the first one dropped.
 *
 * @returns undefined when there is no such text of 64 code points
 */
export function upperBound(text: string): string | undefined {
  if (fits(text)) return text
  const points = firstCodePoints(text, maxBoundCodePoints + 1)
  if (points.length <= boundCodePoints) return text
  for (let kept = boundCodePoints; kept < maxBoundCodePoints && kept < points.length; kept += 1) {
    const dropped = points[kept]!.codePointAt(0)!
    if (dropped === highestCodePoint) continue
    const tie = dropped < highestAscii ? highestAscii : highestCodePoint
    return points.slice(0, kept).join('') + String.fromCodePoint(tie)
  }
  return points.length <= maxBoundCodePoints ? text : undefined
}

/** @returns negative, zero or positive, by UTF-8 bytes: JavaScript's own order differs beyond U+FFFF. */
export function compareText(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'))
}

function fits(text: string): boolean {
  return text.length <= boundCodePoints
}

function firstCodePoints(text: string, count: number): string[] {
  // Two UTF-16 units per code point at most; without the cut a long text would be spread whole.
  return Array.from(text.slice(0, count * 2)).slice(0, count)
}
