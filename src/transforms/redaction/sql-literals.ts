/** Whether the quotes of a statement pair. */
export type Quoting = 'sound' | 'doubtful' | 'broken'

/** How a statement is redacted. */
export interface SqlOptions {
  readonly replacement: string
  /**
   * Whether its quotes are known to pair. Those of a statement that the server parsed do; those of one with a syntax
   * error need not (`broken`), and of a failed statement the error may be unknown (`doubtful`). Default `sound`.
   */
  readonly quoting?: Quoting | undefined
  /** From `sqlScanner`: finds text that stays as it is, too. Default: there is none. */
  readonly scanner?: RegExp | undefined
}

// Where a literal, a comment, a quoted name or a parameter may begin. A number takes everything that is written
// against it: `123abc` is no name.
const beginning = /["'$]|--|\/\*|(?<![\w$\x80-\uffff])\.?\d[\w.]*(?:(?<=[eE])[+-]\d\w*)?/g

const plainScanner = new RegExp(beginning.source, 'g')

/** @returns a scanner that takes what `kept` finds outside of literals as it is, numbers included */
export function sqlScanner(kept: RegExp): RegExp {
  return new RegExp(`(${kept.source})|${beginning.source}`, 'gm')
}

// PostgreSQL cuts names at 63 bytes. A longer "name", or one over several lines, is two quotes that do not belong
// together, such as those around the statement of a CONTEXT line.
const quotedName = /"(?:[^"\n]|""){0,63}"/y

const dollarQuote = /\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$/y
const word = /[\w.\x80-\uffff]*/y
const parameter = /\$\d+/y
const nameCharacter = /[\w$\x80-\uffff]/
const stringPrefix = /(?:^|[^\w$\x80-\uffff])([eEbBxXnN]|[uU]&)$/
const quoteOrEscape = /['\\]/g
const commentMark = /\/\*|\*\//g

/**
 * Replaces every literal and comment of a statement; names, keywords and `$1` stay.
 *
 * Every step continues where the former one ended, and none reads further than the token that it replaces, so the
 * cost is linear in the statement's length, whatever is in it.
 *
 * Of a misquoted statement only the text before its first string is certain to be outside of one, and all that follows
 * is replaced at once. One that ends inside a string may also be cut short.
 */
export function redactSql(sql: string, options: SqlOptions): string {
  return redactedSql(sql, options).text
}

/** A redacted statement. */
export interface RedactedSql {
  readonly text: string
  /** Whether it ends inside a literal or comment, or may do so. */
  readonly isOpen: boolean
}

/** Redacts as `redactSql` does, and finds whether the statement goes on behind its text. */
export function redactedSql(
  sql: string,
  { replacement, quoting = 'sound', scanner = plainScanner }: SqlOptions,
): RedactedSql {
  let redacted = ''
  let isOpen = false
  let firstString = -1
  let copied = 0
  scanner.lastIndex = 0
  for (let found = scanner.exec(sql); found !== null; found = scanner.exec(sql)) {
    if (isDigitOrPoint(sql.charCodeAt(found.index)) && found[1] === undefined) {
      // Most literals of a long statement are numbers, and their end is known.
      redacted += sql.slice(copied, found.index) + replacement
      copied = scanner.lastIndex
      isOpen = false
      continue
    }
    const token = tokenAt(sql, found, copied)
    scanner.lastIndex = token.end
    if (token.kind === 'kept') {
      // Of a misquoted statement a quote inside of a name may begin a string.
      const quote = quoting === 'sound' ? -1 : sql.slice(token.start, token.end).indexOf("'")
      if (quote >= 0) scanner.lastIndex = token.start + quote
      continue
    }
    redacted += sql.slice(copied, token.start)
    isOpen = token.state === 'open'
    if (token.kind === 'string') {
      if (firstString < 0) firstString = redacted.length
      const isMisquoted =
        quoting === 'broken' || token.state === 'misquoted' || (isOpen && quoting === 'doubtful')
      if (isMisquoted) return { text: redacted.slice(0, firstString) + replacement, isOpen: true }
    }
    redacted += replacement
    copied = token.end
  }
  return { text: redacted + sql.slice(copied), isOpen }
}

function isDigitOrPoint(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2e
}

interface Token {
  readonly kind: 'kept' | 'string' | 'other'
  readonly start: number
  readonly end: number
  readonly state?: 'open' | 'misquoted' | undefined
}

function tokenAt(sql: string, { 0: text, index }: RegExpExecArray, literalEnd: number): Token {
  const kept = (end: number): Token => ({ kind: 'kept', start: index, end })
  const other = (end: number): Token =>
    end < 0
      ? { kind: 'other', start: index, end: sql.length, state: 'open' }
      : { kind: 'other', start: index, end }
  switch (text) {
    case '"':
      return kept(endOf(quotedName, sql, index) ?? index + 1)
    case "'":
      return stringAt(sql, index)
    case '$': {
      // Inside of a name it is a character like any other.
      const isInName = index > literalEnd && nameCharacter.test(sql.charAt(index - 1))
      const quoteEnd = isInName ? undefined : endOf(dollarQuote, sql, index)
      if (quoteEnd === undefined) return kept(endOf(parameter, sql, index) ?? index + 1)
      const tag = sql.slice(index, quoteEnd)
      const close = sql.indexOf(tag, quoteEnd)
      return other(close < 0 ? close : (endOf(word, sql, close + tag.length) ?? sql.length))
    }
    case '--':
      return other(sql.indexOf('\n', index))
    case '/*':
      return other(commentEnd(sql, index))
    default:
      return kept(index + text.length)
  }
}

function stringAt(sql: string, quote: number): Token {
  const prefix = stringPrefix.exec(sql.slice(Math.max(0, quote - 3), quote))?.[1] ?? ''
  const hasEscapes = prefix === 'e' || prefix === 'E'
  for (let at = quote + 1; ; at += 2) {
    at = hasEscapes ? indexOf(quoteOrEscape, sql, at) : sql.indexOf("'", at)
    if (at < 0) return { kind: 'string', start: quote - prefix.length, end: sql.length, state: 'open' }
    if (sql[at] === '\\' || sql[at + 1] === "'") continue
    // Nobody writes a word against a closing quote: this one closed nothing, as in 'it's'.
    const state = nameCharacter.test(sql.charAt(at + 1)) ? 'misquoted' : undefined
    return { kind: 'string', start: quote - prefix.length, end: at + 1, state }
  }
}

/** Comments nest. */
function commentEnd(sql: string, start: number): number {
  let depth = 0
  for (let at = indexOf(commentMark, sql, start); at >= 0; at = indexOf(commentMark, sql, at + 2)) {
    depth += sql[at] === '/' ? 1 : -1
    if (depth === 0) return at + 2
  }
  return -1
}

function indexOf(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from
  return pattern.exec(text)?.index ?? -1
}

function endOf(sticky: RegExp, text: string, at: number): number | undefined {
  sticky.lastIndex = at
  return sticky.test(text) ? sticky.lastIndex : undefined
}
