import type { RecordFilter } from '../api.ts'
import type { ReportChart, ReportSectionId, ReportUnit } from '../api-report.ts'

/** A section of the report: statements over the views of PostgreSQL logs, and how their results are shown. */
export interface SectionDefinition {
  readonly id: ReportSectionId
  readonly title: string
  readonly notes: readonly string[]
  /**
   * Relations by the names that the SQL below gives them behind `@`; each is computed once for the section, and may read
   * others. Default: a name is that of a view.
   */
  readonly relations?: Readonly<Record<string, string>> | undefined
  readonly figures: readonly FigureSet[]
  readonly charts: readonly ChartDefinition[]
  readonly tables: readonly TableDefinition[]
}

/** Figures that one scan of a view gives, one row for each server. */
export interface FigureSet {
  /** A relation with the columns `source_role` and `server_name`, as SQL. */
  readonly from: string
  readonly figures: readonly {
    readonly id: string
    readonly label: string
    readonly unit: ReportUnit
    /** SQL of an aggregate. */
    readonly value: string
  }[]
}

export interface ChartDefinition extends Pick<ReportChart, 'id' | 'title' | 'unit' | 'kind'> {
  readonly from: string
  /** The column of the instant. */
  readonly at: string
  /** SQL of an aggregate. */
  readonly value: string
  /** SQL of the name of a series. Default: one series, named so. */
  readonly series: string
}

export interface TableDefinition {
  readonly id: string
  readonly title: string
  /** In the order of the columns of `sql`. Instants are milliseconds since the epoch. */
  readonly columns: readonly { readonly id: string; readonly label: string; readonly unit: ReportUnit }[]
  /** A SELECT. */
  readonly sql: string
  /** SQL of the order of its rows, by its columns. */
  readonly order: string
  readonly maxRows: number
  /** The records behind a row. Default: none. */
  readonly records?: ((row: Readonly<Record<string, unknown>>) => RecordFilter) | undefined
}

/** The name under which the report shows records without a server's name and role. */
const unknownServer = 'unknown'

/** SQL of the server of a row. */
export const serverSql = `coalesce(server_name, source_role, '${unknownServer}')`

/** The column of the server, with which every table begins. */
export const serverColumn = { id: 'server', label: 'Server', unit: 'text' } as const

/** @returns the text of a value as the only one of a list of a filter, where the empty text stands for NULL */
export function only(value: unknown): readonly string[] {
  return [value === null || value === undefined ? '' : String(value)]
}

/** @returns the server of a row of the report as the only one of a filter */
export function onlyServer(server: unknown): readonly string[] {
  return only(server === unknownServer ? null : server)
}

/** @returns a filter for records of one session within a second of an instant */
export function nearSession(row: Readonly<Record<string, unknown>>): RecordFilter {
  const atMs = Number(row.at_ms)
  return {
    server: onlyServer(row.server),
    session: only(row.session),
    fromMs: atMs - 1_000,
    toMs: atMs + 1_001,
  }
}
