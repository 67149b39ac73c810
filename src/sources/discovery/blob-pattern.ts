/** Marks a string as a pattern; whatever holds none of these is a name or a prefix as it stands. */
const wildcard = /[*?{]/

/** Special to the matcher and to nobody who names blobs: inside a pattern they stand for themselves. */
const foreign = /[()[\]|!+@^$"]/

/** @returns whether `text` is written as a pattern: it holds `*`, `?` or `{`, even behind a backslash. */
export function isPattern(text: string): boolean {
  return wildcard.test(text)
}

/** What a pattern begins with, as a blob name has it. */
export interface PatternBase {
  readonly base: string
  /** Whether the base is all of it: every wildcard stands behind a backslash. */
  readonly isWhole: boolean
}

/** Reads a pattern up to its first wildcard. */
export function patternBase(pattern: string): PatternBase {
  let base = ''
  for (const { text, escaped } of characters(pattern)) {
    if (!escaped && wildcard.test(text)) return { base, isWhole: false }
    base += text
  }
  return { base, isWhole: true }
}

/** @returns what keeps a pattern from meaning anything, as the end of a sentence; undefined when nothing does */
export function patternMistake(pattern: string): string | undefined {
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(pattern)) return 'expected a character behind the last backslash'
  let open = 0
  for (const { text, escaped } of characters(pattern)) {
    if (escaped) continue
    if (text === '{') open += 1
    if (text === '}') open -= 1
    if (open < 0) break
  }
  return open === 0 ? undefined : 'expected a } for every {, or a backslash before it'
}

/**
 * The pattern in the matcher's language: of its many special characters only `*`, `?`, `{`, `,` and `}` keep
 * their meaning, so that `pg (old)/*.json` finds what it names.
 */
export function matcherPattern(pattern: string): string {
  let text = ''
  for (const one of characters(pattern)) {
    // The matcher drops a leading `./`, which is part of a blob's name like anything else.
    const isForeign = foreign.test(one.text) || (one.text === '.' && text === '')
    text += one.escaped || isForeign ? `\\${one.text}` : one.text
  }
  return text
}

function* characters(pattern: string): Generator<{ readonly text: string; readonly escaped: boolean }> {
  for (let index = 0; index < pattern.length; index += 1) {
    const escaped = pattern[index] === '\\' && index + 1 < pattern.length
    if (escaped) index += 1
    yield { text: pattern.charAt(index), escaped }
  }
}
