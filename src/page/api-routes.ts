import type { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { type Clock, Deadline } from '../clock.ts'
import { TailraceError } from '../errors.ts'
import type { Logger } from '../reporting/logger.ts'
import type { VerifyResult } from './api.ts'
import type { OperateState } from './api-operate.ts'
import { RequestFailure } from './http/failures.ts'
import { jsonBody } from './http/json-body.ts'
import { streamLive } from './http/live-stream.ts'
import { badRequest, Parameters } from './http/parameters.ts'
import { limited, maxQueryMs } from './limited.ts'
import type { RecordCounts } from './logs/counts/record-counts.ts'
import { readFacets } from './logs/facets.ts'
import { readHistogram } from './logs/histogram.ts'
import type { LogTables } from './logs/log-tables.ts'
import { readRecord, readRejects } from './logs/record-details.ts'
import { readRecords } from './logs/record-pages.ts'
import { ComputedReports } from './report/computed-reports.ts'
import { readReport } from './report/report.ts'
import { reportHtml } from './report/report-html.ts'
import { exportFormats, exportResult } from './sql/export.ts'
import type { PageStatements } from './sql/page-statements.ts'
import { parseSqlRequest, requireSql, StatementRuns } from './sql/statement-runs.ts'

export interface RouteOptions {
  /** The tables that the page shows; a text: why there are none, and what to do. */
  readonly tables: LogTables | string
  /** Of the records of the tables; undefined when there are none. */
  readonly counts: RecordCounts | undefined
  /** Undefined: Ask has nothing to ask. */
  readonly statements: PageStatements | undefined
  /** The state of the pipelines now. */
  readonly operate: () => Promise<OperateState>
  /** @throws USAGE for an unknown pipeline */
  readonly verify: (pipeline: string | undefined, signal: AbortSignal) => Promise<VerifyResult>
  /** Ends all requests that last. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly logger: Logger
}

/** Clients of server-sent events. */
const maxStreams = 24

/** Records of one page. */
export const maxRecords = 1_000

/** A report, or a verification, takes no longer. */
const maxReportMs = 600_000

/** So that a client that reads slowly keeps neither an engine nor a file. */
const maxExportMs = 300_000

/** Exports at once, each with its file of Parquet. */
const maxExports = 4

/** Adds the requests of api.ts that read the state of pipelines and the tables. */
export function addRoutes(app: Hono, options: RouteOptions): void {
  const { clock, operate } = options

  type Answered = { readonly parameters: Parameters; readonly clock: Clock; readonly signal: AbortSignal }
  const get = (path: string, maxMs: number, read: (request: Answered) => Promise<object>): void => {
    app.get(path, async (context) => {
      const parameters = new Parameters(context.req.url)
      const signals = [context.req.raw.signal, options.signal]
      return context.json(
        await limited(clock, maxMs, signals, (signal) => read({ parameters, clock, signal })),
      )
    })
  }
  const tables = (): LogTables => tablesOf(options)

  get('/api/operate', maxQueryMs, () => operate())
  get('/api/tables', maxQueryMs, async ({ signal }) => statementsOf(options).catalog(signal))
  get('/api/facets', maxQueryMs, ({ parameters, ...limits }) =>
    readFacets(tables(), parameters.filter(), limits),
  )
  get('/api/histogram', maxQueryMs, ({ parameters, ...limits }) =>
    readHistogram(
      { tables: tables(), counts: options.counts! },
      parameters.filter(),
      parameters.histogram(),
      limits,
    ),
  )
  get('/api/records', maxQueryMs, ({ parameters, ...limits }) => {
    const limit = parameters.wholeNumber('limit', 1, maxRecords) ?? 200
    return readRecords(tables(), parameters.filter(), { before: parameters.text('before'), limit }, limits)
  })
  get('/api/record', maxQueryMs, ({ parameters, signal }) => {
    const around = parameters.wholeNumber('around', 0, 200) ?? 20
    return readRecord(tables(), parameters.place(), around, signal)
  })
  get('/api/rejects', maxQueryMs, ({ parameters, signal }) => {
    const limit = parameters.wholeNumber('limit', 1, maxRecords) ?? 100
    return readRejects(tables(), parameters.texts('pipeline'), limit, signal)
  })
  get('/api/verify', maxReportMs, ({ parameters, signal }) =>
    options.verify(parameters.text('pipeline'), signal),
  )
  const computed = new ComputedReports()
  get('/api/report', maxReportMs, ({ parameters, ...limits }) =>
    readReport(tables(), parameters.report(), { ...limits, computed }),
  )
  app.get('/api/report.html', async (context) => {
    const request = new Parameters(context.req.url).report()
    const signals = [context.req.raw.signal, options.signal]
    const report = await limited(clock, maxReportMs, signals, (signal) =>
      readReport(tables(), request, { clock, signal, computed }),
    )
    return context.body(reportHtml(report), 200, {
      'content-type': 'text/html; charset=utf-8',
      'content-disposition': 'attachment; filename="report.html"',
    })
  })

  let streams = 0
  app.get('/api/live', (context) => {
    if (streams >= maxStreams)
      throw new RequestFailure('BUSY', `${maxStreams} windows follow the page already.`)
    const parameters = new Parameters(context.req.url)
    const filter = parameters.filter()
    const records =
      parameters.choice('records', ['1']) === undefined ? undefined : { tables: tables(), filter }
    streams += 1
    return streamSSE(context, async (stream) => {
      const gone = new AbortController()
      stream.onAbort(() => gone.abort())
      const signal = AbortSignal.any([gone.signal, options.signal])
      await streamLive(stream, { operate, records, clock, signal }).finally(() => {
        streams -= 1
      })
    })
  })

  const runs = options.statements && new StatementRuns(options.statements, clock)
  app.post('/api/sql', async (context) => {
    const request = parseSqlRequest(await jsonBody(context.req.raw))
    statementsOf(options)
    return context.json(await runs!.run(request, [context.req.raw.signal, options.signal]))
  })
  app.delete('/api/sql/:id', (context) => {
    if (runs?.cancel(context.req.param('id')) !== true)
      throw new RequestFailure('NOT_FOUND', 'No statement of that id runs.')
    return context.body(null, 204)
  })
  let exports = 0
  app.get('/api/sql/export', async (context) => {
    const sql = requireSql(new URL(context.req.url).searchParams.get('sql'))
    const parameters = new Parameters(context.req.url)
    const format = parameters.choice('format', exportFormats)
    if (format === undefined) throw badRequest('format', 'nothing', `one of ${exportFormats.join(', ')}`)
    const name = parameters.text('name') ?? 'result'
    const statements = statementsOf(options)
    if (exports >= maxExports) throw new RequestFailure('BUSY', `${maxExports} exports run already.`)
    const deadline = new Deadline(
      clock,
      'end of the export',
      Math.max(maxExportMs, statements.limit.maxMs),
      AbortSignal.any([context.req.raw.signal, options.signal]),
    )
    exports += 1
    const ended = (): void => {
      exports -= 1
      deadline.clear()
    }
    return exportResult(statements, { sql, format, name }, { signal: deadline.signal, ended })
  })
}

/** @throws USAGE when there are no tables */
function statementsOf({ statements, tables }: RouteOptions): PageStatements {
  if (statements === undefined) throw new TailraceError('USAGE', String(tables))
  return statements
}

/** @throws RequestFailure BAD_REQUEST when the tables cannot be queried from here */
function tablesOf({ tables }: RouteOptions): LogTables {
  if (typeof tables === 'string') throw new RequestFailure('BAD_REQUEST', tables)
  return tables
}
