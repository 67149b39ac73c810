import { SqlFailure } from './warehouse-engine.ts'

// Classes, texts and SQLSTATEs are those of Spark's error-conditions.json and Delta's delta-error-classes.json. What
// only Databricks has (NO_SUCH_CATALOG_EXCEPTION, UC_VOLUME_NOT_FOUND) is as people quote it who met it. All read
// 2026-11-24. A comment at the place says which classes are neither.

/** @param near the token at which the parser stopped; undefined at the statement's end */
export function parseSyntaxError(near: string | undefined, hint = ''): SqlFailure {
  const place = near === undefined ? 'end of input' : `'${near}'`
  return new SqlFailure('PARSE_SYNTAX_ERROR', '42601', `Syntax error at or near ${place}.${hint}`)
}

export function parameterNotAllowed(statement: string): SqlFailure {
  return new SqlFailure(
    'UNSUPPORTED_FEATURE.PARAMETER_MARKER_IN_UNEXPECTED_STATEMENT',
    '0A000',
    `The feature is not supported: Parameter markers are not allowed in ${statement}.`,
  )
}

export function unboundParameter(name: string): SqlFailure {
  return new SqlFailure(
    'UNBOUND_SQL_PARAMETER',
    '42P02',
    `Found the unbound parameter: ${name}. Please, fix \`args\` and provide a mapping of the parameter to either a SQL literal or collection constructor functions such as \`map()\`, \`array()\`, \`struct()\`.`,
  )
}

export function emptyStatement(): SqlFailure {
  return new SqlFailure('PARSE_EMPTY_STATEMENT', '42617', 'Syntax error, unexpected empty statement.')
}

/** What Databricks takes and this warehouse doesn't: a test that meets it needs the warehouse extended. */
export function notEmulated(what: string): SqlFailure {
  return new SqlFailure('UNSUPPORTED_FEATURE', '0A000', `The test warehouse does not emulate ${what}.`)
}

export function catalogNotFound(catalog: string): SqlFailure {
  return new SqlFailure(
    'NO_SUCH_CATALOG_EXCEPTION',
    '42704',
    `Catalog '${catalog}' was not found. Please verify the catalog name and then retry the query or command again.`,
  )
}

export function schemaNotFound(catalog: string, schema: string): SqlFailure {
  return new SqlFailure(
    'SCHEMA_NOT_FOUND',
    '42704',
    `The schema ${dotted([catalog, schema])} cannot be found. Verify the spelling and correctness of the schema and catalog.`,
  )
}

export function tableNotFound(name: readonly string[]): SqlFailure {
  return new SqlFailure(
    'TABLE_OR_VIEW_NOT_FOUND',
    '42P01',
    `The table or view ${dotted(name)} cannot be found. Verify the spelling and correctness of the schema and catalog.`,
  )
}

export function volumeNotFound(name: readonly string[]): SqlFailure {
  return new SqlFailure(
    'UC_VOLUME_NOT_FOUND',
    '42704',
    `Volume ${dotted(name)} does not exist. Please use 'SHOW VOLUMES' to list available volumes.`,
  )
}

export function pathNotFound(path: string): SqlFailure {
  return new SqlFailure('PATH_NOT_FOUND', '42K03', `Path does not exist: ${path}.`)
}

export function statementCanceled(): SqlFailure {
  return new SqlFailure('OPERATION_CANCELED', 'HY008', 'Operation has been canceled.')
}

/** Another commit was first: Delta's class and SQLSTATE. */
export function concurrentAppend(table: readonly string[]): SqlFailure {
  return new SqlFailure(
    'DELTA_CONCURRENT_APPEND',
    '2D521',
    `Transaction conflict detected. A concurrent operation changed ${dotted(table)}.`,
  )
}

/** The class is from the pages about transactions (read 2026-11-29), which name no subclass: those here are guesses. */
export function transactionNotSupported(subclass: string, why: string): SqlFailure {
  return new SqlFailure(`TRANSACTION_NOT_SUPPORTED.${subclass}`, '0A000', `${why} in a transaction.`)
}

