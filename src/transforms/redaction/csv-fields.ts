/**
 * @returns the fields of one CSV record, quotes included. A quote within quotes is doubled; a truncated field extends to
 *   the end
 */
export function csvFields(line: string): string[] {
  const fields: string[] = []
  for (let start = 0; start <= line.length; ) {
    const comma = line.indexOf(',', line[start] === '"' ? quotedEnd(line, start) : start)
    const end = comma === -1 ? line.length : comma
    fields.push(line.slice(start, end))
    start = end + 1
  }
  return fields
}

/** Rewrites the value of a field; a quoted field stays quoted. */
export function rewriteCsvField(field: string, rewrite: (value: string) => string): string {
  if (!field.startsWith('"')) return rewrite(field)
  const end = quotedEnd(field, 0)
  // Only the closing quote is not doubled; a truncated field has none.
  const inner = field.slice(1, end).replaceAll(/"("?)/g, '$1')
  return `"${rewrite(inner + field.slice(end)).replaceAll('"', '""')}"`
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
