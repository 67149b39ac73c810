import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { resultPrinter } from '../../reporting/result-formats.ts'
import type { RowPrinter } from '../../reporting/row-printer.ts'
import type { PageStatements } from './page-statements.ts'

export const exportFormats = ['csv', 'json', 'parquet'] as const
export type ExportFormat = (typeof exportFormats)[number]

const exportTypes: Readonly<Record<ExportFormat, string>> = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
}

/** A Parquet file lies on the disk until it has been sent. */
const maxParquetBytes = 1024 ** 3

/** What limits an export. */
export interface ExportLimits {
  /** Ends the statement, and the reply. */
  readonly signal: AbortSignal
  /** Called once, when nothing of the export is left. */
  readonly ended: () => void
}

/**
 * Answers with the whole result of a statement as a file. The rows are sent while they arrive, except those of
 * Parquet, which can be read only whole.
 */
export async function exportResult(
  statements: PageStatements,
  { sql, format, name }: { readonly sql: string; readonly format: ExportFormat; readonly name: string },
  limits: ExportLimits,
): Promise<Response> {
  const body =
    format === 'parquet'
      ? await parquetBody(statements, sql, limits)
      : await textBody(statements, sql, format, limits)
  return new Response(body, {
    headers: {
      'content-type': exportTypes[format],
      'content-disposition': `attachment; filename="${name.replace(/[^\w.-]+/g, '-') || 'result'}.${format}"`,
    },
  })
}

async function parquetBody(
  statements: PageStatements,
  sql: string,
  { signal, ended }: ExportLimits,
): Promise<ReadableStream> {
  let directory: string | undefined
  const end = async (): Promise<void> => {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true })
    ended()
  }
  try {
    directory = await mkdtemp(join(tmpdir(), 'tailrace-export-'))
    const path = join(directory, 'result.parquet')
    await statements.writeParquet({ sql, signal, maxBytes: maxParquetBytes }, path)
    const file = createReadStream(path, { signal })
    file.once('close', () => void end())
    return Readable.toWeb(file) as ReadableStream
  } catch (error) {
    await end()
    throw error
  }
}

/** @returns the body when the first rows, or the failure of the statement, are there */
async function textBody(
  statements: PageStatements,
  sql: string,
  format: Exclude<ExportFormat, 'parquet'>,
  limits: ExportLimits,
): Promise<ReadableStream> {
  const ending = new AbortController()
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(undefined, {
    highWaterMark: 8,
  })
  const writer = writable.getWriter()
  writer.closed.catch((error: unknown) => ending.abort(error))
  const encoder = new TextEncoder()
  const print = async (text: string): Promise<boolean> => {
    await writer.ready
    await writer.write(encoder.encode(text))
    return true
  }
  let printer: RowPrinter | undefined
  await new Promise<void>((begun, failed) => {
    const running = statements.run({
      sql,
      take: async ({ columns, rows }) => {
        printer ??= resultPrinter(format, print, columns, { isForSheets: true })
        begun()
        return rows.length === 0 || printer.add(rows)
      },
      signal: AbortSignal.any([limits.signal, ending.signal]),
    })
    running
      .then(async () => {
        await printer?.end()
        await writer.close()
      })
      .catch(async (error: unknown) => {
        failed(error)
        // After the first rows, the download ends before its end, which clients report.
        await writer.abort(error).catch(() => {})
      })
      .finally(() => limits.ended())
  })
  return readable
}
