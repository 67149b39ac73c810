import type { z } from 'zod'
import { masked, redactSecrets } from '../reporting/redact.ts'
import { variableWithValue } from './environment.ts'

/** @returns a line for each mistake of an issue: its path, what was found and what was expected */
export function describeIssue(issue: z.core.$ZodIssue, input: unknown): string[] {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${path === '' ? key : `${path}.${key}`}: found an unknown option, expected none of this name`,
    )
  }
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => invalidName(path, message))
  // A check of several options says by itself what it found.
  if (issue.message.startsWith('found ')) return [`${path}: ${issue.message}`]
  const found = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  )
  const value = isSecret(String(issue.path.at(-1)), found) && found !== '' ? 'a secret' : shown(found)
  const variable = variableWithValue(found)
  const origin = variable === undefined ? '' : ` (the value of ${variable})`
  return [`${path || 'config'}: found ${value}${origin}, ${expected(issue)}`]
}

/** The line for a key that no entry may have. */
export function invalidName(path: string, expected: string): string {
  return `${path}: found a name that cannot be, ${expected}`
}

function expected(issue: z.core.$ZodIssue): string {
  const message = issue.message.replace(/^Invalid (?:input|option): /, '').replace(/, received .*$/, '')
  if (issue.code === 'too_small')
    return `expected at least ${String(issue.minimum)}${issue.origin === 'string' ? ' characters' : ''}`
  if (issue.code === 'too_big')
    return `expected at most ${String(issue.maximum)}${issue.origin === 'string' ? ' characters' : ''}`
  return message.startsWith('expected') ? message : `expected something else (${message})`
}

/** Their texts are secrets as a whole, with nothing in them to know a secret by. */
const secretOptions: ReadonlySet<string> = new Set([
  'key',
  'connectionString',
  'token',
  'clientSecret',
  'auth',
])

/** A SAS that is no URL may be the signature alone. */
function isSecret(option: string, value: unknown): value is string {
  return (
    typeof value === 'string' && (secretOptions.has(option) || (option === 'url' && !URL.canParse(value)))
  )
}

/** A value short enough for a message, without secrets. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'function') return 'a function'
  const text = redactSecrets(
    JSON.stringify(value, (key, inner) => {
      if (isSecret(key, inner)) return masked
      return typeof inner === 'bigint' ? `${inner}n` : inner
    }) ?? String(value),
  )
  // A name and password before a host, without the scheme that a secret would be known by.
  const bare = text.replace(/[^\s"@/]+:[^\s"@/]+@/g, `${masked}@`)
  return bare.length > 80 ? `${bare.slice(0, 77)}...` : bare
}
