import type { Clock } from '../clock.ts'
import type { Logger } from '../reporting/logger.ts'
import type { TakeRows } from './encoding/row-stream.ts'

/** Limits of the engines of a session, so that its statements leave room for other work. */
export interface ReadingOptions {
  /** Statements that run at once; others wait. Each has an engine of its own. */
  readonly engines: number
  /** Threads of each engine. */
  readonly threads: number
  /** Memory limit of each engine. */
  readonly memoryMiB: number
  /** Statements that may wait; more are refused. */
  readonly maxWaiting: number
  readonly clock: Clock
  readonly logger: Logger
}

/** One statement of a session. It reads the newest versions of the tables. */
export interface ReadingStatement {
  readonly sql: string
  readonly take: TakeRows
  /** Restricts the relation that the views of a table's set read, such as `logs`. Default: all rows. */
  readonly within?: RowRange | undefined
  /** Interrupts the statement, or ends its wait. */
  readonly signal?: AbortSignal | undefined
}

/** Rows of some tables and a range of time. */
export interface RowRange {
  /** Names of pipelines. Default: all. */
  readonly pipelines?: readonly string[] | undefined
  /** A column of type timestamp. */
  readonly column: string
  /** Milliseconds since the epoch, inclusive. */
  readonly fromMs: number
  /** Exclusive. */
  readonly toMs: number
}

/** The data files of a statement: those of its tables, and those that it opened. */
export interface FilesRead {
  readonly files: number
  readonly readFiles: number
}

/** One data file of a table, by its statistics. */
export interface FileFacts {
  readonly bytes: number
  /** Live rows; undefined when the file has no statistics. */
  readonly rows: number | undefined
  /** Bounds of a column, in milliseconds since the epoch and both inclusive; undefined when they are not known. */
  readonly bounds: { readonly fromMs: number; readonly toMs: number } | undefined
}

/** Engines that stay open for many statements over the same tables. They read and change nothing. */
export interface ReadingSession {
  /**
   * Runs one statement that reads.
   *
   * @throws QUERY_FAILED, QUERY_REFUSED, QUERY_BUSY, TABLE_TOO_LARGE, TABLE_CORRUPT
   */
  run(statement: ReadingStatement): Promise<FilesRead>

  /**
   * Writes the rows of one SELECT to a Parquet file.
   *
   * @throws as `run`, and QUERY_REFUSED for a statement that is no SELECT
   */
  writeParquet(statement: Omit<ReadingStatement, 'take'>, path: string): Promise<void>

  /**
   * Lists the data files of a pipeline's table.
   *
   * @param column of type timestamp, for the bounds
   * @returns undefined when there is no table yet
   */
  files(pipeline: string, column: string): Promise<readonly FileFacts[] | undefined>

  /** Interrupts all statements and closes the engines. */
  close(): Promise<void>
}
