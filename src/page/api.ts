// The HTTP API of the page: every request and reply. Replies are JSON; instants are milliseconds since the epoch in UTC,
// 64-bit integers of SQL results are text. Every text that comes from a log is plain text, never markup. The types of the
// room Operate are in api-operate.ts, those of the report in api-report.ts.
//
// | request                    | parameters                                    | reply                                  |
// | -------------------------- | --------------------------------------------- | -------------------------------------- |
// | GET /api/about             |                                               | About; answered without a token, too   |
// | POST /api/login            | LoginRequest as a JSON body                   | 204 and a cookie, or 401               |
// | GET /api/operate           |                                               | OperateState                           |
// | GET /api/live              | `records=1` and RecordFilter for new records  | server-sent events, see LiveEvents     |
// | GET /api/tables            |                                               | TableCatalog                           |
// | GET /api/facets            | RecordFilter                                  | Facets                                 |
// | GET /api/histogram         | RecordFilter, HistogramRequest                | Histogram                              |
// | GET /api/records           | RecordFilter, `before`, `limit`               | RecordPage                             |
// | GET /api/record            | RowPlace, `around`                         | RecordDetails                          |
// | GET /api/rejects           | `pipeline`, `limit`                           | RejectList                             |
// | GET /api/verify            | `pipeline`                                    | VerifyResult                           |
// | GET /api/report            | ReportRequest                                 | Report                                 |
// | GET /api/report.html       | ReportRequest                                 | the same as one file, as a download    |
// | POST /api/sql              | SqlRequest as a JSON body                     | SqlResult                              |
// | DELETE /api/sql/:id        |                                               | 204; the statement ends with CANCELED  |
// | GET /api/sql/export        | `sql`, `format` (csv, json, parquet), `name`  | the file, as a download                |
//
// A list in a query string is the parameter repeated: `severity=ERROR&severity=FATAL`. A request that the client closes is
// interrupted. Any other answer than 2xx has the body ApiFailure. 401: a token is needed; see About.

import type { VerifyReport } from '../offsets/verify-report.ts'
import type { OperateState } from './api-operate.ts'

/** The body of every answer that is no success. */
export interface ApiFailure {
  readonly error: {
    /** A code of docs/errors.md, or NOT_FOUND, UNAUTHORIZED, FORBIDDEN, BUSY, CANCELED, TIMED_OUT, BAD_REQUEST. */
    readonly code: string
    readonly message: string
    /** What to do. */
    readonly hint: string
  }
}

export interface About {
  readonly version: string
  readonly nowMs: number
  /** Whether a process of this state directory tails now. */
  readonly isTailing: boolean
  /** The first and last `event_time` of all tables, from their statistics; undefined when there are no records. */
  readonly records: { readonly count: number; readonly fromMs: number; readonly toMs: number } | undefined
  /** Undefined when Explore and Report can be used; otherwise why not, and what to do. */
  readonly unavailable: string | undefined
  /** Whether Ask can be used, and what to know before running a statement there. */
  readonly ask: { readonly isAvailable: boolean; readonly note: string | undefined }
  /** The page needs a token, and this request has none: every other request is answered with 401 until POST /api/login. */
  readonly needsToken: boolean
  readonly limits: {
    readonly maxSqlRows: number
    readonly maxSqlMs: number
    readonly maxSqlCharacters: number
    readonly maxRecords: number
  }
}

export interface LoginRequest {
  /** The value of `TAILRACE_PAGE_TOKEN`. A program sends it as `Authorization: Bearer …` instead of logging in. */
  readonly token: string
}

/** The events of GET /api/live by their names; `data` is the JSON of the type. */
export interface LiveEvents {
  /** Once a second. */
  readonly operate: OperateState
  /** With `records=1`: records that match the filter and landed since the last event, oldest first. */
  readonly records: { readonly records: readonly RecordRow[]; readonly isCut: boolean }
  /** The query for new records failed; the next one is tried. */
  readonly trouble: ApiFailure
}

/** The parameters by which records are selected; all of them hold at once, the values of one list are alternatives. */
export interface RecordFilter {
  /** `event_time` from, inclusive. */
  readonly fromMs?: number | undefined
  /** `event_time` to, exclusive. */
  readonly toMs?: number | undefined
  /** Ids of TableEntry; none: all tables of PostgreSQL logs. */
  readonly table?: readonly string[] | undefined
  /** Names or roles of servers. */
  readonly server?: readonly string[] | undefined
  readonly severity?: readonly string[] | undefined
  /** Events of the view `log_events`, such as `deadlock`. */
  readonly event?: readonly string[] | undefined
  readonly database?: readonly string[] | undefined
  readonly user?: readonly string[] | undefined
  readonly sqlstate?: readonly string[] | undefined
  readonly session?: readonly string[] | undefined
  /** Part of a message, detail, hint, context or statement, or of a rejected line, in any case of letters. */
  readonly q?: string | undefined
}

export interface TableCatalog {
  /** The tables of PostgreSQL logs, which the rooms Explore and Report show. */
  readonly logs: readonly TableEntry[]
  /** Everything that SQL can name: tables, views, and their columns. */
  readonly relations: readonly RelationEntry[]
  readonly functions: readonly string[]
}

export interface TableEntry {
  /** The pipeline's name. */
  readonly id: string
  /** `catalog.schema.table` */
  readonly name: string
  readonly exists: boolean
  readonly rows: number | undefined
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
  readonly bytes: number | undefined
  readonly files: number | undefined
}

