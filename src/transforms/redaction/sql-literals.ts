/** Whether the quotes of a statement are balanced. */
export type Quoting = 'sound' | 'doubtful' | 'broken'

/** How a statement is redacted. */
export interface SqlOptions {
  readonly replacement: string
  /**
   * Whether the quotes are known to be balanced. They are in a statement that the server parsed (`sound`, the default),
   * need not be after a syntax error (`broken`), and may be in a statement that failed for an unknown reason (`doubtful`).
   */
  readonly quoting?: Quoting | undefined
  /** A result of `sqlScanner`, which also finds text to keep. Default: no text is kept. */
  readonly scanner?: RegExp | undefined
}

// The beginning of a literal, a comment, a quoted name or a parameter. A number includes the characters directly after it:
// `123abc` is no name.
const beginning = /["'$]|--|\/\*|(?<![\w$\x80-\uffff])\.?\d[\w.]*(?:(?<=[eE])[+-]\d\w*)?/g

const plainScanner = new RegExp(beginning.source, 'g')

/** @returns a scanner that keeps the matches of `kept` outside of literals, with their numbers */
export function sqlScanner(kept: RegExp): RegExp {
  return new RegExp(`(${kept.source})|${beginning.source}`, 'gm')
}

// PostgreSQL truncates names to 63 bytes. A longer "name", or one over several lines, consists of two unrelated quotes,
// such as those around the statement of a CONTEXT line.
const quotedName = /"(?:[^"\n]|""){0,63}"/y

const dollarQuote = /\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$/y
const word = /[\w.\x80-\uffff]*/y
const parameter = /\$\d+/y
const nameCharacter = /[\w$\x80-\uffff]/
const stringPrefix = /(?:^|[^\w$\x80-\uffff])([eEbBxXnN]|[uU]&)$/
const quoteOrEscape = /['\\]/g
const commentMark = /\/\*|\*\//g

/**
 * Replaces all literals and comments of a statement; names, keywords and `$1` are kept.
 *
 * Each step continues at the end of the one before and reads no further than its token, so the time is linear in the
 * statement's length.
 *
 * In a statement with unbalanced quotes, only the text before the first string is certain to be outside of a string; all
 * text from there on is replaced at once. A statement that ends within a string may also be truncated.
 */
export function redactSql(sql: string, options: SqlOptions): string {
  return redactedSql(sql, options).text
}

/** A redacted statement. */
export interface RedactedSql {
  readonly text: string
  /** Whether the statement ends, or may end, within a literal or comment. */
  readonly isOpen: boolean
}

/** Redacts like `redactSql`, and finds whether the statement may continue after the text. */
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
      // Most literals of a long statement are numbers, whose end the match already has.
      redacted += sql.slice(copied, found.index) + replacement
      copied = scanner.lastIndex
      isOpen = false
      continue
    }
    const token = tokenAt(sql, found, copied)
    scanner.lastIndex = token.end
    if (token.kind === 'kept') {
      // With unbalanced quotes, a quote within a name may begin a string.
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
      // Within a name, the character has no special meaning.
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
    // A word directly after a quote means that the quote closed nothing, as in 'it's'.
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
