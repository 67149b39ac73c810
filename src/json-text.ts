/** Finds its way in well-formed JSON text without a parser's tree, however deep it is nested. */

const colon = 0x3a
const quote = 0x22
const backslash = 0x5c
const integer = /^(?:0|-?[1-9]\d*)$/

/** Where a value stands in a text, in characters. */
export interface TextPlace {
  readonly start: number
  readonly end: number
}

/**
 * @param text a well-formed JSON value at `place`, an array
 * @returns where its elements stand
 */
export function elementPlaces(text: string, place: TextPlace): TextPlace[] {
  const places: TextPlace[] = []
  for (let at = valueStart(text, place.start + 1); at < place.end - 1; ) {
    const end = valueEnd(text, at)
    places.push({ start: at, end })
    at = valueStart(text, valueStart(text, end) + 1)
  }
  return places
}

/**
 * @param text a well-formed JSON value at `place`, an object
 * @returns where the values of its members stand, by key; of a repeated key the last
 */
export function memberPlaces(text: string, place: TextPlace): ReadonlyMap<string, TextPlace> {
  const places = new Map<string, TextPlace>()
  for (let at = valueStart(text, place.start + 1); at < place.end - 1; ) {
    const keyEnd = stringEnd(text, at)
    const key = JSON.parse(text.slice(at, keyEnd)) as string
    const start = valueStart(text, valueStart(text, keyEnd) + 1)
    const end = valueEnd(text, start)
    places.set(key, { start, end })
    at = valueStart(text, valueStart(text, end) + 1)
  }
  return places
}

/** @returns how many keys the objects in a well-formed text have, repeated ones included */
export function countKeyTexts(text: string, { start, end }: TextPlace): number {
  const colonOrString = /[":]/g
  let count = 0
  colonOrString.lastIndex = start
  while (colonOrString.test(text) && colonOrString.lastIndex <= end) {
    if (text.charCodeAt(colonOrString.lastIndex - 1) === colon) count += 1
    else colonOrString.lastIndex = stringEnd(text, colonOrString.lastIndex - 1)
  }
  return count
}

/** @returns whether a double or an integer holds every number of a text exactly as it is written */
export function isLossless(text: string): boolean {
  const quoteOrNumber = /"|[-\d][\d.eE+-]*/g
  for (let found = quoteOrNumber.exec(text); found !== null; found = quoteOrNumber.exec(text)) {
    const [token] = found
    if (token === '"') quoteOrNumber.lastIndex = stringEnd(text, found.index)
    else if (!integer.test(token) && String(Number(token)) !== token) return false
  }
  return true
}

function valueStart(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) <= 0x20) at += 1
  return at
}

function valueEnd(text: string, start: number): number {
  if (text.charCodeAt(start) === quote) return stringEnd(text, start)
  if (text.charAt(start) !== '{' && text.charAt(start) !== '[') {
    const scalar = /[^,\]}\s]+/y
    scalar.lastIndex = start
    return scalar.test(text) ? scalar.lastIndex : text.length
  }
  const structure = /["[\]{}]/g
  structure.lastIndex = start
  for (let depth = 0; structure.test(text); ) {
    const character = text.charAt(structure.lastIndex - 1)
    if (character === '"') structure.lastIndex = stringEnd(text, structure.lastIndex - 1)
    else depth += character === '[' || character === '{' ? 1 : -1
    if (depth === 0) return structure.lastIndex
  }
  return text.length
}

/**
 * An expression for the whole string would need as much stack as a long string has characters.
 *
 * @param start of a string literal
 * @returns behind its closing quote; the text's end when it has none
 */
export function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes += 1
    if (escapes % 2 === 0) return end + 1
  }
  return text.length
}
