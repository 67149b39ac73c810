import type { ValueAt } from './shape.ts'

/** SQL of the first value that is not empty, of several keys. */
export function firstOf(at: ValueAt, keys: readonly string[]): string {
  return `coalesce(${keys.map((key) => `nullif(${at(key)}, '')`).join(', ')})`
}

/** SQL of the first value that is not empty, of several keys of an inner object. */
export function firstInside(at: ValueAt, object: string, keys: readonly string[]): string {
  return firstOf((key) => at(object, key!), keys)
}
