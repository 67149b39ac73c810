import type { CatalogColumn } from './sql-catalog.ts'
import { type CopyStatement, parseCopy } from './sql-copy.ts'
import { SqlCursor } from './sql-cursor.ts'
import { emptyStatement, notEmulated } from './sql-failures.ts'
import { type InsertStatement, parseInsert, parseUpdate, type UpdateStatement } from './sql-insert.ts'
import { type MergeStatement, parseMerge } from './sql-merge.ts'
import { parseOptions } from './sql-options.ts'
import { type AtomicScript, parseScript } from './sql-script.ts'
import type { Token } from './sql-tokens.ts'
import { parseType, type SqlType } from './sql-types.ts'

export interface CreateTableStatement {
  readonly kind: 'CREATE TABLE'
  readonly name: readonly string[]
  readonly ifNotExists: boolean
  readonly columns: readonly CatalogColumn[]
  readonly partitionColumns: readonly string[]
  readonly clusterColumns: readonly string[] | 'AUTO'
  readonly comment: string | null
  readonly properties: ReadonlyMap<string, string>
  readonly external: boolean
}

export interface DeleteStatement {
  readonly kind: 'DELETE'
  readonly name: readonly string[]
  readonly condition: readonly Token[] | undefined
}

export interface CreateViewStatement {
  readonly kind: 'CREATE VIEW'
  readonly name: readonly string[]
  /** Whether an existing view is replaced. */
  readonly replaces: boolean
  readonly query: readonly Token[]
}

export type Statement =
  | { readonly kind: 'SELECT'; readonly tokens: readonly Token[] }
  | {
      readonly kind: 'CREATE CATALOG' | 'CREATE SCHEMA'
      readonly name: readonly string[]
      readonly ifNotExists: boolean
    }
  | CreateTableStatement
  | CreateViewStatement
  | {
      readonly kind: 'DROP TABLE' | 'DROP VIEW'
      readonly name: readonly string[]
      readonly ifExists: boolean
    }
  | {
      readonly kind: 'ALTER TABLE'
      readonly name: readonly string[]
      readonly columns: readonly CatalogColumn[]
    }
  | CopyStatement
  | MergeStatement
  | InsertStatement
  | UpdateStatement
  | DeleteStatement
  | AtomicScript
  | {
      readonly kind: 'ALTER COLUMN'
      readonly name: readonly string[]
      readonly column: string
      readonly type: SqlType
    }
  | { readonly kind: 'DESCRIBE DETAIL'; readonly name: readonly string[] }
  | { readonly kind: 'DESCRIBE HISTORY'; readonly name: readonly string[]; readonly limit: number }
  | {
      readonly kind: 'PUT'
      readonly localFile: string
      readonly volumePath: string
      readonly overwrite: boolean
    }
  | { readonly kind: 'REMOVE'; readonly volumePath: string }
  | { readonly kind: 'LIST'; readonly volumePath: string; readonly limit: number }
  | { readonly kind: 'CLEAR CACHE' }

export type StatementKind = Statement['kind']

/** @throws SqlFailure with PARSE_SYNTAX_ERROR for anything but the statements this warehouse knows */
export function parseStatement(sql: string | readonly Token[]): Statement {
  const cursor = new SqlCursor(sql)
  if (cursor.atEnd) throw emptyStatement()
  if (cursor.at('SELECT') || cursor.at('WITH')) return { kind: 'SELECT', tokens: cursor.until() }
  const statement = parseCommand(cursor)
  cursor.expectEnd()
  return statement
}

