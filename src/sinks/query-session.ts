import type { Clock } from '../clock.ts'
import type { Logger } from '../reporting/logger.ts'
import type { TakeRows } from './encoding/row-stream.ts'

/** What all statements of a session share. */
export interface SessionOptions {
  /** Allows any statements, with the rights of this process. Default false: each is one statement that reads. */
  readonly unsafe?: boolean | undefined
  /** Default: the newest versions. */
  readonly moment?: TableMoment | undefined
  /** Statements that run at once; others wait. Each has an engine of its own. Default 1. */
  readonly engines?: number | undefined
  /** Threads of each engine. Default 2. */
  readonly threads?: number | undefined
  /** Memory limit of each engine. Default 1,024. */
  readonly memoryMiB?: number | undefined
  /** Limit of what each engine writes to disk beyond its memory; never more than half of the free space. Default 16,384. */
  readonly maxSpillMiB?: number | undefined
  /** Statements that may wait; more are refused. Default 32. */
  readonly maxWaiting?: number | undefined
  /** For so many milliseconds, statements read the version that was found last. Default 0: each looks for a newer one. */
  readonly freshMs?: number | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** One statement of a session. */
export interface SessionStatement {
  readonly sql: string
  readonly take: TakeRows
  /** Restricts the relation that the views of a table's set read, such as `logs`. Default: all rows. */
  readonly within?: RowRange | undefined
  /** Reads these data files alone, and none of other tables; those that the newest version no longer has are left out. */
  readonly only?: FileSelection | undefined
  /** Interrupts the statement, or ends its wait. */
  readonly signal?: AbortSignal | undefined
}

/** A statement whose rows are written to a file. */
export interface WrittenStatement extends Pick<SessionStatement, 'sql' | 'signal'> {
  /** Ends the statement when its file is larger. Default: no limit. */
  readonly maxBytes?: number | undefined
}

/** Some data files of one table. */
export interface FileSelection {
  readonly pipeline: string
  /** Ids of FileFacts. */
  readonly files: readonly string[]
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
  /** Of its path and its deleted rows: whatever has been computed of the rows of an id holds for ever. */
  readonly id: string
  readonly bytes: number
  /** Live rows; undefined when the file has no statistics. */
  readonly rows: number | undefined
  /** Bounds of a column, in milliseconds since the epoch and both inclusive; undefined when they are not known. */
  readonly bounds: { readonly fromMs: number; readonly toMs: number } | undefined
  /** Whether every row is known to have a value of the column. */
  readonly noneNull: boolean
}

/** The version of a table to read; the newest when neither option is set. */
export interface TableMoment {
  readonly version?: number | undefined
  /** Milliseconds since the epoch: reads the version that was the newest at that time. */
  readonly timestampMs?: number | undefined
}

/** Engines that stay open for many statements over the same tables. Nothing is read before the first statement. */
export interface QuerySession {
  /**
   * Runs one statement over the versions that are the newest when it begins, unless the session has a moment.
   *
   * @throws QUERY_FAILED, QUERY_REFUSED, QUERY_BUSY, TABLE_TOO_LARGE, TABLE_CORRUPT
   */
  run(statement: SessionStatement): Promise<FilesRead>

  /**
   * Writes the rows of one SELECT to a Parquet file.
   *
   * @throws as `run`, QUERY_REFUSED for a statement that is no SELECT, and QUERY_FAILED for a larger file than allowed
   */
  writeParquet(statement: WrittenStatement, path: string): Promise<void>

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
