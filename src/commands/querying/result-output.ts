import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { resultPrinter } from '../../reporting/result-formats.ts'
import type { Print, RowPrinter } from '../../reporting/row-printer.ts'
import { outputFailed, printTo } from '../../reporting/terminal.ts'
import type { TextFormat } from '../../reporting/text-formats.ts'
import type { TakeRows } from '../../sinks/encoding/row-stream.ts'
import type { CommandContext } from '../command.ts'

export interface OutputOptions {
  readonly format: TextFormat
  /** Print cells of a table whole. Default false. */
  readonly wide?: boolean | undefined
}

/** @returns a printer of the results of statements, one after the other */
export function resultsPrinter(
  print: Print,
  { format, wide }: OutputOptions,
): { readonly take: TakeRows; readonly end: () => Promise<void> } {
  let printer: RowPrinter | undefined
  let isRead = true
  const end = async (): Promise<void> => {
    if (isRead) await printer?.end()
    printer = undefined
  }
  const take: TakeRows = async ({ columns, rows }) => {
    if (rows.length === 0) {
      await end()
      printer = resultPrinter(format, print, columns, { wide })
    }
    isRead = (await printer?.add(rows)) === true
    return isRead
  }
  return { take, end }
}

/** @returns the way to standard output. JSON and tables are escaped; the others are as they are unless a person reads. */
export function standardPrint({ printRows, printRaw, terminal }: CommandContext, format: TextFormat): Print {
  const isData = format === 'csv' || format === 'markdown' || format === 'html'
  return isData && !terminal.hasOutput ? printRaw : printRows
}

/**
 * Writes a file, which has its name only when it is complete. An older file of that name is replaced.
 *
 * @throws OUTPUT_FAILED
 */
export async function withResultFile(path: string, write: (print: Print) => Promise<void>): Promise<void> {
  const partial = partialPath(path)
  const stream = createWriteStream(partial)
  try {
    await write(printTo(stream, { name: path, escapes: false }))
    stream.end()
    await finished(stream).catch((error: unknown) => {
      throw outputFailed(path, error)
    })
    await rename(partial, path)
  } catch (error) {
    stream.destroy()
    await rm(partial, { force: true })
    throw error
  }
}

/** The name of a file that is being written. */
export function partialPath(path: string): string {
  return `${path}.partial`
}
