import type { RecordFilter } from './api.ts'

export interface ReportRequest {
  /** Default: the last 24 hours of the records, or all of them if they are fewer. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Ids of TableEntry; none: all. */
  readonly table?: readonly string[] | undefined
  /** The same length of time before, or a week before, for `before` of figures and charts. */
  readonly compare?: 'previous' | 'week' | undefined
  /** Ids of the sections to compute, so that a page can ask for one after the other; none: all. */
  readonly section?: readonly ReportSectionId[] | undefined
}

export const reportSectionIds = [
  'overview',
  'statements',
  'slow',
  'errors',
  'locks',
  'checkpoints',
  'autovacuum',
  'temp_files',
  'sessions',
  'audit',
  'replication',
  'changes',
] as const
export type ReportSectionId = (typeof reportSectionIds)[number]

/** What the views say of a range of time, as sections with figures, charts and tables. */
export interface Report {
  readonly version: string
  readonly atMs: number
  readonly fromMs: number
  readonly toMs: number
  readonly compared: { readonly fromMs: number; readonly toMs: number } | undefined
  /** The columns of figures: the servers, primary first. */
  readonly servers: readonly ReportServer[]
  readonly sections: readonly ReportSection[]
  readonly elapsedMs: number
}

export interface ReportServer {
  /** Name, or else role; unique. */
  readonly id: string
  readonly role: string | null
}

export interface ReportSection {
  readonly id: ReportSectionId
  readonly title: string
  /** The setting of PostgreSQL without which the section is empty, and definitions that differ from other tools. */
  readonly notes: readonly string[]
  readonly figures: readonly ReportFigure[]
  readonly charts: readonly ReportChart[]
  readonly tables: readonly ReportTable[]
}

export type ReportUnit =
  | 'count'
  | 'ms'
  | 's'
  | 'bytes'
  | 'kB'
  | 'MB/s'
  | 'pages'
  | 'percent'
  | 'instant'
  | 'text'
  | 'sql'

export interface ReportFigure {
  readonly id: string
  readonly label: string
  readonly unit: ReportUnit
  /** One per server, in the order of `servers`; null: not known. An `instant` is in milliseconds. */
  readonly values: readonly (number | null)[]
  /** As `values`, of the compared time. */
  readonly before: readonly (number | null)[] | undefined
}

/** Values over time. */
export interface ReportChart {
  readonly id: string
  readonly title: string
  readonly unit: ReportUnit
  readonly kind: 'bars' | 'lines'
  readonly fromMs: number
  readonly bucketMs: number
  readonly series: readonly ReportSeries[]
}

export interface ReportSeries {
  readonly name: string
  /** Id of a ReportServer. */
  readonly server: string
  /** One per bucket. */
  readonly values: readonly (number | null)[]
  /** Of the compared time, bucket by bucket. */
  readonly before: readonly (number | null)[] | undefined
}

export interface ReportTable {
  readonly id: string
  readonly title: string
  readonly columns: readonly { readonly id: string; readonly label: string; readonly unit: ReportUnit }[]
  readonly rows: readonly {
    readonly cells: readonly (string | number | null)[]
    /** Selects the records behind the row, for Explore; with the report's time if it has none of its own. */
    readonly records: RecordFilter | undefined
  }[]
  /** Whether there are more rows than are shown. */
  readonly isCut: boolean
}

/** @returns whether a figure or a series states anything, now or of the compared time */
export function hasAmount({ values, before = [] }: Pick<ReportFigure, 'values' | 'before'>): boolean {
  return [...values, ...before].some((value) => value !== null && value !== 0)
}
