import { sqlIdentifier, sqlString } from '../../src/tables/sql.ts'
import { SqlCursor } from './sql-cursor.ts'
import { notEmulated, parseSyntaxError, raisedPrefix, unboundParameter } from './sql-failures.ts'
import { fromJson } from './sql-json.ts'
import type { Token } from './sql-tokens.ts'
import { duckDbType, parseType } from './sql-types.ts'
import { principal } from './table-log.ts'
import type { StatementParameter } from './warehouse-engine.ts'

/** DuckDB SQL with the values for its `$name` parameters. */
export interface Translated {
  readonly sql: string
  readonly values: Readonly<Record<string, string | null>>
}

/** The meaning of the names in an expression. */
export interface Surroundings {
  readonly parameters: readonly StatementParameter[]
  /**
   * DuckDB's relation for a name after FROM or JOIN; undefined leaves the name as it is.
   *
   * @throws SqlFailure when there is no such table
   */
  relation(parts: readonly string[]): { readonly sql: string; readonly alias: string } | undefined
  /**
   * DuckDB's relation for `read_files` of a path; undefined where no files can be read.
   *
   * @param isHinted whether the read has the hint that a transaction needs for it
   * @throws SqlFailure when there is no such file
   */
  readonly files?: ((path: string, isHinted: boolean) => string) | undefined
}

/** Words that can follow a relation and are no alias of it. */
const afterRelation =
  /^(?:WHERE|GROUP|ORDER|LIMIT|HAVING|JOIN|INNER|LEFT|RIGHT|FULL|CROSS|ANTI|SEMI|NATURAL|ON|USING|UNION|EXCEPT|INTERSECT|OFFSET|WINDOW|QUALIFY|LATERAL)$/i

/** Words that DuckDB takes for no name unless they are quoted, and that are plain names in Databricks. */
const keptByDuckDb =
  /^(?:ANALYSE|ASYMMETRIC|AT|COLUMN|DEFAULT|DEFERRABLE|DO|INITIALLY|LAMBDA|ONLY|PLACING|RETURNING|SHOW|SUMMARIZE|SYMMETRIC|VARIADIC)$/i

/** Functions that have FROM between their arguments. */
const withFrom = /^(?:EXTRACT|TRIM|SUBSTRING|SUBSTR|OVERLAY|POSITION)$/i

/** Translates a query or an expression from Databricks SQL to DuckDB's. */
export class Translator {
  readonly #surroundings: Surroundings
  readonly #values: Record<string, string | null> = {}
  #ordinal = 0

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  /** The values of all parameters that were translated so far. */
  get values(): Readonly<Record<string, string | null>> {
    return this.#values
  }

