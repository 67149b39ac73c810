import { parameterNotAllowed, parseSyntaxError } from './sql-failures.ts'
import { type Token, tokenize } from './sql-tokens.ts'

const end: Token = { kind: 'end', text: '' }

/** Walks over the tokens of a statement, or of a part of one. */
export class SqlCursor {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(sql: string | readonly Token[]) {
    this.#tokens = typeof sql === 'string' ? tokenize(sql) : sql
  }

  peek(ahead = 0): Token {
    return this.#tokens[this.#at + ahead] ?? end
  }

  next(): Token {
    const token = this.peek()
    this.#at += 1
    return token
  }

  get atEnd(): boolean {
    return this.peek().kind === 'end'
  }

  /** @returns whether these keywords come next, in this order */
  at(...words: readonly string[]): boolean {
    return words.every((word, ahead) => {
      const token = this.peek(ahead)
      return token.kind === 'word' && token.text.toUpperCase() === word
    })
  }

  /** @returns whether these keywords come next, and skips them if so */
  skip(...words: readonly string[]): boolean {
    if (!this.at(...words)) return false
    this.#at += words.length
    return true
  }

  expect(...words: readonly string[]): void {
    if (!this.skip(...words)) throw this.failure()
  }

  atSymbol(symbol: string): boolean {
    return this.peek().kind === 'symbol' && this.peek().text === symbol
  }

  skipSymbol(symbol: string): boolean {
    if (!this.atSymbol(symbol)) return false
    this.#at += 1
    return true
  }

  expectSymbol(symbol: string): void {
    if (!this.skipSymbol(symbol)) throw this.failure()
  }

  expectEnd(): void {
    if (!this.atEnd) throw this.failure()
  }

  identifier(): string {
    const token = this.peek()
    if (token.kind !== 'word' && token.kind !== 'quoted') throw this.failure()
    this.#at += 1
    return token.text
  }

  /** A name of one or more parts, with dots between them. */
  name(): readonly string[] {
    const parts = [this.identifier()]
    while (this.skipSymbol('.')) parts.push(this.identifier())
    return parts
  }

  string(): string {
    const token = this.peek()
    if (token.kind !== 'string') throw this.failure()
    this.#at += 1
    return token.text
  }

  number(): number {
    const token = this.peek()
    if (token.kind !== 'number') throw this.failure()
    this.#at += 1
    return Number(token.text)
  }

  /** One or more of `item`, with commas between, inside parentheses. */
  list<Item>(item: () => Item): readonly Item[] {
    this.expectSymbol('(')
    const items = [item()]
    while (this.skipSymbol(',')) items.push(item())
    this.expectSymbol(')')
    return items
  }

  /** @returns the tokens between a parenthesis and its closing one */
  group(): readonly Token[] {
    this.expectSymbol('(')
    const inside: Token[] = []
    for (let depth = 1; ; ) {
      if (this.atEnd) throw this.failure()
      const token = this.next()
      if (token.kind === 'symbol' && token.text === '(') depth += 1
      if (token.kind === 'symbol' && token.text === ')') depth -= 1
      if (depth === 0) return inside
      inside.push(token)
    }
  }

  /** @returns the tokens before the keyword outside of parentheses, which is not consumed, or up to the end */
  until(word?: string): readonly Token[] {
    const passed: Token[] = []
    let depth = 0
    while (!this.atEnd && !(depth === 0 && word !== undefined && this.at(word))) {
      const token = this.next()
      if (token.kind === 'symbol' && token.text === '(') depth += 1
      if (token.kind === 'symbol' && token.text === ')') depth -= 1
      passed.push(token)
    }
    return passed
  }

  /** @returns the syntax error at the next token */
  failure(): Error {
    const { kind, text } = this.peek()
    if (kind === 'parameter') return parameterNotAllowed('this place of the statement')
    return parseSyntaxError(kind === 'end' ? undefined : text)
  }
}

/** Splits at the commas that stand in no parentheses. */
export function splitAtCommas(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const parts: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if (token.kind === 'symbol') {
      if (token.text === '(') depth += 1
      if (token.text === ')') depth -= 1
      if (token.text === ',' && depth === 0) {
        parts.push([])
        continue
      }
    }
    parts.at(-1)!.push(token)
  }
  return parts
}
