import { csvFields, rewriteCsvField } from './csv-fields.ts'
import { redactSql } from './sql-literals.ts'

/** What pgaudit writes where it holds a text back, and Google's spellings of it. */
const placeholder =
  /^(?:<(?:none|not logged|previously logged|long param suppressed)>|\[(?:none|not logged)\])$/

const head = /^(?:SESSION|OBJECT),\d+,\d+,/
const statementIndex = 7
const parameterIndex = 8
const rowsIndex = 9

/** @returns whether `text` says that a statement or parameter was not logged, so that nothing is in it to hide. */
export function isAuditPlaceholder(text: string): boolean {
  return placeholder.test(text)
}

/**
 * Redacts the statement of a pgaudit line and replaces its parameters; the fields before name the command and the
 * object, and stay. Fields: https://github.com/pgaudit/pgaudit#format
 *
 * @param line the text after `AUDIT: `, to the message's end
 * @returns undefined when it is not a line of pgaudit
 */
export function redactAudit(line: string, replacement: string): string | undefined {
  if (!head.test(line)) return undefined
  const fields = csvFields(line)
  return fields
    .map((field, index) => {
      if (index < statementIndex || isAuditPlaceholder(field)) return field
      if (index === statementIndex) return rewriteCsvField(field, (sql) => redactSql(sql, { replacement }))
      // More fields than pgaudit writes are a statement that nobody quoted, and any of them may hold a value.
      const isRows = index === rowsIndex && fields.length === rowsIndex + 1 && /^\d+$/.test(field)
      return isRows || (index === parameterIndex && field === '') ? field : replacement
    })
    .join(',')
}
