/**
 * Most bytes that a text may take in a row of the spool: twice the longest line, as when each character is escaped by
 * another one. A control character takes six, and the encoder's memory grows with the row.
 */
export const maxTextBytes = 32 * 1024 * 1024

/** Why a text is not in the table. */
export const tooLongAsJson = `more than ${maxTextBytes} bytes as JSON`

const pieceChars = 64 * 1024

/**
 * Quotes a text as JSON, in pieces: JSON.stringify takes ten times the length of a long one.
 *
 * @param text has characters up to U+00FF
 * @returns pieces that are the JSON string together; undefined when they would exceed `maxTextBytes`
 */
export function quotedText(text: string): readonly string[] | undefined {
  const pieces = ['"']
  let bytes = 0
  for (let start = 0; start < text.length; start += pieceChars) {
    const piece = JSON.stringify(text.slice(start, start + pieceChars)).slice(1, -1)
    bytes += piece.length
    if (bytes > maxTextBytes) return undefined
    pieces.push(piece)
  }
  pieces.push('"')
  return pieces
}
