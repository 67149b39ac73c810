import { readFileSync } from 'node:fs'
import { TailraceError } from '../errors.ts'
import { logLevels } from '../reporting/logger.ts'

/** Variables that set an option of any config, whatever its file says. */
export const optionVariables = {
  TAILRACE_STATE: 'text',
  TAILRACE_SHARD: 'text',
  TAILRACE_METRICS_HOST: 'text',
  TAILRACE_METRICS_PORT: 'whole number',
  TAILRACE_PAGE: ['on', 'off'],
  TAILRACE_PAGE_HOST: 'text',
  TAILRACE_PAGE_HOSTS: 'text',
  TAILRACE_PAGE_PORT: 'whole number',
  TAILRACE_PAGE_TOKEN: 'text',
  TAILRACE_MIN_FREE_BYTES: 'whole number',
  TAILRACE_POLL_MS: 'whole number',
  TAILRACE_BATCH_BYTES: 'whole number',
  TAILRACE_BATCH_ROWS: 'whole number',
  TAILRACE_BATCH_AGE_MS: 'whole number',
  TAILRACE_RUNS_TABLE: 'text',
  LOG_LEVEL: logLevels,
} as const

/** Where the log is sent, whatever the config is. */
export const logAnalyticsVariables = {
  TAILRACE_LOG_ANALYTICS_ENDPOINT: 'text',
  TAILRACE_LOG_ANALYTICS_RULE: 'text',
  TAILRACE_LOG_ANALYTICS_STREAM: 'text',
} as const

/** The variables of the shipped config and of the command line. docs/configuration.md lists them. */
export const environmentVariables = [
  'AZURE_STORAGE_CONNECTION_STRING',
  'AZURE_STORAGE_SAS_URL',
  'AZURE_STORAGE_ACCOUNT',
  'TAILRACE_CONTAINER',
  'TAILRACE_PRIMARY',
  'TAILRACE_REPLICA',
  'TAILRACE_SERVERS',
  'TAILRACE_PRIMARY_TABLE',
  'TAILRACE_REPLICA_TABLE',
  'TAILRACE_TIME_ZONE',
  'TAILRACE_LOG_LINE_PREFIX',
  'TAILRACE_COLD_START',
  'TAILRACE_START_TIME',
  'TAILRACE_LAKEHOUSE',
  'TAILRACE_SINK',
  'DATABRICKS_HOST',
  'DATABRICKS_HTTP_PATH',
  'DATABRICKS_TOKEN',
  'DATABRICKS_CLIENT_ID',
  'DATABRICKS_CLIENT_SECRET',
  'TAILRACE_SINK_MODE',
  'TAILRACE_VOLUME',
  'TAILRACE_ZEROBUS_HOST',
  'TAILRACE_ZEROBUS_WORKSPACE_ID',
  'TAILRACE_CONFIG',
  ...(Object.keys(logAnalyticsVariables) as (keyof typeof logAnalyticsVariables)[]),
  ...(Object.keys(optionVariables) as (keyof typeof optionVariables)[]),
] as const

/** Variables of this repository's tests and benches. A shell that has them set may also run the command. */
const developmentVariables =
  /^TAILRACE_(?:SEED|SCHEDULES|RUNS|CUTS|FAULTS|EVERY_CALL|REQUIRE_ALL|CHROMIUM|(?:TEST|FUZZ|INTEROP|BENCH|DATABRICKS)_[A-Z_]+)$/

/** Environment variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Names passed to `readEnvironment`: a user's config may read other variables than the shipped one. */
const requestedNames = new Set<string>()

/** Files that variables with `_FILE` named. */
const requestedFiles = new Set<string>()

const closingQuotes: Readonly<Record<string, string>> = { '"': '"', "'": "'", '“': '”', '‘': '’' }
const quotes = new Set(Object.entries(closingQuotes).flat())

/** Invisible characters, except the two joiners that some scripts need. */
const invisible = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** References that a shell would expand, but an env file or Kubernetes may leave unexpanded. */
const unexpanded = /^~(?=\/|$)|\$\{\w+\}|\$\(\w+\)/

/** The type of a variable: any text, digits, or one of several words in any case. */
export type VariableKind = 'text' | 'whole number' | readonly string[]

/** The type of the value of a variable of a kind. */
export type VariableValue<Kind> = Kind extends readonly (infer Word)[]
  ? Word
  : Kind extends 'whole number'
    ? number
    : string

/**
 * Reads environment variables for a config.
 *
 * Env files of Docker and secrets of Kubernetes keep quotes and newlines in a value. So white space around a value is
 * removed, then quotes around all of it. An empty variable counts as unset. With `_FILE` behind its name, a variable is
 * the path of a file with the value, as mounted secrets are.
 *
 * @param kinds the kind of each variable, by name. Pass all variables of a config in one call, so that all mistakes are
 *   reported together, with those of the variables that set an option of any config
 * @param environment default `process.env`
 * @throws CONFIG_INVALID that lists each variable with a value of another kind, a quote at one end only, a control
 *   character, an unexpanded reference such as `~/` or `${HOME}`, or a file that cannot be read
 */
