import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

/** The files that a contender left. */
export interface Output {
  readonly bytes: number
  readonly rows: number
}

interface LogLine {
  readonly add?: { readonly path: string }
  readonly remove?: { readonly path: string }
}

/**
 * The rows and bytes of the Parquet files in a directory, by their footers. Of a Delta table its live files count.
 * Nothing here is of Tailrace: it checks Tailrace too.
 */
export async function outputOf(directory: string): Promise<Output> {
  const names = await readdir(directory, { recursive: true })
  const logs = names.filter((name) => /(^|\/)_delta_log\/\d+\.json$/.test(name)).sort()
  const live = new Set<string>()
  for (const log of logs) {
    const table = dirname(dirname(log))
    for (const line of (await readFile(join(directory, log), 'utf8')).trimEnd().split('\n')) {
      const { add, remove } = JSON.parse(line) as LogLine
      if (remove !== undefined) live.delete(join(table, decodeURIComponent(remove.path)))
      if (add !== undefined) live.add(join(table, decodeURIComponent(add.path)))
    }
  }
  const paths = logs.length > 0 ? [...live] : names.filter((name) => name.endsWith('.parquet'))
  const files = paths.map((path) => join(directory, path))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return { rows: await rowsOf(files), bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

async function rowsOf(files: readonly string[]): Promise<number> {
  if (files.length === 0) return 0
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  try {
    const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(', ')
    const reader = await connection.runAndReadAll(
      `SELECT sum(num_rows)::DOUBLE FROM parquet_file_metadata([${list}])`,
    )
    return Number(reader.getRows()[0]?.[0] ?? 0)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
