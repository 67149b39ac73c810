const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const values = new Map(Array.from(alphabet, (character, value) => [character, value]))

/**
 * Reads Z85, the Base85 variant of Delta's log (https://rfc.zeromq.org/spec/32/, read 2026-11): five characters for
 * four bytes.
 *
 * @returns undefined when the text is none
 */
export function decodeZ85(text: string): Buffer | undefined {
  if (text.length % 5 !== 0) return undefined
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let at = 0; at < text.length; at += 5) {
    let word = 0
    for (const character of text.slice(at, at + 5)) word = word * 85 + (values.get(character) ?? Number.NaN)
    if (!(word <= 0xffff_ffff)) return undefined
    bytes.writeUInt32BE(word, (at / 5) * 4)
  }
  return bytes
}
