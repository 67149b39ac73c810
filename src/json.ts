/** A JSON value. Integers beyond 2^53 are `bigint`, because a number would round them. */
export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  [key: string]: JsonValue
}

// JSON.parse and JSON.stringify are about ten times faster than a parser written in JavaScript, but round long integers.
// Long integers pass through them as strings with a prefix: this character, repeated more often than anywhere in the value.
const mark = '\u0001'
const marksInText = /(?:\\u0001)+/g

// The shortest integer that a double cannot hold has sixteen digits.
const longDigits = /\d{16}/

/**
 * Parses one JSON text and keeps every integer exact. The last value of a repeated key wins.
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
 * @returns JSON text in which every `bigint` is an exact integer. An infinite number, as parsing `1e400` gives, becomes
 *   `1e999`, which parses as infinite again
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

/** @returns a prefix with which no string in a JSON text begins */
function prefixFor(text: string): string {
  let longest = 0
  for (const [run] of text.matchAll(marksInText)) longest = Math.max(longest, run.length / '\\u0001'.length)
  return mark.repeat(longest + 1)
}

function markedNumber(prefix: string): RegExp {
  return new RegExp(`"${'\\\\u0001'.repeat(prefix.length)}(-?(?:\\d+|1e999))"`, 'g')
}

function withMarkedIntegers(text: string, escapedPrefix: string): string {
  // Neither a leading zero nor a colon after it: invalid JSON must stay invalid.
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

/** Replaces marked strings by integers in place: the value was just parsed, so nothing else refers to it. */
function withIntegers(root: JsonValue, prefix: string): JsonValue {
  const holder = { root }
  // An explicit stack: nesting can be deeper than the call stack allows.
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

/** @returns a copy with long integers as marked strings; the value itself without any; undefined when it contains the prefix */
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

// From here on: finding values in well-formed JSON text without parsing it into a tree, at any depth of nesting.

const colon = 0x3a
const quote = 0x22
const backslash = 0x5c
const integer = /^(?:0|-?[1-9]\d*)$/

/** The position of a value in a text, in characters. */
export interface TextPlace {
  readonly start: number
  readonly end: number
}

/**
 * @param text has a well-formed JSON array at `place`
 * @returns the places of its elements
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
 * @param text has a well-formed JSON object at `place`
 * @returns the places of its members' values, by key; the last place of a repeated key
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

/** @returns the number of keys of all objects in a well-formed text, repeated keys included */
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

/** @returns whether every number of a text is an integer or prints as it is written when parsed as a double */
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
 * Finds the end of a string literal. Not by a regular expression: its stack would grow with the string's length.
 *
 * @param start the position of the opening quote
 * @returns the position after the closing quote, or the text's length without one
 */
export function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes += 1
    if (escapes % 2 === 0) return end + 1
  }
  return text.length
}
