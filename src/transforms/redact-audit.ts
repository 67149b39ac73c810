/** What pgaudit writes where it holds a text back, and Cloud SQL's spelling of it. */
const placeholder = /^(?:<(?:none|not logged|previously logged|long param suppressed)>|\[not logged\])$/

const head = /^(?:SESSION|OBJECT),\d+,\d+,/
const statementIndex = 7
const parameterIndex = 8
const rowsIndex = 9

/** @returns whether `text` says that a statement or parameter was not logged, so that nothing is in it to hide. */
export function isAuditPlaceholder(text: string): boolean {
  return placeholder.test(text)
}

/**
 * Redacts the statement of a pgaudit line by `inSql` and replaces its parameters; the fields before say what was done
 * to which object and stay. Fields: https://github.com/pgaudit/pgaudit#format
 *
 * @param line what follows `AUDIT: `, to the message's end
 * @returns undefined when it is not a line of pgaudit
 */
export function redactAudit(
  line: string,
  inSql: (sql: string) => string,
  replacement: string,
): string | undefined {
  if (!head.test(line)) return undefined
  const fields = csvFields(line)
  return fields
    .map((field, index) => {
      if (index < statementIndex || isAuditPlaceholder(field)) return field
      if (index === statementIndex) return field.startsWith('"') ? quote(inSql(unquote(field))) : inSql(field)
      // More fields than pgaudit writes are a statement that nobody quoted, and any of them may hold a value.
      const isRows = index === rowsIndex && fields.length === rowsIndex + 1 && /^\d+$/.test(field)
      return isRows || (index === parameterIndex && field === '') ? field : replacement
    })
    .join(',')
}

/** The fields as written, quotes included; one that is cut short reaches to the end. */
function csvFields(line: string): string[] {
  const fields: string[] = []
  for (let start = 0; start <= line.length; ) {
    const comma = line.indexOf(',', line[start] === '"' ? quotedEnd(line, start) : start)
    const end = comma === -1 ? line.length : comma
    fields.push(line.slice(start, end))
    start = end + 1
  }
  return fields
}

function quotedEnd(line: string, start: number): number {
  let at = start + 1
  for (;;) {
    const mark = line.indexOf('"', at)
    if (mark === -1) return line.length
    if (line[mark + 1] !== '"') return mark + 1
    at = mark + 2
  }
}

function unquote(field: string): string {
  const end = quotedEnd(field, 0)
  // The closing quote alone is not doubled; a field that is cut short has none.
  const inner = field.slice(1, end).replaceAll(/"("?)/g, '$1')
  return inner + field.slice(end)
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
