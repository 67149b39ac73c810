import { sqlIdentifier } from '../../src/tables/sql.ts'
import type { Translated, Translator } from './sql-expressions.ts'
import type { MergeStatement } from './sql-merge.ts'

/** What DuckDB executes for a MERGE. */
export interface MergeSql {
  /**
   * Gives a row where several rows of the source match one of the target, which DuckDB would change several times and
   * Databricks refuses; undefined where what matches is left as it is.
   */
  readonly ambiguous: Translated | undefined
  /** Makes the changes, and gives the word `UPDATE`, `DELETE` or `INSERT` for each row changed. */
  readonly changes: Translated
}

/**
 * @param target DuckDB's name of the table
 * @param filter the rows of the table that can match; undefined for all
 */
export function mergeSql(
  merge: MergeStatement,
  target: string,
  translator: Translator,
  filter?: string,
): MergeSql {
  const { update, insert, deletion } = merge
  const source = `(${translator.translate(merge.source)}) AS ${sqlIdentifier(merge.sourceAlias)}`
  const alias = sqlIdentifier(merge.targetAlias)
  const into = `${target} AS ${alias}`
  const matches = translator.translate(merge.condition)
  // The filter names columns of the target, and the source may have the same ones.
  const isVisible = `${alias}.rowid IN (SELECT rowid FROM ${target} WHERE ${filter})`
  const condition = filter === undefined ? matches : `(${matches}) AND ${isVisible}`
  // A statement of DuckDB has to use all values that it is given.
  const forBoth = { ...translator.values }
  const clauses: string[] = []
  if (update !== undefined) {
    const list = update.assignments.map(
      ({ column, value }) => `${sqlIdentifier(column)} = ${translator.translate(value)}`,
    )
    const which = update.condition === undefined ? '' : ` AND (${translator.translate(update.condition)})`
    clauses.push(`WHEN MATCHED${which} THEN UPDATE SET ${list.join(', ')}`)
  }
  if (insert !== undefined) {
    const columns = insert.columns.map(sqlIdentifier).join(', ')
    const values = insert.values.map((tokens) => translator.translate(tokens)).join(', ')
    clauses.push(`WHEN NOT MATCHED THEN INSERT (${columns}) VALUES (${values})`)
  }
  if (deletion !== undefined) {
    clauses.push(`WHEN NOT MATCHED BY SOURCE AND (${translator.translate(deletion)}) THEN DELETE`)
  }
  return {
    ambiguous:
      update === undefined
        ? undefined
        : {
            sql: `SELECT 1 FROM ${into} JOIN ${source} ON ${condition} GROUP BY ${alias}.rowid HAVING count(*) > 1 LIMIT 1`,
            values: forBoth,
          },
    changes: {
      sql: `MERGE INTO ${into} USING ${source} ON ${condition} ${clauses.join(' ')} RETURNING merge_action`,
      values: translator.values,
    },
  }
}
