/** A JSON value; integers beyond 2^53 are `bigint`, so that none is rounded. */
export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  [key: string]: JsonValue
}

// JSON.parse and JSON.stringify are about ten times faster than any parser in JavaScript, but know no long integers.
// Those travel through them as strings that begin with more of this character than any text of the value has in a row.
const mark = '\u0001'
const marksInText = /(?:\\u0001)+/g

// Sixteen digits are the shortest integer that a double cannot hold.
const longDigits = /\d{16}/

/**
 * Parses one JSON text and keeps every integer exact. Of a repeated key the last value counts.
 *
 * @throws SyntaxError when the text is not one well-formed JSON value
 */
export function parseJson(text: string): JsonValue {
  if (!longDigits.test(text)) return JSON.parse(text) as JsonValue
  const prefix = prefixFor(text)
  const marked = withMarkedIntegers(text, JSON.stringify(prefix).slice(1, -1))
  const value = JSON.parse(marked) as JsonValue
  return marked === text ? value : withIntegers(value, prefix)
}

/**
 * @returns JSON text in which every `bigint` is an exact integer; an infinite number, which is what JavaScript makes of
 *   one that no double holds, is another such number
 */
export function stringifyJson(value: JsonValue): string {
  const marked = withMarks(value, mark)
  if (marked === value) return JSON.stringify(value)
  if (marked !== undefined) return JSON.stringify(marked).replace(markedNumber(mark), '$1')
  const prefix = prefixFor(JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? 0 : inner)))
  return JSON.stringify(withMarks(value, prefix)).replace(markedNumber(prefix), '$1')
}

/** @returns whether the value is a JSON object: not an array, not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A text that no string of a JSON text begins with. */
function prefixFor(text: string): string {
  let longest = 0
  for (const [run] of text.matchAll(marksInText)) longest = Math.max(longest, run.length / '\\u0001'.length)
  return mark.repeat(longest + 1)
}

function markedNumber(prefix: string): RegExp {
  return new RegExp(`"${'\\\\u0001'.repeat(prefix.length)}(-?(?:\\d+|1e999))"`, 'g')
}

function withMarkedIntegers(text: string, escapedPrefix: string): string {
  // No leading zero and no colon behind it: what JSON refuses must stay what it is.
  const quoteOrLongInteger = /"|(?<![\d.eE+-])-?[1-9]\d{15,}(?![\d.eE]|\s*:)/g
  let marked = ''
  let copied = 0
  for (let found = quoteOrLongInteger.exec(text); found !== null; found = quoteOrLongInteger.exec(text)) {
    const [token] = found
    if (token === '"') quoteOrLongInteger.lastIndex = stringEnd(text, found.index)
    else if (!Number.isSafeInteger(Number(token))) {
      marked += `${text.slice(copied, found.index)}"${escapedPrefix}${token}"`
      copied = quoteOrLongInteger.lastIndex
    }
  }
  return copied === 0 ? text : marked + text.slice(copied)
}

/** Turns marked strings into integers, in place: the value was parsed a moment ago and has no other owner. */
function withIntegers(root: JsonValue, prefix: string): JsonValue {
  const holder = { root }
  // A stack, because a text may be nested more deeply than calls can be.
  const containers: Record<string, JsonValue>[] = [holder]
  for (let container = containers.pop(); container !== undefined; container = containers.pop()) {
    for (const key of Object.keys(container)) {
      const inner = container[key] as JsonValue
      if (typeof inner === 'string') {
        if (inner.startsWith(prefix)) container[key] = BigInt(inner.slice(prefix.length))
      } else if (typeof inner === 'object' && inner !== null) {
        containers.push(inner as Record<string, JsonValue>)
      }
    }
  }
  return holder.root
}

/** @returns a copy with marked strings for numbers; the value itself when it has none; `undefined` when it uses the mark. */
function withMarks(value: JsonValue, prefix: string): JsonValue | undefined {
  if (typeof value === 'bigint') return `${prefix}${value}`
  if (value === Infinity) return `${prefix}1e999`
  if (value === -Infinity) return `${prefix}-1e999`
  if (typeof value === 'string') return value.includes(prefix) ? undefined : value
  if (typeof value !== 'object' || value === null) return value
  let copy: Record<string, JsonValue> | JsonValue[] | undefined
  for (const key of Object.keys(value)) {
    if (key.includes(prefix)) return undefined
    const inner = (value as JsonObject)[key] as JsonValue
    const marked = withMarks(inner, prefix)
    if (marked === undefined && inner !== undefined) return undefined
    if (marked === inner) continue
    copy ??= Array.isArray(value) ? [...value] : { ...value }
    ;(copy as JsonObject)[key] = marked as JsonValue
  }
  return copy ?? value
}

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
