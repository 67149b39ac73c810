import { cellText, displayWidth } from './cell-text.ts'

/** Writes to standard output. @returns false when its reader is gone, so that the caller can stop */
export type Print = (text: string) => Promise<boolean>

type Row = readonly unknown[]

/** Prints rows while they arrive, as a table or as JSON. */
export interface RowPrinter {
  /** @returns false when the reader of the output is gone */
  add(rows: readonly Row[]): Promise<boolean>
  end(): Promise<void>
}

/** Longer cells are cut, in columns of the terminal: a statement of several pages would make the table unreadable. */
const maxCellWidth = 60

/** The number of rows from which the widths of a table's columns are computed. */
const measuredRows = 1_000

/** Minimum size of a write, except the last, in characters. */
const minWriteCharacters = 64 * 1024

export interface TableOptions {
  /** Print cells whole. Default: cells are cut at 60 columns of the terminal, with `…` at the cut. */
  readonly wide?: boolean | undefined
}

/**
 * Prints an aligned table, with numbers at the right. NULL is printed as `NULL`, an unknown value (undefined) as nothing.
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
  readonly #textOf: (value: unknown) => string

  constructor(print: Print, columns: readonly string[], { wide = false }: TableOptions = {}) {
    this.#lines = new LinePrinter(print)
    this.#columns = columns
    this.#textOf = (value) => cellText(value, wide ? undefined : maxCellWidth)
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
    const heads = this.#columns.map((name) => this.#textOf(name))
    const widths = heads.map(displayWidth)
    for (const row of rows) {
      for (const [index, width] of widths.entries()) {
        widths[index] = Math.max(width, displayWidth(this.#textOf(row[index])))
      }
    }
    const isRight = widths.map((_, index) => rows.length > 0 && rows.every((row) => isNumeric(row[index])))
    const line = (texts: readonly string[]): string =>
      texts
        .map((text, index) => padded(text, widths[index] ?? 0, isRight[index] === true))
        .join(' | ')
        .trimEnd()
    this.#format = (row) => line(this.#columns.map((_, index) => this.#textOf(row[index])))
    await this.#lines.add([line(heads), widths.map((width) => '-'.repeat(width)).join('-+-')], (text) => text)
    return this.#lines.add(rows, this.#format)
  }
}

/** Prints a complete table. */
export async function printTable(
  print: Print,
  columns: readonly string[],
  rows: readonly Row[],
  options: TableOptions = {},
): Promise<void> {
  const table = new TablePrinter(print, columns, options)
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
export class LinePrinter {
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

function padded(text: string, width: number, isRight: boolean): string {
  const padding = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return isRight ? padding + text : text + padding
}

function isNumeric(value: unknown): boolean {
  return (
    value === null ||
    value === undefined ||
    typeof value === 'number' ||
    (typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value))
  )
}
