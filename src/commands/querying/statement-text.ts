import { readFile } from 'node:fs/promises'
import { TailraceError } from '../../errors.ts'

/** Where the SQL of a query comes from. */
export interface StatementSource {
  /** The statement itself, or `-` for standard input. */
  readonly sql?: string | undefined
  /** A file of SQL, or `-` for standard input. */
  readonly file?: string | undefined
  /** Whether a person can type to standard input. */
  readonly hasInput: boolean
}

/**
 * @returns the SQL to run; undefined when a person is to be asked for statements
 * @throws USAGE for two sources, an unreadable file, and an empty text
 */
export async function readStatement({ sql, file, hasInput }: StatementSource): Promise<string | undefined> {
  if (sql !== undefined && file !== undefined) {
    throw new TailraceError('USAGE', 'Found both a statement and --file; expected one of them.')
  }
  if (sql !== undefined && sql !== '-') return sql
  if (file !== undefined && file !== '-') return requireText(await read(file), file)
  if (hasInput && sql === undefined && file === undefined) return undefined
  let text = ''
  for await (const part of process.stdin.setEncoding('utf8')) text += part
  return requireText(text, 'standard input')
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new TailraceError('USAGE', `--file: ${(error as Error).message}`, { cause: error })
  }
}

function requireText(text: string, source: string): string {
  if (text.trim() !== '') return text
  throw new TailraceError('USAGE', `There is no statement in ${source}.`)
}
