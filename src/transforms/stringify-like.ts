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
 * JSON text of a value that was made from another: what equals the other is written as it stands in the other's text,
 * so that numbers a double cannot hold, and their spelling, pass through JavaScript.
 *
 * An equal value with a key that its text repeats is written anew: who was shown only one of them has not agreed to the
 * others.
 *
 * @param value what to write
 * @param before the value that `text` holds, without the changes
 * @param text one well-formed JSON value
 */
export function stringifyLike(value: JsonValue, before: JsonValue, text: string): string {
  return written(value, before, text, { start: 0, end: text.length })
}

/** @returns whether two JSON values are the same, the order of keys included. */
export function isSameJson(one: JsonValue, other: JsonValue): boolean {
  // A stack of pairs: records may be nested more deeply than calls can be.
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

/** @returns whether an object anywhere in a well-formed text has the same key twice; `value` is what the text holds. */
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

/** @returns `undefined` for what JSON leaves out */
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
