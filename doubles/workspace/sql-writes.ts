import { existsSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import { sqlIdentifier, sqlString } from '../../src/tables/sql.ts'
import { relationName, type TableParts, type UnityCatalog, visibleRelation } from './sql-catalog.ts'
import { Translator } from './sql-expressions.ts'
import { ambiguousMerge, transactionNotSupported } from './sql-failures.ts'
import type { InsertStatement, UpdateStatement } from './sql-insert.ts'
import type { MergeStatement } from './sql-merge.ts'
import { mergeSql } from './sql-merge-execution.ts'
import type { WriteStatement } from './sql-script.ts'
import type { DeleteStatement } from './sql-statements.ts'
import type { Token } from './sql-tokens.ts'
import type { DiskVolumes } from './volume-files.ts'
import { SqlFailure, type StatementContext } from './warehouse-engine.ts'

/** Where a statement finds tables and files. */
export interface WriteEnvironment {
  readonly catalog: UnityCatalog
  readonly volumes: DiskVolumes
  readonly context: StatementContext
  /** Whether the statement is one of a transaction. */
  readonly isInTransaction: boolean
  /** Whether an INSERT counts the rows of files and stores none. */
  readonly countOnly: boolean
}

/** What a statement has done to its table. */
export interface WriteOutcome {
  readonly name: TableParts
  readonly operation: string
  readonly isBlindAppend: boolean
  /** Whether it read the table, so that other commits in between conflict with it. */
  readonly isReading: boolean
  readonly hasChangedRows: boolean
  /** The columns of its result. */
  readonly counts: Readonly<Record<string, number>>
}

/** @returns the names of tables, the system's relations and staged files as DuckDB has them */
export function translatorOf({ catalog, volumes, context, isInTransaction }: WriteEnvironment): Translator {
  return new Translator({
    parameters: context.parameters,
    relation: (parts) => {
      const [schema, relation] = parts.slice(-2)
      if (parts.length > 1 && schema!.toLowerCase() === 'information_schema') {
        const name = relation!.toLowerCase()
        const of = (parts.length > 2 ? parts[0]! : (context.catalog ?? '')).toLowerCase()
        return { sql: catalog.systemSelect(of, name), alias: name }
      }
      const table = catalog.requireTable(catalog.resolve(parts, context))
      return { sql: visibleRelation(table), alias: table.name[2] }
    },
    files: (path, isHinted) => {
      if (isInTransaction && !isHinted) {
        throw transactionNotSupported('NON_TRANSACTIONAL_READ', `Reading ${path} is not supported`)
      }
      const onDisk = volumes.onDisk(volumes.normalize(path))
      if (!existsSync(onDisk)) {
        throw new SqlFailure(
          'CF_PATH_DOES_NOT_EXIST_FOR_READ_FILES',
          '42K03',
          `The path ${path} does not exist.`,
        )
      }
      return `read_parquet(${sqlString(onDisk)})`
    },
  })
}

/** Executes a statement on a connection, in whatever transaction of DuckDB that is in. */
export async function applyWrite(
  statement: WriteStatement,
  environment: WriteEnvironment,
  connection: DuckDBConnection,
): Promise<WriteOutcome> {
  switch (statement.kind) {
    case 'INSERT':
      return insert(statement, environment, connection)
    case 'UPDATE':
      return update(statement, environment, connection)
    case 'MERGE':
      return merge(statement, environment, connection)
    case 'DELETE':
      return remove(statement, environment, connection)
  }
}

/** @returns the table that a statement writes to */
export function targetOf(
  statement: WriteStatement,
  { catalog, context }: Pick<WriteEnvironment, 'catalog' | 'context'>,
): TableParts {
  const parts =
    statement.kind === 'DELETE'
      ? statement.name
      : statement.kind === 'MERGE'
        ? statement.target
        : statement.table
  return catalog.requireTable(catalog.resolve(parts, context)).name
}

async function insert(
  { columns, replaceWhere, query, ...statement }: InsertStatement,
  environment: WriteEnvironment,
  connection: DuckDBConnection,
): Promise<WriteOutcome> {
  const name = targetOf({ ...statement, columns, replaceWhere, query }, environment)
  const source = translatorOf(environment)
  const rows = source.translate(query)
  let removed = 0
  if (replaceWhere !== undefined) {
    const both = translatorOf(environment)
    // An aggregate, so that the query is evaluated for all rows as the table is before any is removed.
    const outside = `SELECT 1 FROM (${both.translate(query)}) HAVING count(*) FILTER (WHERE (${both.translate(replaceWhere)}) IS NOT TRUE) > 0`
    if ((await connection.runAndReadAll(outside, { ...both.values })).currentRowCount > 0) {
      throw new SqlFailure(
        'DELTA_REPLACE_WHERE_MISMATCH',
        '44000',
        'Written data does not conform to partial table overwrite condition or constraint.',
      )
    }
    removed = await removeWhere(name, replaceWhere, environment, connection)
  }
  const list = columns === undefined ? '' : ` (${columns.map(sqlIdentifier).join(', ')})`
  const sql = `INSERT INTO ${relationName(name)}${list} ${rows}`
  const isCounted = environment.countOnly && query.some(({ text }) => text === 'read_files')
  const added = isCounted
    ? await countOf(rows, source, connection)
    : (await connection.run(sql, { ...source.values })).rowsChanged
  return {
    name,
    operation: 'WRITE',
    isBlindAppend: replaceWhere === undefined,
    isReading: replaceWhere !== undefined,
    hasChangedRows: removed > 0,
    counts: { num_affected_rows: added + removed, num_inserted_rows: added },
  }
}

async function countOf(rows: string, { values }: Translator, connection: DuckDBConnection): Promise<number> {
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM (${rows})`, { ...values })
  return Number(counted.getRowsJson()[0]?.[0])
}

async function update(
  { assignments, condition, ...statement }: UpdateStatement,
  environment: WriteEnvironment,
  connection: DuckDBConnection,
): Promise<WriteOutcome> {
  const name = targetOf({ ...statement, assignments, condition }, environment)
  const translator = translatorOf(environment)
  const set = assignments.map(
    ({ column, value }) => `${sqlIdentifier(column)} = ${translator.translate(value)}`,
  )
  const where = visibleWhere(name, condition, environment, translator)
  const sql = `UPDATE ${relationName(name)} SET ${set.join(', ')}${where}`
  const changed = (await connection.run(sql, { ...translator.values })).rowsChanged
  return changing(name, 'UPDATE', changed, { num_affected_rows: changed })
}

async function remove(
  { name: parts, condition }: DeleteStatement,
  environment: WriteEnvironment,
  connection: DuckDBConnection,
): Promise<WriteOutcome> {
  const { catalog, context } = environment
  const { name } = catalog.requireTable(catalog.resolve(parts, context))
  const removed = await removeWhere(name, condition, environment, connection)
  return changing(name, 'DELETE', removed, { num_affected_rows: removed })
}

async function removeWhere(
  name: TableParts,
  condition: readonly Token[] | undefined,
  environment: WriteEnvironment,
  connection: DuckDBConnection,
): Promise<number> {
  const translator = translatorOf(environment)
  const sql = `DELETE FROM ${relationName(name)}${visibleWhere(name, condition, environment, translator)}`
  return (await connection.run(sql, { ...translator.values })).rowsChanged
}

async function merge(
  statement: MergeStatement,
  environment: WriteEnvironment,
  connection: DuckDBConnection,
): Promise<WriteOutcome> {
  const name = targetOf(statement, environment)
  const { rowFilter } = environment.catalog.requireTable(name)
  const { ambiguous, changes } = mergeSql(statement, relationName(name), translatorOf(environment), rowFilter)
  if (ambiguous !== undefined) {
    const found = await connection.runAndReadAll(ambiguous.sql, { ...ambiguous.values })
    if (found.currentRowCount > 0) throw ambiguousMerge()
  }
  const rows = (await connection.runAndReadAll(changes.sql, { ...changes.values })).getRowsJson()
  const count = (action: string): number => rows.filter(([one]) => one === action).length
  const changed = count('UPDATE') + count('DELETE')
  return changing(name, 'MERGE', changed, {
    num_affected_rows: rows.length,
    num_updated_rows: count('UPDATE'),
    num_deleted_rows: count('DELETE'),
    num_inserted_rows: count('INSERT'),
  })
}

function changing(
  name: TableParts,
  operation: string,
  changed: number,
  counts: WriteOutcome['counts'],
): WriteOutcome {
  return {
    name,
    operation,
    isBlindAppend: false,
    // Whether a statement that met no row conflicts with one that added some is documented for none of them.
    isReading: changed > 0,
    hasChangedRows: changed > 0,
    counts,
  }
}

/** A row filter hides rows from a statement that changes them, too. */
function visibleWhere(
  name: TableParts,
  condition: readonly Token[] | undefined,
  { catalog }: WriteEnvironment,
  translator: Translator,
): string {
  const { rowFilter } = catalog.requireTable(name)
  const conditions = [
    ...(condition === undefined ? [] : [`(${translator.translate(condition)})`]),
    ...(rowFilter === undefined ? [] : [`(${rowFilter})`]),
  ]
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}
