import { escapeText } from './escape-text.ts'

/** Writes to standard output. @returns false when its reader is gone, so that the caller can stop */
export type Print = (text: string) => Promise<boolean>

type Row = readonly unknown[]

/** Prints rows while they arrive, as a table or as JSON. */
export interface RowPrinter {
  /** @returns false when the reader of the output is gone */
  add(rows: readonly Row[]): Promise<boolean>
  end(): Promise<void>
}

/** Longer cells are truncated, in characters: a statement of several pages would make the table unreadable. */
const maxWidth = 60

/** The number of rows from which the widths of a table's columns are computed. */
const measuredRows = 1_000

/** Minimum size of a write, except the last, in characters. */
const minWriteCharacters = 64 * 1024

/** Prints one JSON object per row. */
export class JsonPrinter implements RowPrinter {
  readonly #lines: LinePrinter
  readonly #columns: readonly string[]

  constructor(print: Print, columns: readonly string[]) {
    this.#lines = new LinePrinter(print)
    this.#columns = columns
  }

  add(rows: readonly Row[]): Promise<boolean> {
    return this.#lines.add(rows, (row) =>
      JSON.stringify(Object.fromEntries(this.#columns.map((column, index) => [column, row[index]]))),
    )
  }

  end(): Promise<void> {
    return this.#lines.end()
  }
}

/**
 * Prints an aligned table, with numbers at the right.
 *
 * The widths of the columns come from the first 1,000 rows. A longer value in a later row shifts the rest of its line.
 */
export class TablePrinter implements RowPrinter {
  readonly #lines: LinePrinter
  readonly #columns: readonly string[]
  /** Rows held until the layout is known; undefined from then on. */
  #waiting: Row[] | undefined = []
  #format: (row: Row) => string = () => ''
  #count = 0

  constructor(print: Print, columns: readonly string[]) {
    this.#lines = new LinePrinter(print)
    this.#columns = columns
  }

  async add(rows: readonly Row[]): Promise<boolean> {
    this.#count += rows.length
    if (this.#waiting === undefined) return this.#lines.add(rows, this.#format)
    for (const row of rows) this.#waiting.push(row)
    return this.#waiting.length < measuredRows || this.#begin(this.#waiting)
  }

  async end(): Promise<void> {
    if (this.#waiting !== undefined) await this.#begin(this.#waiting)
    await this.#lines.add([`(${this.#count} ${this.#count === 1 ? 'row' : 'rows'})`], (line) => line)
    await this.#lines.end()
  }

  async #begin(rows: readonly Row[]): Promise<boolean> {
    this.#waiting = undefined
    if (this.#columns.length === 0) return true
    const heads = this.#columns.map(cellText)
    const widths = heads.map(characterCount)
    for (const row of rows) {
      for (const [index, width] of widths.entries()) {
        widths[index] = Math.max(width, characterCount(cellText(row[index])))
      }
    }
    const isRight = widths.map((_, index) => rows.length > 0 && rows.every((row) => isNumeric(row[index])))
    const line = (texts: readonly string[]): string =>
      texts
        .map((text, index) => padded(text, widths[index] ?? 0, isRight[index] === true))
        .join(' | ')
        .trimEnd()
    this.#format = (row) => line(this.#columns.map((_, index) => cellText(row[index])))
    await this.#lines.add([line(heads), widths.map((width) => '-'.repeat(width)).join('-+-')], (text) => text)
    return this.#lines.add(rows, this.#format)
  }
}

/** Prints a complete table. */
export async function printTable(
  print: Print,
  columns: readonly string[],
  rows: readonly Row[],
): Promise<void> {
  const table = new TablePrinter(print, columns)
  await table.add(rows)
  await table.end()
}

/** Prints one line of JSON that contains a list of any length, without building it in memory. */
export async function printJsonList(
  print: Print,
  {
    before,
    items,
    after,
  }: { readonly before: string; readonly items: readonly unknown[]; readonly after: string },
): Promise<void> {
  const text = new LinePrinter(print, '')
  await text.add([before], (one) => one)
  let separator = ''
  await text.add(items, (item) => {
    const json = `${separator}${JSON.stringify(item)}`
    separator = ','
    return json
  })
  await text.add([`${after}\n`], (one) => one)
  await text.end()
}

/** Collects lines into larger writes. */
class LinePrinter {
  readonly #print: Print
  readonly #lineEnd: string
  #text = ''

  constructor(print: Print, lineEnd = '\n') {
    this.#print = print
    this.#lineEnd = lineEnd
  }

  async add<T>(items: readonly T[], lineOf: (item: T) => string): Promise<boolean> {
    let isRead = true
    for (const item of items) {
      this.#text += lineOf(item) + this.#lineEnd
      if (this.#text.length >= minWriteCharacters) isRead = await this.#flush()
      if (!isRead) return false
    }
    return true
  }

  async end(): Promise<void> {
    await this.#flush()
  }

  #flush(): Promise<boolean> {
    const text = this.#text
    this.#text = ''
    return this.#print(text)
  }
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const start = text.length > 4 * maxWidth ? text.slice(0, 4 * maxWidth) : text
  const shown = escapeText(start).replaceAll('\n', '↵').replaceAll('\t', '⇥')
  if (shown.length <= maxWidth) return shown
  const characters = [...shown]
  return characters.length > maxWidth ? `${characters.slice(0, maxWidth - 1).join('')}…` : shown
}

function characterCount(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

function padded(text: string, width: number, isRight: boolean): string {
  const padding = ' '.repeat(Math.max(0, width - characterCount(text)))
  return isRight ? padding + text : text + padding
}

function isNumeric(value: unknown): boolean {
  return (
    value === null ||
    typeof value === 'number' ||
    (typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value))
  )
}
