import type { CopyStatement } from './sql-copy.ts'
import type { SqlCursor } from './sql-cursor.ts'
import { transactionNotSupported } from './sql-failures.ts'
import type { InsertStatement, UpdateStatement } from './sql-insert.ts'
import type { MergeStatement } from './sql-merge.ts'
import type { DeleteStatement, Statement } from './sql-statements.ts'
import type { Token } from './sql-tokens.ts'

/** A statement that changes rows of one table. */
export type WriteStatement = InsertStatement | UpdateStatement | MergeStatement | DeleteStatement

/** A step of a script. */
export type ScriptStep =
  | WriteStatement
  | CopyStatement
  | { readonly kind: 'IF'; readonly condition: readonly Token[]; readonly steps: readonly ScriptStep[] }
  | { readonly kind: 'SIGNAL'; readonly sqlState: string; readonly text: string }

export interface AtomicScript {
  readonly kind: 'BEGIN ATOMIC'
  readonly steps: readonly ScriptStep[]
}

/**
 * Reads what follows BEGIN ATOMIC: writes, IF and SIGNAL, as the pages "BEGIN ATOMIC", "IF" and "SIGNAL" of the
 * Databricks SQL reference have them (read 2026-11-29).
 *
 * @throws SqlFailure with TRANSACTION_NOT_SUPPORTED for a statement that a transaction does not allow
 */
export function parseScript(cursor: SqlCursor, parse: (tokens: readonly Token[]) => Statement): AtomicScript {
  const steps = parseSteps(cursor, parse)
  cursor.expect('END')
  return { kind: 'BEGIN ATOMIC', steps }
}

function parseSteps(cursor: SqlCursor, parse: (tokens: readonly Token[]) => Statement): ScriptStep[] {
  const steps: ScriptStep[] = []
  while (!cursor.at('END')) {
    if (cursor.atEnd) throw cursor.failure()
    steps.push(parseStep(cursor, parse))
  }
  return steps
}

function parseStep(cursor: SqlCursor, parse: (tokens: readonly Token[]) => Statement): ScriptStep {
  if (cursor.skip('IF')) {
    const condition = cursor.until('THEN')
    cursor.expect('THEN')
    const steps = parseSteps(cursor, parse)
    cursor.expect('END', 'IF')
    cursor.expectSymbol(';')
    return { kind: 'IF', condition, steps }
  }
  if (cursor.skip('SIGNAL', 'SQLSTATE')) {
    const sqlState = cursor.string()
    cursor.expect('SET', 'MESSAGE_TEXT')
    cursor.expectSymbol('=')
    const text = cursor.string()
    cursor.expectSymbol(';')
    return { kind: 'SIGNAL', sqlState, text }
  }
  const tokens = untilSemicolon(cursor)
  const statement = parse(tokens)
  switch (statement.kind) {
    case 'INSERT':
    case 'UPDATE':
    case 'MERGE':
    case 'DELETE':
    case 'COPY INTO':
      return statement
    default:
      throw transactionNotSupported('STATEMENT', `The statement ${statement.kind} is not supported`)
  }
}

function untilSemicolon(cursor: SqlCursor): readonly Token[] {
  const tokens: Token[] = []
  while (!cursor.skipSymbol(';')) {
    if (cursor.atEnd) throw cursor.failure()
    tokens.push(cursor.next())
  }
  return tokens
}
