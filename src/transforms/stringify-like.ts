import {
  countKeyTexts,
  elementPlaces,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  memberPlaces,
  stringifyJson,
  type TextPlace,
} from '../json.ts'

/**
 * Serializes a modified value. Parts equal to the original are copied from its text, so that numbers that a double cannot
 * hold, and their spelling, are preserved.
 *
 * An equal part with a repeated key is serialized, not copied: the transform has received only one of the key's values, so
 * the others must not pass.
 *
 * @param value the modified value
 * @param before the original value, parsed from `text`
 * @param text one well-formed JSON value
 */
export function stringifyLike(value: JsonValue, before: JsonValue, text: string): string {
  return written(value, before, text, { start: 0, end: text.length })
}

/** @returns whether two JSON values are equal, with their keys in the same order */
export function isSameJson(one: JsonValue, other: JsonValue): boolean {
  // An explicit stack: nesting can be deeper than the call stack allows.
  const pairs: (readonly [JsonValue, JsonValue])[] = [[one, other]]
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [a, b] = pair
    if (Object.is(a, b)) continue
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
    if (Array.isArray(a) !== Array.isArray(b) || Object.getPrototypeOf(a) !== Object.getPrototypeOf(b))
      return false
    const [keys, otherKeys] = [Object.keys(a), Object.keys(b)]
    if (keys.length !== otherKeys.length) return false
    for (let at = 0; at < keys.length; at += 1) {
      const key = keys[at] as string
      if (key !== otherKeys[at]) return false
      const [inner, otherInner] = [(a as JsonObject)[key] as JsonValue, (b as JsonObject)[key] as JsonValue]
      if (!Object.is(inner, otherInner)) {
        if (typeof inner !== 'object' || typeof otherInner !== 'object') return false
        pairs.push([inner, otherInner])
      }
    }
  }
  return true
}

/** @param value parsed from `text` @returns whether any object in a well-formed text has a repeated key */
export function repeatsKey(value: JsonValue, text: string, place?: TextPlace): boolean {
  return countKeyTexts(text, place ?? { start: 0, end: text.length }) > countKeys(value)
}

function written(value: JsonValue, before: JsonValue | undefined, text: string, place: TextPlace): string {
  if (before === undefined || !isContainer(value) || !isContainer(before)) {
    return before !== undefined && Object.is(value, before)
      ? text.slice(place.start, place.end)
      : stringifyJson(value)
  }
  if (isSameJson(value, before) && !repeatsKey(before, text, place)) return text.slice(place.start, place.end)
  if (Array.isArray(value) && Array.isArray(before)) {
    const places = elementPlaces(text, place)
    return `[${value.map((inner, index) => member(inner, before[index], text, places[index]) ?? 'null').join(',')}]`
  }
  if (!isJsonObject(value) || !isJsonObject(before) || typeof value.toJSON === 'function')
    return stringifyJson(value)
  const places = memberPlaces(text, place)
  const members: string[] = []
  for (const key of Object.keys(value)) {
    const inner = member(value[key], places.has(key) ? before[key] : undefined, text, places.get(key))
    if (inner !== undefined) members.push(`${JSON.stringify(key)}:${inner}`)
  }
  return `{${members.join(',')}}`
}

/** @returns `undefined` for a value that JSON omits */
function member(
  value: JsonValue | undefined,
  before: JsonValue | undefined,
  text: string,
  place: TextPlace | undefined,
): string | undefined {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return undefined
  return place === undefined ? stringifyJson(value) : written(value, before, text, place)
}

function isContainer(value: JsonValue): value is JsonValue[] | JsonObject {
  return typeof value === 'object' && value !== null
}

function countKeys(value: JsonValue): number {
  let count = 0
  const containers = isContainer(value) ? [value] : []
  for (let container = containers.pop(); container !== undefined; container = containers.pop()) {
    const inner = Array.isArray(container) ? container : Object.values(container)
    if (!Array.isArray(container)) count += inner.length
    for (const one of inner) if (isContainer(one)) containers.push(one)
  }
  return count
}
