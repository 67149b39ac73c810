import { stringEnd } from './json-text.ts'

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