  translate(tokens: readonly Token[]): string {
    const cursor = new SqlCursor(tokens)
    const commonTables = commonTableNames(tokens)
    const out: string[] = []
    /** The word before each open parenthesis. */
    const open: string[] = []
    let before: Token | undefined
    const emit = (text: string): void => {
      out.push(text)
    }
    while (!cursor.atEnd) {
      const token = cursor.peek()
      if (this.#special(cursor, before, open.at(-1) ?? '', commonTables, emit)) {
        before = undefined
        continue
      }
      cursor.next()
      switch (token.kind) {
        case 'word':
          emit(keptByDuckDb.test(token.text) ? sqlIdentifier(token.text) : token.text)
          break
        case 'quoted':
          emit(sqlIdentifier(token.text))
          break
        case 'string':
          emit(sqlString(token.text))
          break
        case 'parameter':
          emit(this.#parameter(token.text))
          break
        case 'symbol':
          if (token.text === '(') open.push(before?.kind === 'word' ? before.text.toUpperCase() : '')
          if (token.text === ')') open.pop()
          emit(token.text)
          break
        default:
          emit(token.text)
      }
      before = token
    }
    return out.join(' ')
  }

  /** Translates a construct that needs more than copying its tokens. @returns whether there was one */
  #special(
    cursor: SqlCursor,
    before: Token | undefined,
    enclosing: string,
    commonTables: ReadonlySet<string>,
    emit: (text: string) => void,
  ): boolean {
    if (cursor.atSymbol('::')) {
      cursor.next()
      emit(`:: ${duckDbType(parseType(cursor))}`)
      return true
    }
    if (cursor.at('AS') && /^(?:TRY_)?CAST$/.test(enclosing)) {
      cursor.next()
      emit(`AS ${duckDbType(parseType(cursor))}`)
      return true
    }
    // Any name after a dot is a column.
    if (before?.kind === 'symbol' && before.text === '.') return false
    if (cursor.at('CURRENT_TIMESTAMP') || (cursor.at('NOW') && cursor.peek(1).text === '(')) {
      cursor.next()
      if (cursor.skipSymbol('(')) cursor.expectSymbol(')')
      emit('get_current_timestamp()')
      return true
    }
    if (cursor.at('CURRENT_USER') && cursor.peek(1).text === '(') {
      cursor.next()
      cursor.group()
      emit(sqlString(principal))
      return true
    }
    if (cursor.at('TIMESTAMP') && cursor.peek(1).kind === 'string') {
      cursor.next()
      emit(`CAST(${sqlString(cursor.string())} AS TIMESTAMP WITH TIME ZONE)`)
      return true
    }
    if (cursor.at('RAISE_ERROR') && cursor.peek(1).text === '(') {
      cursor.next()
      emit(`error(${sqlString(raisedPrefix)} || (${this.translate(cursor.group())}))`)
      return true
    }
    if (cursor.at('INLINE') && cursor.peek(1).text === '(') {
      cursor.next()
      emit(`unnest(${this.translate(cursor.group())}, max_depth := 2)`)
      return true
    }
    if (cursor.at('FROM_JSON') && cursor.peek(1).text === '(') {
      cursor.next()
      emit(this.#fromJson(cursor.group()))
      return true
    }
    const isFrom = cursor.at('FROM') && !withFrom.test(enclosing) && before?.text.toUpperCase() !== 'DISTINCT'
    if (isFrom || cursor.at('JOIN')) {
      emit(cursor.next().text)
      this.#relation(cursor, commonTables, emit)
      return true
    }
    return false
  }

  #relation(cursor: SqlCursor, commonTables: ReadonlySet<string>, emit: (text: string) => void): void {
    const { kind } = cursor.peek()
    if (kind !== 'word' && kind !== 'quoted') return
    const parts = cursor.name()
    const isFunction = cursor.atSymbol('(')
    const { files } = this.#surroundings
    if (isFunction && files !== undefined && parts.length === 1 && /^read_files$/i.test(parts[0]!)) {
      const path = new SqlCursor(cursor.group()).string()
      const isHinted = cursor.skip('WITH') && cursor.group()[0]?.text === 'allow_nontransactional_reads'
      emit(files(path, isHinted))
      return
    }
    if (isFunction && parts.length === 1 && /^range$/i.test(parts[0]!)) {
      // Spark calls the column of its numbers `id`.
      emit(`(SELECT range AS id FROM range(${this.translate(cursor.group())}))`)
      return
    }
    const isCommonTable = parts.length === 1 && commonTables.has(parts[0]!.toLowerCase())
    const relation = isFunction || isCommonTable ? undefined : this.#surroundings.relation(parts)
    if (relation === undefined) {
      emit(parts.map(sqlIdentifier).join('.'))
      return
    }
    emit(relation.sql)
    const next = cursor.peek()
    const hasAlias =
      next.kind === 'quoted' || (next.kind === 'word' && !afterRelation.test(next.text) && next.text !== '')
    if (!hasAlias) emit(`AS ${sqlIdentifier(relation.alias)}`)
  }

  #fromJson(argumentTokens: readonly Token[]): string {
    const cursor = new SqlCursor(argumentTokens)
    const text: Token[] = []
    let depth = 0
    while (!cursor.atEnd && !(depth === 0 && cursor.atSymbol(','))) {
      const token = cursor.next()
      if (token.kind === 'symbol' && token.text === '(') depth += 1
      if (token.kind === 'symbol' && token.text === ')') depth -= 1
      text.push(token)
    }
    cursor.expectSymbol(',')
    const schema = cursor.string()
    if (!cursor.atEnd) throw notEmulated('the options of from_json')
    return fromJson(this.translate(text), schema)
  }

  /** The values are bound as text and cast to the type the client gave, so they are typed and never spliced. */
  #parameter(name: string): string {
    const { parameters } = this.#surroundings
    const index =
      name === ''
        ? parameters.findIndex((_, at) => at === this.#ordinal && parameters[at]!.name === undefined)
        : parameters.findIndex((parameter) => parameter.name === name)
    if (name === '') this.#ordinal += 1
    const parameter = parameters[index]
    if (parameter === undefined) throw unboundParameter(name === '' ? `_${this.#ordinal}` : name)
    if (parameter.type.toUpperCase() === 'VOID') return 'NULL'
    const cursor = new SqlCursor(parameter.type)
    const type = duckDbType(parseType(cursor))
    if (!cursor.atEnd) throw parseSyntaxError(parameter.type)
    this.#values[`p${index}`] = parameter.value
    return `CAST($p${index} AS ${type})`
  }
}

/** The names that a WITH clause anywhere in the tokens gives: every name before `AS (`. */
function commonTableNames(tokens: readonly Token[]): ReadonlySet<string> {
  const names = new Set<string>()
  tokens.forEach((token, at) => {
    const [as, open] = [tokens[at + 1], tokens[at + 2]]
    if (as?.kind === 'word' && as.text.toUpperCase() === 'AS' && open?.text === '(') {
      names.add(token.text.toLowerCase())
    }
  })
  return names
}
