import { isUtf8 } from 'node:buffer'
import { isJsonObject, type JsonValue } from '../../json.ts'
import { bytesAsLatin1, type Entry, type Line, latin1AsText } from '../../records.ts'
import { keptPrefix } from '../staging/spool.ts'

const highByte = /[\x80-\xff]/

/**
 * The entry of a text as it is. Undecodable bytes show as the replacement character; the row's place still leads to
 * the original bytes.
 */
export function decodedEntry({ offset, length, latin1 }: Line): Entry {
  const entry = { offset, length, index: 0, raw: latin1 }
  if (!highByte.test(latin1) || isUtf8(Buffer.from(latin1, 'latin1'))) return entry
  const raw = bytesAsLatin1(latin1AsText(latin1))
  return { ...entry, raw, note: 'invalid_utf8: undecodable bytes were replaced by U+FFFD' }
}

/**
 * The row of one element of an array of records.
 *
 * @param entry its `raw` is the element's text
 * @param element what the text holds
 */
export function elementEntry(entry: Entry, element: JsonValue): Entry {
  if (!isJsonObject(element)) return { ...entry, reject: 'not_object' }
  return projectedEntry(entry, entry.raw)
}

/** The entry with the text to project, where that differs from `raw`. */
export function projectedEntry(entry: Entry, text: string): Entry {
  const json = withoutLoneSurrogates(text)
  // A spool row holds no carriage return; outside of strings it is white space, and inside it is escaped.
  return json === entry.raw ? entry : { ...entry, json: json.replaceAll('\r', ' ') }
}

/** The rejected entry of a line over the limit, of which only a prefix was held; `length` counts its newline. */
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

// The alternatives take one escape after the other, so that an escaped backslash is never half of one.
const escapes =
  /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u([dD][89a-fA-F][\da-fA-F]{2})|.)/g

/** The encoder's parser refuses a surrogate without its pair; the replacement character stands for it. */
function withoutLoneSurrogates(json: string): string {
  if (!json.includes('\\u')) return json
  return json.replace(escapes, (match, alone: string | undefined) =>
    alone === undefined ? match : '\\ufffd',
  )
}
