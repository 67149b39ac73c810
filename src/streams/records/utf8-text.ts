import { isUtf8 } from 'node:buffer'

const highByte = /[\x80-\xff]/

/** Texts up to this length are checked as one buffer. */
const pieceBytes = 256 * 1024

/** The piece being checked: the copy of a whole line would stay in memory until the next garbage collection. */
const piece = Buffer.allocUnsafeSlow(pieceBytes)

/** @returns whether a text of bytes, one character per byte (latin1), is UTF-8 */
export function isUtf8Text(latin1: string): boolean {
  if (!highByte.test(latin1)) return true
  for (let start = 0; start < latin1.length; ) {
    const end = pieceEnd(latin1, start)
    if (!isUtf8(piece.subarray(0, piece.write(latin1.slice(start, end), 'latin1')))) return false
    start = end
  }
  return true
}

/** @returns the end of a piece that cuts no character of well-formed UTF-8 */
function pieceEnd(latin1: string, start: number): number {
  if (latin1.length - start <= pieceBytes) return latin1.length
  let end = start + pieceBytes
  // A character has at most three continuation bytes; more are not UTF-8, wherever the cut is.
  while (end > start + pieceBytes - 4 && (latin1.charCodeAt(end) & 0xc0) === 0x80) end -= 1
  return end
}
