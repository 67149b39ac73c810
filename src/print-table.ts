/** Longer values are cut: a statement of pages would hide the table. */
const maxWidth = 60

/** Formats columns and rows as an aligned text table; numbers stand right. */
export function printTable(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map(cellText))
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => [...(row[index] ?? '')].length)),
  )
  const right = columns.map((_, index) => rows.length > 0 && rows.every((row) => isNumeric(row[index])))
  const line = (row: readonly string[]): string =>
    row
      .map((text, index) => {
        const padding = ' '.repeat((widths[index] ?? 0) - [...text].length)
        return right[index] ? padding + text : text + padding
      })
      .join(' | ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-')
  const count = `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`
  if (columns.length === 0) return `${count}\n`
  return `${[line(columns), rule, ...cells.map(line), count].join('\n')}\n`
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would act on them.
  const shown = text.replace(/[\x00-\x1f\x7f]/g, (character) => (character === '\n' ? '↵' : '·'))
  const characters = [...shown]
  return characters.length > maxWidth ? `${characters.slice(0, maxWidth - 1).join('')}…` : shown
}

function isNumeric(value: unknown): boolean {
  return (
    value === null ||
    typeof value === 'number' ||
    (typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value))
  )
}
