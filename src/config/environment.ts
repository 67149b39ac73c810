import { TailraceError } from '../errors.ts'

/** The variables that the config that ships reads, and those of the command itself. docs/configuration.md lists them. */
export const environmentVariables = [
  'AZURE_STORAGE_CONNECTION_STRING',
  'AZURE_STORAGE_SAS_URL',
  'AZURE_STORAGE_ACCOUNT',
  'TAILRACE_CONTAINER',
  'TAILRACE_PRIMARY',
  'TAILRACE_REPLICA',
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
  'TAILRACE_STATE',
  'TAILRACE_METRICS_PORT',
  'LOG_LEVEL',
] as const

/** Variables of this repository's own tests and benches: a shell that has them set may also run the command. */
const developmentVariables =
  /^TAILRACE_(?:SEED|SCHEDULES|RUNS|CUTS|FAULTS|REQUIRE_ALL|(?:TEST|FUZZ|INTEROP|BENCH|DATABRICKS)_[A-Z_]+)$/

/** Environment variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A config of a user's own may read more than the one that ships: names that were asked for are known ones. */
const askedNames = new Set<string>()

const closingQuotes: Readonly<Record<string, string>> = { '"': '"', "'": "'", '“': '”', '‘': '’' }
const quotes = new Set(Object.entries(closingQuotes).flat())

/** Invisible characters, but for the two joiners that some scripts are written with. */
const invisible = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What a shell would have replaced, but an env file and an unresolved reference of Kubernetes do not. */
const unexpanded = /^~(?=\/|$)|\$\{\w+\}|\$\(\w+\)/

/** What a variable holds: any text, digits, or one of some words in any case. */
export type VariableKind = 'text' | 'whole number' | readonly string[]

/** The value of a variable of a kind. */
export type VariableValue<Kind> = Kind extends readonly (infer Word)[]
  ? Word
  : Kind extends 'whole number'
    ? number
    : string

/**
 * Reads environment variables for a config.
 *
 * Env files of Docker and secrets of Kubernetes pass quotes and newlines on as part of a value. White space around a
 * value is removed, then quotes around the whole of it. An empty variable counts as one that is not set.
 *
 * @param kinds what each variable holds, by name; all of a config in one call, so that all mistakes are reported at once
 * @param environment default: the process's
 * @throws CONFIG_INVALID naming each variable that is not of its kind, has a quote at one end only, a control
 *   character, or a reference that nothing replaced, such as `~/` or `${HOME}`
 */
export function readEnvironment<const Kinds extends Readonly<Record<string, VariableKind>>>(
  kinds: Kinds,
  environment: Environment = process.env,
): { readonly [Name in keyof Kinds]: VariableValue<Kinds[Name]> | undefined } {
  const values: Record<string, string | number> = {}
  const mistakes: string[] = []
  for (const [name, kind] of Object.entries(kinds)) {
    askedNames.add(name)
    const text = unwrapped(environment[name] ?? '')
    if (text === '') continue
    const value = textMistake(text) ?? parsed(text, kind)
    if (value instanceof Mistake) mistakes.push(`${name}: ${value.message}`)
    else values[name] = value
  }
  if (mistakes.length > 0) {
    const count = mistakes.length === 1 ? 'A variable' : `${mistakes.length} variables`
    throw new TailraceError(
      'CONFIG_INVALID',
      `${count} of the environment cannot be used:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`,
    )
  }
  return values as { readonly [Name in keyof Kinds]: VariableValue<Kinds[Name]> | undefined }
}

/** @returns the known variable that has this value, so that a mistake in the config can name it. */
export function variableWithValue(
  value: unknown,
  environment: Environment = process.env,
): string | undefined {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || text === '') return undefined
  return [...environmentVariables, ...askedNames].find((name) => unwrapped(environment[name] ?? '') === text)
}

/** A variable that nothing reads, and the known name that comes nearest to it. */
export interface UnknownVariable {
  readonly name: string
  readonly nearestName: string
}

/** @returns the variables of Tailrace's prefix that neither the command nor the config that was loaded reads. */
export function unknownVariables(environment: Environment = process.env): UnknownVariable[] {
  const known = new Set(
    [...environmentVariables, ...askedNames].filter((name) => name.startsWith('TAILRACE')),
  )
  return Object.keys(environment)
    .filter((name) => /^TAILRACE/i.test(name) && !known.has(name) && !developmentVariables.test(name))
    .map((name) => ({ name, nearestName: nearest(name.toUpperCase(), known) }))
}

function unwrapped(text: string): string {
  let value = text.trim()
  while (value.length > 1 && closingQuotes[value[0] as string] === value.at(-1))
    value = value.slice(1, -1).trim()
  return value
}

/** Why a variable cannot be used. */
class Mistake {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

/** Its message has nothing of the text, which may be a secret. */
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
    : new Mistake(`found ${reference}, which nothing has replaced, expected the value itself`)
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

/** Levenshtein's: how many characters have to be inserted, removed or replaced. */
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