/** What SIGNAL SQLSTATE raises: the page "SIGNAL" (read 2026-11-29). */
export function userRaised(sqlState: string, text: string): SqlFailure {
  return new SqlFailure('USER_RAISED_EXCEPTION', sqlState, text)
}

export function ambiguousMerge(): SqlFailure {
  return new SqlFailure(
    'DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE',
    '21506',
    'Cannot perform Merge as multiple source rows matched and attempted to modify the same target row in the Delta table in possibly conflicting ways.',
  )
}

/** @returns `parts` as Databricks writes a name in its messages */
export function dotted(parts: readonly string[]): string {
  return parts.map((part) => `\`${part.replaceAll('`', '``')}\``).join('.')
}

/** Begins the messages of `raise_error` in DuckDB's errors. */
export const raisedPrefix = 'raised by the statement: '

/** Translates an error of DuckDB for a translated statement into the error that Databricks would report. */
export function fromDuckDb(error: unknown): SqlFailure {
  if (error instanceof SqlFailure) return error
  const text = error instanceof Error ? error.message : String(error)
  const line = text.split('\n', 1)[0]!
  const column =
    /Referenced column "([^"]+)" (?:was )?not found|not have a column named "([^"]+)"|Column "([^"]+)" referenced that/.exec(
      text,
    )
  if (column !== null) {
    const name = dotted([column[1] ?? column[2] ?? column[3]!])
    return new SqlFailure(
      'UNRESOLVED_COLUMN.WITHOUT_SUGGESTION',
      '42703',
      `A column, variable, or function parameter with name ${name} cannot be resolved.`,
    )
  }
  // https://docs.databricks.com/sql/language-manual/functions/raise_error (read 2026-12-01)
  if (text.includes(raisedPrefix))
    return new SqlFailure(
      'USER_RAISED_EXCEPTION',
      'P0001',
      line.slice(line.indexOf(raisedPrefix) + raisedPrefix.length),
    )
  const notNull = /NOT NULL constraint failed: .*\.([^.\s]+)/.exec(text)
  if (notNull !== null) {
    return new SqlFailure(
      'DELTA_NOT_NULL_CONSTRAINT_VIOLATED',
      '23502',
      `NOT NULL constraint violated for column: ${notNull[1]}.`,
    )
  }
  if (text.startsWith('Conversion Error') && /out of range|overflow/i.test(text)) {
    return new SqlFailure('CAST_OVERFLOW', '22003', `The value cannot be cast due to an overflow. ${line}`)
  }
  if (text.startsWith('Conversion Error')) {
    return new SqlFailure('CAST_INVALID_INPUT', '22018', `The value cannot be cast. ${line}`)
  }
  // Of two transactions of DuckDB that change the same row, the one that comes second.
  if (/^TransactionContext Error|^Transaction conflict|Conflict on /.test(text)) return concurrentAppend([])
  if (/has \d+ columns but \d+ values were supplied/.test(text)) {
    return new SqlFailure('INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS', '21S01', line)
  }
  if (text.startsWith('Out of Range Error')) return new SqlFailure('ARITHMETIC_OVERFLOW', '22003', line)
  if (text.includes('Parser Error')) return parseSyntaxError(undefined, ` ${line}`)
  if (/No files found that match|Cannot open file/.test(text)) {
    return unreadableFile('FILE_NOT_EXIST', `File does not exist. ${line}`)
  }
  if (/magic bytes|too small to be a Parquet|Failed to read Parquet/i.test(text)) {
    return unreadableFile('CANNOT_READ_FILE_FOOTER', `Could not read footer. ${line}`)
  }
  if (/Function with name (\S+) does not exist/.test(text)) {
    return new SqlFailure('UNRESOLVED_ROUTINE', '42883', line)
  }
  if (/^INTERRUPT/i.test(text)) return statementCanceled()
  return new SqlFailure('INTERNAL_ERROR', 'XX000', line)
}

function unreadableFile(subclass: string, why: string): SqlFailure {
  return new SqlFailure(
    `FAILED_READ_FILE.${subclass}`,
    'KD001',
    `Encountered error while reading file. ${why}`,
  )
}
