import type { ValueAt } from './shape.ts'

/** SQL of the first value that is not empty, of several keys. */
export function firstOf(at: ValueAt, keys: readonly string[]): string {
  return `coalesce(${keys.map((key) => `nullif(${at(key)}, '')`).join(', ')})`
}

/** The same of keys of an inner object. */
export function statedOnce(at: ValueAt, object: string, keys: readonly string[]): string {
  return firstOf((key) => at(object, key!), keys)
}
