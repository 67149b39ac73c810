/**
 * The fields of one CSV record as written, quotes included. Quotes inside quotes are doubled; a field that is cut
 * short reaches to the end.
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

/** Rewrites a field's value; a field that was quoted stays quoted. */
export function rewriteCsvField(field: string, rewrite: (value: string) => string): string {
  if (!field.startsWith('"')) return rewrite(field)
  const end = quotedEnd(field, 0)
  // The closing quote alone is not doubled; a field that is cut short has none.
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
