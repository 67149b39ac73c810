import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../src/clock.ts'
import { sqlString } from '../../src/tables/sql.ts'
import type { RouteFault } from './faults.ts'
import { HttpRefusal } from './refusals.ts'
import type { Reply } from './reply.ts'
import { requestBody } from './request-body.ts'
import { type CatalogColumn, type CatalogTable, hasCatalogCommits } from './sql-catalog.ts'
import type { SqlType } from './sql-types.ts'
import type { WorkspaceLog } from './workspace-log.ts'

/** The tables that the service writes to. */
export interface ZerobusTables {
  /** @param table such as `catalog.schema.table` */
  tableDefinition(table: string): CatalogTable | undefined
  append(
    table: CatalogTable,
    columns: readonly string[],
    rows: { readonly select: string; readonly records: string },
  ): Promise<void>
}

/** The largest record: "10 MB (10,485,760 bytes)". */
const mostRecordBytes = 10_485_760

const insertPath = /^\/zerobus\/v1\/tables\/([^/]+)\/insert$/

/**
 * The REST interface of Zerobus Ingest (docs.databricks.com/ingestion/zerobus-ingest, -limits and -errors, read 2026-11-29):
 * a request is a JSON array of records, answered by `{}` when they are durable. They show in the table a while later.
 */
export class Zerobus {
  readonly #tables: ZerobusTables
  readonly #clock: Clock
  readonly #log: WorkspaceLog
  readonly #showAfterMs: number
  readonly #shown = new Set<Promise<void>>()

  constructor(
    tables: ZerobusTables,
    {
      clock,
      log,
      showAfterMs,
    }: { readonly clock: Clock; readonly log: WorkspaceLog; readonly showAfterMs: number },
  ) {
    this.#tables = tables
    this.#clock = clock
    this.#log = log
    this.#showAfterMs = showAfterMs
  }

  /** Resolves when the table has all records that were acknowledged before. */
  async settled(): Promise<void> {
    await Promise.all(this.#shown)
  }

  /**
   * @param authorize checks the token for a table
   * @throws HttpRefusal, DroppedConnection
   */
  async answer(
    request: IncomingMessage,
    url: URL,
    fault: RouteFault | undefined,
    authorize: (table: string) => void,
  ): Promise<Reply> {
    const name = insertPath.exec(decodeURIComponent(url.pathname))?.[1]
    if (name === undefined || request.method !== 'POST')
      throw new HttpRefusal(404, 'ENDPOINT_NOT_FOUND', `No API found for ${request.method} ${url.pathname}`)
    const body = await requestBody(request, fault)
    authorize(name.toLowerCase())
    const table = this.#tables.tableDefinition(name)
    if (table === undefined) throw new HttpRefusal(404, 'NOT_FOUND', `Table "${name}" cannot be found.`)
    requireWritable(table)
    const text = body.toString('utf8')
    const records = recordsIn(text)
    const seen = new Set<string>()
    for (const record of records) checkRecord(record, table.columns, seen)
    this.#log.insertions.push({ table: name, records: records.length, bytes: body.length })
    if (records.length > 0) this.#show(table, [...seen], text)
    return { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' }
  }

  #show(table: CatalogTable, names: readonly string[], records: string): void {
    const columns = table.columns.filter(({ name }) => names.includes(name))
    const values = columns.map(({ name, type }) =>
      valueSql(`(r -> ${sqlString(`$.${JSON.stringify(name)}`)})`, type),
    )
    const select = `SELECT ${values.join(', ')} FROM (SELECT unnest(CAST($records AS JSON[])) AS r)`
    const shown = this.#clock
      .sleep(this.#showAfterMs)
      .then(() =>
        this.#tables.append(
          table,
          columns.map(({ name }) => name),
          { select, records },
        ),
      )
      .catch((error: unknown) => void this.#log.failures.push(error))
      .finally(() => this.#shown.delete(shown))
    this.#shown.add(shown)
  }
}

function requireWritable(table: CatalogTable): void {
  if (table.kind !== 'MANAGED') throw invalid('Only managed Delta tables can be written.')
  if (hasCatalogCommits(table)) throw invalid('Tables with catalog-managed commits are not supported.')
  if (!table.name.every((part) => /^[a-z0-9_]+$/.test(part))) throw invalid('Unsupported table name.')
}

function recordsIn(text: string): readonly Readonly<Record<string, unknown>>[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw invalid('The body is not JSON.')
  }
  if (!Array.isArray(parsed)) throw invalid('The body is no array.')
  for (const record of parsed) {
    if (typeof record !== 'object' || record === null || Array.isArray(record))
      throw invalid('A record is no object.')
  }
  return parsed as Readonly<Record<string, unknown>>[]
}

function checkRecord(
  record: Readonly<Record<string, unknown>>,
  columns: readonly CatalogColumn[],
  seen: Set<string>,
): void {
  if (Buffer.byteLength(JSON.stringify(record)) > mostRecordBytes) throw invalid('A record is too large.')
  for (const [name, value] of Object.entries(record)) {
    const column = columns.find((each) => each.name === name)
    if (column === undefined) throw invalid(`Unknown field ${name}.`)
    if (value !== null && !fits(value, column.type))
      throw invalid(`The value of ${name} does not fit its column.`)
    seen.add(name)
  }
  const missing = columns.find(({ name, nullable }) => !nullable && (record[name] ?? null) === null)
  if (missing !== undefined) throw invalid(`The field ${missing.name} is required.`)
}

/** Timestamps are microseconds and dates are days since 1970. */
function fits(value: unknown, type: SqlType): boolean {
  if (type.kind !== 'scalar') return false
  switch (type.name) {
    case 'STRING':
      return typeof value === 'string'
    case 'BOOLEAN':
      return typeof value === 'boolean'
    case 'FLOAT':
    case 'DOUBLE':
      return typeof value === 'number' || value === 'NaN' || value === 'Infinity' || value === '-Infinity'
    default:
      return Number.isInteger(value)
  }
}

function valueSql(json: string, type: SqlType): string {
  const text = `(${json} ->> '$')`
  if (type.kind !== 'scalar' || type.name === 'STRING') return text
  switch (type.name) {
    case 'TIMESTAMP':
      return `timezone('UTC', make_timestamp(CAST(${text} AS BIGINT)))`
    case 'DATE':
      return `DATE '1970-01-01' + CAST(${text} AS INTEGER)`
    default:
      return `CAST(${text} AS ${type.name})`
  }
}

function invalid(message: string): HttpRefusal {
  return new HttpRefusal(400, 'INVALID_PARAMETER_VALUE', message)
}