export function readEnvironment<const Kinds extends Readonly<Record<string, VariableKind>>>(
  kinds: Kinds,
  environment: Environment = process.env,
): { readonly [Name in keyof Kinds]: VariableValue<Kinds[Name]> | undefined } {
  return readVariables({ ...optionVariables, ...kinds }, environment)
}

/** @returns the whole environment, for libraries that have variables of their own */
export function processEnvironment(): Environment {
  return process.env
}

/** As `readEnvironment`, but only the given variables are read and checked. */
export function readVariables<const Kinds extends Readonly<Record<string, VariableKind>>>(
  kinds: Kinds,
  environment: Environment = process.env,
): { readonly [Name in keyof Kinds]: VariableValue<Kinds[Name]> | undefined } {
  const values: Record<string, string | number> = {}
  const mistakes: string[] = []
  for (const [name, kind] of Object.entries(kinds)) {
    requestedNames.add(name)
    const text = textOf(name, environment)
    if (text === '') continue
    const value = text instanceof Mistake ? text : (textMistake(text) ?? parsed(text, kind))
    if (value instanceof Mistake) mistakes.push(`${name}: ${value.message}`)
    else values[name] = value
  }
  if (mistakes.length > 0) {
    const count = mistakes.length === 1 ? 'One variable' : `${mistakes.length} variables`
    throw new TailraceError(
      'CONFIG_INVALID',
      `${count} of the environment ${mistakes.length === 1 ? 'is' : 'are'} invalid:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`,
    )
  }
  return values as { readonly [Name in keyof Kinds]: VariableValue<Kinds[Name]> | undefined }
}

/** @returns the paths of the files that variables have named so far, such as those of mounted secrets */
export function environmentFiles(): readonly string[] {
  return [...requestedFiles]
}

/** @returns the name of a known variable with this value, so that an error message can name the origin of a value */
export function variableWithValue(
  value: unknown,
  environment: Environment = process.env,
): string | undefined {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || text === '') return undefined
  return [...environmentVariables, ...requestedNames].find(
    (name) => unwrapped(environment[name] ?? '') === text,
  )
}

/** A set variable that is not read, with the most similar known name. */
export interface UnknownVariable {
  readonly name: string
  readonly nearestName: string
}

/** @returns the set variables with the prefix TAILRACE that neither the command line nor the loaded config reads */
export function unknownVariables(environment: Environment = process.env): UnknownVariable[] {
  const names = [...environmentVariables, ...requestedNames].filter((name) => name.startsWith('TAILRACE'))
  const known = new Set(names.flatMap((name) => [name, `${name}_FILE`]))
  return Object.keys(environment)
    .filter((name) => /^TAILRACE/i.test(name) && !known.has(name) && !developmentVariables.test(name))
    .map((name) => ({ name, nearestName: nearest(name.toUpperCase(), known) }))
}

/** @returns the text of a variable, or of the file that the variable with `_FILE` names; empty when neither is set */
function textOf(name: string, environment: Environment): string | Mistake {
  const text = unwrapped(environment[name] ?? '')
  const path = unwrapped(environment[`${name}_FILE`] ?? '')
  if (path === '') return text
  requestedFiles.add(path)
  if (text !== '') return new Mistake(`found ${name}_FILE too, expected one of the two`)
  try {
    const content = unwrapped(readFileSync(path, 'utf8'))
    return content === '' ? new Mistake(`found nothing in the file ${path} of ${name}_FILE`) : content
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return new Mistake(`the file ${path} of ${name}_FILE cannot be read (${code})`)
  }
}

function unwrapped(text: string): string {
  let value = text.trim()
  while (value.length > 1 && closingQuotes[value[0] as string] === value.at(-1))
    value = value.slice(1, -1).trim()
  return value
}

/** The reason why the value of a variable is invalid. */
class Mistake {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

/** The message must not contain the text, which may be a secret. */
function textMistake(text: string): Mistake | undefined {
  const found = invisible.exec(text)
  if (found !== null) {
    const code = (found[0].codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')
    return new Mistake(`found a control character (U+${code}) after ${found.index} characters, expected none`)
  }
  if (quotes.has(text[0] as string) || quotes.has(text.at(-1) as string))
    return new Mistake('found a quote at one end, expected quotes at both ends or none')
  const reference = unexpanded.exec(text)?.[0]
  return reference === undefined
    ? undefined
    : new Mistake(`found the unexpanded reference ${reference}, expected its value`)
}

function parsed(text: string, kind: VariableKind): string | number | Mistake {
  if (kind === 'text') return text
  if (kind === 'whole number') {
    return /^\d{1,15}$/.test(text)
      ? Number(text)
      : new Mistake(`found ${JSON.stringify(text)}, expected a whole number`)
  }
  return (
    kind.find((word) => word.toLowerCase() === text.toLowerCase()) ??
    new Mistake(`found ${JSON.stringify(text)}, expected one of ${kind.join(', ')}`)
  )
}

function nearest(name: string, known: Iterable<string>): string {
  const [first] = [...known].toSorted((a, b) => editDistance(name, a) - editDistance(name, b))
  return first as string
}

/** The Levenshtein distance: the number of characters to insert, remove or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