function parseCommand(cursor: SqlCursor): Statement {
  if (cursor.skip('CREATE')) return parseCreate(cursor)
  if (cursor.skip('BEGIN', 'ATOMIC')) return parseScript(cursor, parseStatement)
  if (cursor.skip('INSERT', 'INTO')) return parseInsert(cursor)
  if (cursor.skip('UPDATE')) return parseUpdate(cursor)
  if (cursor.skip('DESCRIBE', 'DETAIL')) return { kind: 'DESCRIBE DETAIL', name: cursor.name() }
  if (cursor.skip('DESCRIBE', 'HISTORY')) {
    const name = cursor.name()
    return { kind: 'DESCRIBE HISTORY', name, limit: cursor.skip('LIMIT') ? cursor.number() : 1_000 }
  }
  for (const relation of ['TABLE', 'VIEW'] as const) {
    if (!cursor.skip('DROP', relation)) continue
    const ifExists = cursor.skip('IF', 'EXISTS')
    return { kind: `DROP ${relation}`, ifExists, name: cursor.name() }
  }
  if (cursor.skip('ALTER', 'TABLE')) {
    const name = cursor.name()
    if (cursor.skip('ALTER', 'COLUMN')) {
      const column = cursor.identifier()
      cursor.expect('TYPE')
      return { kind: 'ALTER COLUMN', name, column, type: parseType(cursor) }
    }
    cursor.expect('ADD')
    if (!cursor.skip('COLUMNS')) cursor.expect('COLUMN')
    const columns = cursor.atSymbol('(') ? cursor.list(() => parseColumn(cursor)) : [parseColumn(cursor)]
    return { kind: 'ALTER TABLE', name, columns }
  }
  if (cursor.skip('COPY', 'INTO')) return parseCopy(cursor)
  if (cursor.skip('MERGE', 'INTO')) return parseMerge(cursor)
  if (cursor.skip('DELETE', 'FROM')) {
    const name = cursor.name()
    return { kind: 'DELETE', name, condition: cursor.skip('WHERE') ? cursor.until() : undefined }
  }
  if (cursor.skip('CLEAR', 'CACHE')) return { kind: 'CLEAR CACHE' }
  return parseFileCommand(cursor)
}

function parseFileCommand(cursor: SqlCursor): Statement {
  if (cursor.skip('PUT')) {
    const localFile = cursor.string()
    cursor.expect('INTO')
    const volumePath = cursor.string()
    return { kind: 'PUT', localFile, volumePath, overwrite: cursor.skip('OVERWRITE') }
  }
  if (cursor.skip('REMOVE')) return { kind: 'REMOVE', volumePath: cursor.string() }
  if (cursor.skip('LIST')) {
    const volumePath = cursor.string()
    // "In Databricks Runtime 10.4 LTS the default limit is 1001": LIST, Databricks SQL reference, read 2026-11-24.
    return { kind: 'LIST', volumePath, limit: cursor.skip('LIMIT') ? cursor.number() : 1001 }
  }
  throw cursor.failure()
}

function parseCreate(cursor: SqlCursor): Statement {
  for (const kind of ['CATALOG', 'SCHEMA'] as const) {
    if (!cursor.skip(kind)) continue
    const ifNotExists = cursor.skip('IF', 'NOT', 'EXISTS')
    const name = cursor.name()
    if (cursor.skip('COMMENT')) cursor.string()
    return { kind: `CREATE ${kind}`, ifNotExists, name }
  }
  const replaces = cursor.skip('OR', 'REPLACE')
  if (cursor.skip('VIEW')) {
    const name = cursor.name()
    if (cursor.skip('COMMENT')) cursor.string()
    cursor.expect('AS')
    return { kind: 'CREATE VIEW', name, replaces, query: cursor.until() }
  }
  if (replaces) throw notEmulated('CREATE OR REPLACE TABLE')
  cursor.expect('TABLE')
  return parseCreateTable(cursor)
}

function parseCreateTable(cursor: SqlCursor): CreateTableStatement {
  const ifNotExists = cursor.skip('IF', 'NOT', 'EXISTS')
  const name = cursor.name()
  const columns = cursor.list(() => parseColumn(cursor))
  let partitionColumns: readonly string[] = []
  let clusterColumns: readonly string[] | 'AUTO' = []
  let comment: string | null = null
  let properties: ReadonlyMap<string, string> = new Map()
  let external = false
  while (!cursor.atEnd) {
    if (cursor.skip('USING')) cursor.expect('DELTA')
    else if (cursor.skip('CLUSTER', 'BY', 'AUTO')) clusterColumns = 'AUTO'
    else if (cursor.skip('CLUSTER', 'BY')) clusterColumns = cursor.list(() => cursor.identifier())
    else if (cursor.skip('PARTITIONED', 'BY')) partitionColumns = cursor.list(() => cursor.identifier())
    else if (cursor.skip('COMMENT')) comment = cursor.string()
    else if (cursor.skip('TBLPROPERTIES')) properties = parseOptions(cursor)
    else if (cursor.skip('LOCATION')) external = cursor.string() !== ''
    else throw cursor.failure()
  }
  return {
    kind: 'CREATE TABLE',
    name,
    ifNotExists,
    columns,
    partitionColumns,
    clusterColumns,
    comment,
    properties,
    external,
  }
}

function parseColumn(cursor: SqlCursor): CatalogColumn {
  const name = cursor.identifier()
  const type = parseType(cursor)
  const nullable = !cursor.skip('NOT', 'NULL')
  return { name, type, nullable, comment: cursor.skip('COMMENT') ? cursor.string() : null }
}
