import { bytesAsLatin1, type Entry, type Line, latin1AsText } from '../../records.ts'
import { maxTextBytes } from './quoted-text.ts'
import { isUtf8Text } from './utf8-text.ts'

/** @returns the entry of a text. Undecodable bytes become U+FFFD; the row's offset and length still locate the originals */
export function decodedEntry({ offset, length, latin1 }: Line): Entry {
  const entry = { offset, length, index: 0, raw: latin1 }
  if (isUtf8Text(latin1)) return entry
  const note = 'invalid_utf8: undecodable bytes were replaced by U+FFFD'
  if (longestDecoded(latin1) > maxTextBytes)
    return { ...entry, raw: keptPrefix(latin1), reject: 'not_encodable', note: `${note}; ${cutNote}` }
  return { ...entry, raw: bytesAsLatin1(latin1AsText(latin1)), note }
}

/** @returns at most how many bytes a text has when U+FFFD, of three bytes, replaces the undecodable ones */
function longestDecoded(latin1: string): number {
  if (latin1.length * 3 <= maxTextBytes) return latin1.length * 3
  let bytes = latin1.length
  for (let at = 0; at < latin1.length; at += 1) if (latin1.charCodeAt(at) > 0x7f) bytes += 2
  return bytes
}

/**
 * @param entry has the text of one element of an array of records as its `raw`
 * @returns the entry to project, or a reject for an element that is no object
 */
export function elementEntry(entry: Entry, isObject: boolean): Entry {
  return isObject ? projectedEntry(entry, entry.raw) : { ...entry, reject: 'not_object' }
}

/** @returns the entry with `json` set, if the text to project differs from `raw` */
export function projectedEntry(entry: Entry, text: string): Entry {
  const json = withoutLoneSurrogates(text)
  // A spool row cannot hold a carriage return. In JSON a raw one is white space: within strings it is escaped.
  return json === entry.raw ? entry : { ...entry, json: json.replaceAll('\r', ' ') }
}

/** @param line is truncated; its `length` is that of the whole line, newline included @returns its rejected entry */
export function tooLongEntry({ offset, length, latin1 }: Line): Entry {
  return {
    offset,
    length,
    index: 0,
    raw: keptPrefix(latin1),
    reject: 'too_long',
    note: `${length - 1} bytes`,
  }
}

/** The size of `keptPrefix`, in bytes. */
export const keptBytes = 64 * 1024

/** The end of the note of a row whose text is cut to `keptPrefix`. */
export const cutNote = `the text is cut to ${keptBytes / 1024} KiB`

/** @returns the first 64 KiB of a text; decoding and encoding replaces a character that the cut splits */
export function keptPrefix(latin1: string): string {
  return bytesAsLatin1(latin1AsText(latin1.slice(0, keptBytes)))
}

/** Replaces the escapes of lone surrogates by U+FFFD, in one pass: the encoder's parser rejects them. */
function withoutLoneSurrogates(json: string): string {
  if (!/\\u[dD][89a-fA-F]/.test(json)) return json
  const pieces: string[] = []
  let copied = 0
  for (let at = json.indexOf('\\'); at >= 0; ) {
    const surrogate = json.charCodeAt(at + 1) === 0x75 ? surrogateAt(json, at) : undefined
    if (surrogate === 'high' && surrogateAt(json, at + 6) === 'low') at += 12
    else if (surrogate === undefined) at += 2
    else {
      pieces.push(json.slice(copied, at), '\\ufffd')
      at += 6
      copied = at
    }
    at = json.indexOf('\\', at)
  }
  pieces.push(json.slice(copied))
  return pieces.join('')
}

function surrogateAt(json: string, at: number): 'high' | 'low' | undefined {
  const unit = json.slice(at, at + 6)
  if (/^\\u[dD][89abAB][\da-fA-F]{2}$/.test(unit)) return 'high'
  return /^\\u[dD][c-fC-F][\da-fA-F]{2}$/.test(unit) ? 'low' : undefined
}
