import { csvFields, rewriteCsvField } from './csv-fields.ts'
import { redactSql } from './sql-literals.ts'

/** The placeholders of pgaudit for a text that it does not log, and Google's spellings of them. */
const placeholder =
  /^(?:<(?:none|not logged|previously logged|long param suppressed)>|\[(?:none|not logged)\])$/

const head = /^(?:SESSION|OBJECT),\d+,\d+,/
const statementIndex = 7
const parameterIndex = 8
const rowsIndex = 9

/** @returns whether `text` is a placeholder for a statement or parameter that was not logged */
export function isAuditPlaceholder(text: string): boolean {
  return placeholder.test(text)
}

/**
 * Redacts the statement of a pgaudit line and replaces its parameters. The fields before, which name the command and the
 * object, are kept. Fields: https://github.com/pgaudit/pgaudit#format
 *
 * @param line the text after `AUDIT: `, to the message's end
 * @returns undefined for a text of another format
 */
export function redactAudit(line: string, replacement: string): string | undefined {
  if (!head.test(line)) return undefined
  const fields = csvFields(line)
  return fields
    .map((field, index) => {
      if (index < statementIndex || isAuditPlaceholder(field)) return field
      if (index === statementIndex) return rewriteCsvField(field, (sql) => redactSql(sql, { replacement }))
      // More fields than pgaudit writes come from a statement without quotes; any of them may contain a value.
      const isRows = index === rowsIndex && fields.length === rowsIndex + 1 && /^\d+$/.test(field)
      return isRows || (index === parameterIndex && field === '') ? field : replacement
    })
    .join(',')
}
