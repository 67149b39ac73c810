import { cellText } from './cell-text.ts'
import { LinePrinter, type Print, type RowPrinter, type TableOptions, TablePrinter } from './row-printer.ts'

import type { TextFormat } from './text-formats.ts'

type Row = readonly unknown[]

/** How a result is printed. */
export interface ResultOptions extends TableOptions {
  /** Puts `'` before texts of CSV that a spreadsheet would run as a formula. Default false: the values as they are. */
  readonly isForSheets?: boolean | undefined
}

/** @returns a printer of one result */
export function resultPrinter(
  format: TextFormat,
  print: Print,
  columns: readonly string[],
  options: ResultOptions = {},
): RowPrinter {
  if (format === 'table') return new TablePrinter(print, columns, options)
  return new LineFormatPrinter(print, lineFormats[format](columns, options))
}

/** A format that writes each row independently of the others. */
interface LineFormat {
  /** Written before the first row. */
  readonly head?: readonly string[] | undefined
  /** @param isFirst whether it is the first row */
  row(row: Row, isFirst: boolean): string
  /** Written after the last row. */
  readonly tail?: readonly string[] | undefined
}

class LineFormatPrinter implements RowPrinter {
  readonly #lines: LinePrinter
  readonly #format: LineFormat
  #hasBegun = false
  #isFirst = true

  constructor(print: Print, format: LineFormat) {
    this.#lines = new LinePrinter(print)
    this.#format = format
  }

  async add(rows: readonly Row[]): Promise<boolean> {
    await this.#begin()
    return this.#lines.add(rows, (row) => {
      const line = this.#format.row(row, this.#isFirst)
      this.#isFirst = false
      return line
    })
  }

  async end(): Promise<void> {
    await this.#begin()
    await this.#lines.add(this.#format.tail ?? [], (line) => line)
    await this.#lines.end()
  }

  async #begin(): Promise<void> {
    if (this.#hasBegun) return
    this.#hasBegun = true
    await this.#lines.add(this.#format.head ?? [], (line) => line)
  }
}

const lineFormats: Readonly<
  Record<Exclude<TextFormat, 'table'>, (columns: readonly string[], options: ResultOptions) => LineFormat>
> = {
  ndjson: (columns) => ({ row: (row) => jsonObject(columns, row) }),

  json: (columns) => ({
    head: ['['],
    row: (row, isFirst) => `${isFirst ? ' ' : ','}${jsonObject(columns, row)}`,
    tail: [']'],
  }),

  csv: (columns, { isForSheets }) => {
    const line = (row: Row): string =>
      row.map((value) => csvField(isForSheets === true ? withoutFormula(value) : value)).join(',')
    return { head: [line(columns)], row: line }
  },

  markdown: (columns) => ({
    head: [markdownRow(columns), markdownRow(columns.map(() => '---'))],
    row: markdownRow,
  }),

  html: (columns) => ({
    head: [
      '<table>',
      `<thead><tr>${columns.map((name) => `<th>${htmlText(name)}</th>`).join('')}</tr></thead>`,
      '<tbody>',
    ],
    row: (row) =>
      `<tr>${row.map((value) => `<td>${value === null ? '<em>NULL</em>' : htmlText(plainText(value))}</td>`).join('')}</tr>`,
    tail: ['</tbody>', '</table>'],
  }),
}

function jsonObject(columns: readonly string[], row: Row): string {
  return JSON.stringify(Object.fromEntries(columns.map((column, index) => [column, row[index]])))
}

/** Texts of numbers stay: engines give some numbers as text. */
function withoutFormula(value: unknown): unknown {
  if (typeof value !== 'string' || !/^[=+\-@\t\r]/.test(value)) return value
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(value) ? value : `'${value}`
}

/** As RFC 4180 and PostgreSQL's COPY have it: NULL is an empty field, and an empty text is two quotes. */
function csvField(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = plainText(value)
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function markdownRow(row: Row): string {
  const cells = row.map((value) => cellText(value, undefined).replaceAll('\\', '\\\\').replaceAll('|', '\\|'))
  return `| ${cells.join(' | ')} |`
}

function htmlText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

function plainText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
