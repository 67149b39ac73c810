import type { z } from 'zod'
import { masked, redactSecrets } from '../reporting/redact.ts'
import { durationText, landEveryBounds, parseDuration } from './duration.ts'
import { variableWithValue } from './environment.ts'

/** @returns one line per mistake of an issue: the path, the value found and the expected one */
export function describeIssue(issue: z.core.$ZodIssue, input: unknown): string[] {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const place = path === '' ? key : `${path}.${key}`
      const written = valueAt(input, [...issue.path, key])
      return `${place}: found ${replacement(place, written) ?? 'an unknown option, expected none of this name'}`
    })
  }
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => invalidName(path, message))
  // The message of a check of several options already has the values.
  if (issue.message.startsWith('found ')) return [`${path}: ${issue.message}`]
  const found = valueAt(input, issue.path)
  const value = isSecret(String(issue.path.at(-1)), found) && found !== '' ? 'a secret' : shown(found)
  const variable = variableWithValue(found)
  const origin = variable === undefined ? '' : ` (the value of ${variable})`
  return [`${path || 'config'}: found ${value}${origin}, ${expected(issue)}`]
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  )
}

/** @returns the rest of the line for an option that another one has replaced; undefined for any other */
function replacement(place: string, written: unknown): string | undefined {
  if (!/^pipelines\.[^.]*\.batch\.landEveryMs$/.test(place)) return undefined
  const [least, greatest] = landEveryBounds.map((bound) => parseDuration(bound)!) as [number, number]
  const isTime = Number.isSafeInteger(written) && Number(written) > 0
  const text = isTime ? durationText(Math.min(Math.max(Number(written), least), greatest)) : '15m'
  return `${shown(written)} milliseconds, expected landEvery: '${text}' in its place`
}

/** @returns the line for an invalid name of a pipeline */
export function invalidName(path: string, expected: string): string {
  return `${path}: found an invalid name, ${expected}`
}

function expected(issue: z.core.$ZodIssue): string {
  const message = issue.message.replace(/^Invalid (?:input|option): /, '').replace(/, received .*$/, '')
  if (issue.code === 'too_small')
    return `expected at least ${String(issue.minimum)}${issue.origin === 'string' ? ' characters' : ''}`
  if (issue.code === 'too_big')
    return `expected at most ${String(issue.maximum)}${issue.origin === 'string' ? ' characters' : ''}`
  return message.startsWith('expected') ? message : `expected another value (${message})`
}

/** Options whose whole text is a secret that no pattern recognizes. */
const secretOptions: ReadonlySet<string> = new Set([
  'key',
  'connectionString',
  'token',
  'clientSecret',
  'auth',
])

/** A text for `url` that is not a URL may be the signature of a SAS alone. */
function isSecret(option: string, value: unknown): value is string {
  return (
    typeof value === 'string' && (secretOptions.has(option) || (option === 'url' && !URL.canParse(value)))
  )
}

/** @returns a value as text for a message, truncated and without secrets */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'function') return 'a function'
  const text = redactSecrets(
    JSON.stringify(value, (key, inner) => {
      if (isSecret(key, inner)) return masked
      return typeof inner === 'bigint' ? `${inner}n` : inner
    }) ?? String(value),
  )
  // `name:password@host` without a scheme, which `redactSecrets` does not recognize.
  const bare = text.replace(/[^\s"@/]+:[^\s"@/]+@/g, `${masked}@`)
  return bare.length > 80 ? `${bare.slice(0, 77)}...` : bare
}
