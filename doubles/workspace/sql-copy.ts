import { SqlCursor, splitAtCommas } from './sql-cursor.ts'
import { notEmulated } from './sql-failures.ts'
import { parseOptions } from './sql-options.ts'
import type { Token } from './sql-tokens.ts'
import { parseType } from './sql-types.ts'
import { SqlFailure } from './warehouse-engine.ts'

/** One expression of the SELECT of a COPY INTO. */
export interface CopyExpression {
  readonly tokens: readonly Token[]
  /** The name of the column, if the expression has none. */
  readonly alias: string | undefined
}

export interface CopyStatement {
  readonly kind: 'COPY INTO'
  readonly table: readonly string[]
  readonly expressions: readonly CopyExpression[]
  readonly folder: string
  /** Relative to the folder. */
  readonly files: readonly string[]
  readonly ignoreMissingFiles: boolean
  /** Whether files that were loaded are loaded again: `COPY_OPTIONS ('force' = 'true')`. */
  readonly isForced: boolean
}

/** "with a limit of 1000 files": COPY INTO, Databricks SQL reference, read 2026-11-24. */
const maxFiles = 1000

/** Reads what follows COPY INTO. */
export function parseCopy(cursor: SqlCursor): CopyStatement {
  const table = cursor.name()
  // Matching by position or by a list of columns "is only supported for headerless CSV file format": the same page.
  if (cursor.skip('BY', 'POSITION') || cursor.atSymbol('(')) {
    throw new SqlFailure(
      'COPY_INTO_FEATURE_INCOMPATIBLE_SETTING',
      '42613',
      "The COPY INTO feature 'column list' is not compatible with 'FILEFORMAT = PARQUET'.",
    )
  }
  cursor.expect('FROM')
  const source = cursor.atSymbol('(') ? parseSelect(new SqlCursor(cursor.group())) : undefined
  const folder = source?.folder ?? cursor.string()
  cursor.expect('FILEFORMAT')
  cursor.expectSymbol('=')
  if (!cursor.skip('PARQUET')) throw notEmulated('file formats other than PARQUET in COPY INTO')
  let files: readonly string[] = []
  let formatOptions: ReadonlyMap<string, string> = new Map()
  let copyOptions: ReadonlyMap<string, string> = new Map()
  while (!cursor.atEnd) {
    if (cursor.skip('FILES')) {
      cursor.expectSymbol('=')
      files = cursor.list(() => cursor.string())
    } else if (cursor.skip('FORMAT_OPTIONS')) formatOptions = parseOptions(cursor)
    else if (cursor.skip('COPY_OPTIONS')) copyOptions = parseOptions(cursor)
    else throw cursor.failure()
  }
  if (files.length === 0) throw notEmulated('COPY INTO without FILES')
  if (files.length > maxFiles) throw notEmulated(`more than ${maxFiles} FILES`)
  if (isTrue(copyOptions, 'mergeSchema')) throw notEmulated("COPY INTO with 'mergeSchema'")
  return {
    kind: 'COPY INTO',
    table,
    expressions: source?.expressions ?? [{ tokens: [{ kind: 'symbol', text: '*' }], alias: undefined }],
    folder,
    files,
    ignoreMissingFiles: isTrue(formatOptions, 'ignoreMissingFiles'),
    isForced: isTrue(copyOptions, 'force'),
  }
}

function parseSelect(cursor: SqlCursor): { expressions: readonly CopyExpression[]; folder: string } {
  cursor.expect('SELECT')
  const expressions = splitAtCommas(cursor.until('FROM')).map((tokens) => {
    if (tokens.length === 0) throw cursor.failure()
    return { tokens, alias: impliedName(tokens) }
  })
  cursor.expect('FROM')
  const folder = cursor.string()
  // The source may be filtered only by the SELECT of a view; the grammar has an expression list and nothing else.
  cursor.expectEnd()
  return { expressions, folder }
}

/** Spark names a cast column after the column, and a field after its last part. */
function impliedName(tokens: readonly Token[]): string | undefined {
  const cursor = new SqlCursor(tokens)
  if (cursor.skip('CAST')) {
    const inner = new SqlCursor(cursor.group())
    if (!cursor.atEnd || !isName(inner.peek())) return undefined
    const name = inner.name()
    return inner.at('AS') ? name.at(-1) : undefined
  }
  if (!isName(cursor.peek())) return undefined
  const name = cursor.name()
  if (cursor.atEnd) return name.at(-1)
  if (!cursor.skipSymbol('::')) return undefined
  parseType(cursor)
  return cursor.atEnd ? name.at(-1) : undefined
}

function isName(token: Token): boolean {
  return token.kind === 'word' || token.kind === 'quoted'
}

function isTrue(options: ReadonlyMap<string, string>, name: string): boolean {
  for (const [key, value] of options) {
    if (key.toLowerCase() === name.toLowerCase()) return value.toLowerCase() === 'true'
  }
  return false
}
