import { pageSchema } from '../config/schema.ts'
import { TailraceError } from '../errors.ts'
import type { ReportRequest } from '../page/api-report.ts'
import { ComputedReports } from '../page/report/computed-reports.ts'
import { readReport } from '../page/report/report.ts'
import { reportHtml } from '../page/report/report-html.ts'
import type { CommandContext } from './command.ts'
import { openTables } from './paging/open-page.ts'
import { withResultFile } from './querying/result-output.ts'

export interface ReportOptions extends Pick<ReportRequest, 'fromMs' | 'toMs' | 'compare'> {
  readonly pipeline?: string | undefined
  /** Write one HTML file here. */
  readonly html?: string | undefined
  readonly json?: boolean | undefined
}

/**
 * Reports what the logs of a time say, as the room Report of the page does.
 *
 * @returns the exit code: 0
 * @throws USAGE without a form of output, and where no table can be read from here
 */
export async function report(context: CommandContext, options: ReportOptions): Promise<number> {
  const { pipeline, html, json = false, fromMs, toMs, compare } = options
  if (html === undefined && !json) throw new TailraceError('USAGE', 'report needs --html FILE or --json.')
  if (fromMs !== undefined && toMs !== undefined && toMs <= fromMs)
    throw new TailraceError('USAGE', '--until has to be later than --since.')
  const { config, clock, logger } = context
  const { memoryMiB } = config.page === false ? pageSchema.parse({}) : config.page
  const { session, tables } = await openTables(context, pipeline, 2 * memoryMiB)
  if (session === undefined || typeof tables === 'string') throw new TailraceError('USAGE', String(tables))
  try {
    const request = { fromMs, toMs, compare }
    const read = await readReport(tables, request, {
      clock,
      signal: new AbortController().signal,
      computed: new ComputedReports(),
    })
    if (html !== undefined) {
      await withResultFile(html, async (print) => void (await print(reportHtml(read))))
      logger.info({ file: html, elapsedMs: read.elapsedMs }, 'the report is written')
    }
    if (json) await context.printRows(`${JSON.stringify(read)}\n`)
  } finally {
    await session.close()
  }
  return 0
}
