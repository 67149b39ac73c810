import { csvlogColumns, csvlogLine } from '../../tables/postgres/shapes/csvlog-line.ts'

const csvLine = new RegExp(csvlogLine)
const openBrace = 0x7b
const dash = 0x2d
const space = 0x20

/** Columns that say of which record a further line is. */
const ofRecord: ReadonlySet<string> = new Set([
  'log_time',
  'user_name',
  'database_name',
  'process_id',
  'connection_from',
  'session_id',
  'session_line_num',
  'session_start_time',
  'virtual_transaction_id',
  'transaction_id',
])

/** A csvlog record that ends within a quoted value. */
interface OpenRecord {
  readonly columns: readonly string[]
  /** What all of its further lines state. */
  readonly common: Readonly<Record<string, string>>
  /** The place of the value that the next line continues. */
  readonly place: number
  readonly lines: number
}

/**
 * Follows the lines of one blob, to read the further lines of a csvlog record: a quoted value, such as a statement, may have
 * several lines.
 *
 * The record of a line before which reading begins anew is not known, so such a line is read like any other.
 */
export class CsvRecords {
  /** The last line that begins like a record. It is read only when the next line does not. */
  #begun: string | undefined
  #open: OpenRecord | undefined

  /** @returns whether a line is within a quoted value of the record before it. Call it for every line, in order */
  continues(line: string): boolean {
    // The quotes within a quoted value are doubled, so that no object with keys is a part of one.
    if (line.charCodeAt(0) === openBrace) return false
    if (line.charCodeAt(4) === dash && line.charCodeAt(10) === space) {
      this.#begun = line
      return false
    }
    if (this.#begun !== undefined)
      this.#open = csvLine.test(this.#begun) ? openRecord(this.#begun) : undefined
    this.#begun = undefined
    return this.#open !== undefined
  }

  /**
   * @param line of which `continues` is true
   * @returns the text of a JSON object. A further line of the message has the form of one in a text log, which begins with a
   *   tab; any other has csvlog's names of its record's columns, and of those that it continues or begins
   */
  furtherRecord(line: string): string {
    const { columns, common, place, lines } = this.#open!
    const { values, isQuoted, closedAt } = valuesOf(line, true)
    const last = place + values.length - 1
    this.#open = isQuoted ? { columns, common, place: last, lines: lines + 1 } : undefined
    if (columns[place] === 'message') {
      const rest = closedAt < 0 ? {} : { csvlog_rest: line.slice(closedAt + 1) }
      return JSON.stringify({ message: `\t${values[0]}`, ...rest })
    }
    const own = values.map((value, index) => [columns[place + index] ?? `column_${place + index + 1}`, value])
    const stated = own.filter(([, value], index) => index === 0 || value !== '')
    return JSON.stringify({ ...common, ...Object.fromEntries(stated), chunkIndex: lines + 1 })
  }
}

function openRecord(line: string): OpenRecord | undefined {
  const { values, isQuoted } = valuesOf(line, false)
  if (!isQuoted) return undefined
  const columns = csvlogColumns(values)
  const common = columns.flatMap((column, index) => {
    const value = values[index] ?? ''
    return ofRecord.has(column) && value !== ''
      ? [[column, column === 'process_id' ? value.replace('p', '') : value]]
      : []
  })
  return { columns, common: Object.fromEntries(common), place: values.length - 1, lines: 1 }
}

interface CsvValues {
  /** Without their quotes. The last one is open when `isQuoted`. */
  readonly values: readonly string[]
  readonly isQuoted: boolean
  /** The place of the quote that ends the first value, if the line begins within one; -1 without such a quote. */
  readonly closedAt: number
}

/** @param isQuoted whether the line begins within a quoted value */
function valuesOf(line: string, isQuoted: boolean): CsvValues {
  const values: string[] = []
  let closedAt = -1
  let at = 0
  let isInside = isQuoted
  for (;;) {
    if (!isInside && line[at] === '"') {
      isInside = true
      at += 1
    }
    const quote = isInside ? quoteAfter(line, at) : -1
    if (isInside && quote < 0)
      return { values: [...values, undoubled(line.slice(at))], isQuoted: true, closedAt }
    if (isQuoted && values.length === 0) closedAt = quote
    const comma = line.indexOf(',', isInside ? quote : at)
    const end = isInside ? quote : comma < 0 ? line.length : comma
    values.push(isInside ? undoubled(line.slice(at, end)) : line.slice(at, end))
    if (comma < 0) return { values, isQuoted: false, closedAt }
    at = comma + 1
    isInside = false
  }
}

/** @returns the place of the first quote that is not doubled; -1 without one */
function quoteAfter(line: string, from: number): number {
  for (let at = line.indexOf('"', from); at >= 0; at = line.indexOf('"', at + 2)) {
    if (line[at + 1] !== '"') return at
  }
  return -1
}

function undoubled(text: string): string {
  return text.replaceAll('""', '"')
}
