import { parseSyntaxError } from './sql-failures.ts'

export type TokenKind = 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'symbol' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** A word or symbol as written; the unquoted text of a quoted name, literal or parameter. Empty for `?`. */
  readonly text: string
}

const patterns = {
  blank: /(?:\s|--[^\n]*|\/\*[\s\S]*?\*\/)+/y,
  word: /[A-Za-z_][A-Za-z0-9_]*/y,
  quoted: /`((?:[^`]|``)*)`/y,
  number: /\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?/y,
  parameter: /:([A-Za-z_][A-Za-z0-9_]*)|\?/y,
  // `>>` is left out: it closes two type arguments, and no statement here shifts bits.
  symbol: /::|<=|>=|<>|!=|\|\||=>|[-+*/%=<>(),.;:[\]&|^~!]/y,
} as const

/** Reads a statement of Databricks SQL; the last token is `end`. A semicolon may end it. */
export function tokenize(sql: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(sql)
    if (found !== null) at = pattern.lastIndex
    return found
  }
  for (;;) {
    match(patterns.blank)
    if (at >= sql.length) break
    const quote = sql[at]!
    if (quote === "'" || quote === '"') {
      const { value, end } = readString(sql, at)
      tokens.push({ kind: 'string', text: value })
      at = end
      continue
    }
    let found = match(patterns.word)
    if (found !== null) {
      tokens.push({ kind: 'word', text: found[0] })
      continue
    }
    found = match(patterns.quoted)
    if (found !== null) {
      tokens.push({ kind: 'quoted', text: found[1]!.replaceAll('``', '`') })
      continue
    }
    found = match(patterns.number)
    if (found !== null) {
      tokens.push({ kind: 'number', text: found[0] })
      continue
    }
    if (!sql.startsWith('::', at)) {
      found = match(patterns.parameter)
      if (found !== null) {
        tokens.push({ kind: 'parameter', text: found[1] ?? '' })
        continue
      }
    }
    found = match(patterns.symbol)
    if (found === null) throw parseSyntaxError(quote)
    tokens.push({ kind: 'symbol', text: found[0] })
  }
  if (tokens.at(-1)?.text === ';' && tokens.at(-1)?.kind === 'symbol') tokens.pop()
  tokens.push({ kind: 'end', text: '' })
  return tokens
}

const escapes: Readonly<Record<string, string>> = {
  '0': '\0',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
  Z: '\u001a',
  // The wildcards of LIKE keep their backslash, for LIKE to read.
  '%': '\\%',
  _: '\\_',
}

/**
 * Reads one literal with the escapes of Spark's `unescapeSQLString`.
 *
 * A quote that follows the closing one is refused: Spark 4 reads `'a''b'` as one quote inside, earlier runtimes as two
 * literals side by side, so a statement that has it means two things.
 */
function readString(sql: string, start: number): { value: string; end: number } {
  const quote = sql[start]!
  let value = ''
  let at = start + 1
  while (at < sql.length) {
    const char = sql[at]!
    if (char === quote) {
      if (sql[at + 1] === quote) {
        throw parseSyntaxError(quote + quote, ' Whether this is an escaped quote depends on the runtime.')
      }
      return { value, end: at + 1 }
    }
    if (char !== '\\') {
      value += char
      at += 1
      continue
    }
    const code = /^\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([01][0-7]{2}))/.exec(sql.slice(at, at + 10))
    if (code !== null) {
      value += String.fromCodePoint(
        code[3] === undefined ? Number.parseInt(code[1] ?? code[2]!, 16) : Number.parseInt(code[3], 8),
      )
      at += code[0].length
      continue
    }
    const escaped = sql[at + 1]
    if (escaped === undefined) break
    value += escapes[escaped] ?? escaped
    at += 2
  }
  throw parseSyntaxError(undefined)
}
