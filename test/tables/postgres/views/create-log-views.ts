import { type EmbeddedEngine, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import { logViews } from '../../../../src/tables/postgres/views/log-views.ts'

/**
 * Creates a table of the rows of a file's lines, a view `logs` of them, and all views over it.
 *
 * @returns the table's name
 */
export async function createLogViews(
  engine: EmbeddedEngine,
  file: string,
  role: 'primary' | 'replica',
): Promise<string> {
  const { projection } = postgresLogs('a.b.c', { role })
  const source = `(SELECT line AS raw, line AS text, NULL::VARCHAR AS reject, NULL::VARCHAR AS note, NULL::BOOLEAN AS is_flat
    , 'b' AS source_blob, 'g' AS source_generation, (row_number() OVER ())::BIGINT AS source_offset, 0 AS source_index
    FROM read_csv(${sqlString(file)}, columns = { line: 'VARCHAR' }, delim = chr(1), quote = '', escape = '', header = false,
      auto_detect = false, new_line = '\\n'))`
  const table = `${role}_rows`
  await engine.run(
    `CREATE TABLE ${table} AS ${projection.select(source, { passThrough: ['source_blob', 'source_generation', 'source_offset', 'source_index'] })}`,
  )
  await createViewsOver(engine, table)
  return table
}

/**
 * Creates a view `logs` of a relation with the columns of `postgresLogs()`, and all views over it.
 *
 * @param kind `TABLE` computes each view once, also for those that read it: for a statement that reads nearly all of them
 */
export async function createViewsOver(
  engine: EmbeddedEngine,
  relation: string,
  kind: 'VIEW' | 'TABLE' = 'VIEW',
): Promise<void> {
  await engine.run(`CREATE OR REPLACE ${kind} logs AS FROM ${relation}`)
  for (const { name, body } of logViews.functions) {
    await engine.run(`CREATE OR REPLACE MACRO ${name}(s) AS ${body.duckdb}`)
  }
  for (const { name, sql } of logViews.views())
    await engine.run(`CREATE OR REPLACE ${kind} ${name} AS ${sql}`)
}