export interface RelationEntry {
  /** As SQL has to write it. */
  readonly name: string
  readonly kind: 'table' | 'view'
  readonly comment: string
  readonly columns: readonly { readonly name: string; readonly type: string; readonly comment: string }[]
}

/** The most frequent values of each field among the records of a filter. Its own field is left out of the filter. */
export interface Facets {
  readonly severity: readonly FacetValue[]
  readonly server: readonly FacetValue[]
  readonly database: readonly FacetValue[]
  readonly user: readonly FacetValue[]
  readonly event: readonly FacetValue[]
  /** Only records since this instant were counted, because there are too many; undefined when all were. */
  readonly countedFromMs: number | undefined
}

export interface FacetValue {
  /** Null: records without a value. */
  readonly value: string | null
  readonly count: number
}

export interface HistogramRequest {
  /** 1 to 500. Default 120. The reply may have fewer, because buckets are round: 1 s, 5 s, 1 min, 1 h … */
  readonly buckets?: number | undefined
  /** Default `severity`. */
  readonly by?: 'severity' | 'server' | 'event' | undefined
  /** `next` of an earlier reply to the same filter: counts the records before those that it counted. */
  readonly before?: string | undefined
}

/** Series of a histogram: the last one has the counts of all further ones. */
export const maxSeries = 12
export const otherSeries = 'others'

export interface Histogram {
  /** Start of the first bucket. */
  readonly fromMs: number
  readonly bucketMs: number
  readonly buckets: number
  readonly by: 'severity' | 'server' | 'event'
  /** One count per bucket; the most severe, or else the most frequent, first. */
  readonly series: readonly { readonly name: string; readonly counts: readonly number[] }[]
  /** Of the series. */
  readonly total: number
  /**
   * About how many records have not been counted yet, one number per bucket: by the statistics of files, whose records are
   * taken to be spread evenly over their time. Undefined when all are counted, and with a filter of more than a time.
   */
  readonly estimated: readonly number[] | undefined
  /**
   * Only records since this instant have been counted, because a reply takes a limited time; undefined when all have. The
   * reply to `next` has the counts of older ones, of the same buckets, to be added to these.
   */
  readonly countedFromMs: number | undefined
  readonly next: string | undefined
  readonly elapsedMs: number
  /** Data files of the tables, and those of which rows were read for this reply: of the others, the counts are known. */
  readonly files: number
  readonly filesRead: number
}

/** The place of a record: identifies it among all. */
export interface RowPlace {
  /** Id of TableEntry. */
  readonly table: string
  readonly blob: string
  readonly generation: string
  readonly offset: number
  readonly index: number
}

export interface RecordRow extends RowPlace {
  readonly atMs: number | null
  /** ISO, with microseconds. */
  readonly time: string | null
  readonly severity: string | null
  readonly server: string | null
  readonly role: string | null
  readonly database: string | null
  readonly user: string | null
  readonly application: string | null
  readonly pid: number | null
  readonly session: string | null
  readonly sqlstate: string | null
  readonly event: string | null
  readonly durationMs: number | null
  /** Cut after 2,000 characters in lists. */
  readonly message: string | null
  readonly detail: string | null
  readonly statement: string | null
  /** `ok`, `partial` or `rejected`. */
  readonly status: string
}

/** Records, newest first. Those without a time, such as rejected lines, come last, and only without a range of time. */
export interface RecordPage {
  readonly records: readonly RecordRow[]
  /** For the parameter `before` of the next, older page; undefined when there are no more. */
  readonly next: string | undefined
  /**
   * Older records have not been searched yet, because a reply takes a limited time: `next` goes on from here. A page may
   * be empty and still have a `next`. Undefined when the search is complete.
   */
  readonly searchedToMs: number | undefined
  readonly elapsedMs: number
}

export interface RecordDetails {
  /** Every column of the table by name, in its order; 64-bit integers and instants are text. */
  readonly columns: Readonly<Record<string, string | number | boolean | null>>
  readonly record: RecordRow
  /** The records of its session before and after it, oldest first; `around` of each, default 20, at most 200. */
  readonly before: readonly RecordRow[]
  readonly after: readonly RecordRow[]
  /** The command that lands the line again, or why there is none, behind `#`; data is never changed from here. */
  readonly replayCommand: string
}

/** Rejected and partial rows, newest first. */
export interface RejectList {
  readonly rejects: readonly RejectedRow[]
}

export interface RejectedRow extends RowPlace {
  readonly pipelines: readonly string[]
  readonly length: number
  readonly status: string
  readonly reason: string | null
  /** Cut after 10,000 characters. */
  readonly raw: string | null
  readonly replayCommand: string
}

/** What `tailrace verify --json` prints, and how long it took. */
export interface VerifyResult extends VerifyReport {
  readonly elapsedMs: number
}

/** The result of `verify` for one generation of a blob. */
export type BlobVerdict = VerifyReport['blobs'][number]

export interface SqlRequest {
  /** Chosen by the client: 1 to 64 letters, digits, `-` and `_`. */
  readonly id: string
  readonly sql: string
  /** Default and maximum: `limits.maxSqlRows` of About. */
  readonly maxRows?: number | undefined
}

export interface SqlResult {
  readonly id: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** Values by column: text, numbers, booleans, null, and nested values as JSON. */
  readonly rows: readonly (readonly unknown[])[]
  /** Whether there are more rows. */
  readonly isCut: boolean
  readonly elapsedMs: number
}
