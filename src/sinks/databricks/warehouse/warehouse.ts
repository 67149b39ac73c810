import type { TakeRows } from '../../encoding/row-stream.ts'

/** A value that is sent as a parameter, apart from the statement's text. */
export type ParameterValue = string | number | bigint | boolean | null

/** One SQL statement. */
export interface Statement {
  /** Its purpose in a few words, for logs: the text may hold file names. */
  readonly label: string
  readonly sql: string
  /** Values of `:name` in the text. */
  readonly parameters?: Readonly<Record<string, ParameterValue>> | undefined
  /**
   * Whether executing it twice does no harm. Such a statement is retried after any transient failure; any other only when
   * it is certain that it was not executed.
   */
  readonly repeatable: boolean
  /** A directory whose files the statement may upload. Default: uploads are not allowed. */
  readonly uploadsFrom?: string | undefined
  /** Whether the statement is a REMOVE, which, like an upload, the client executes. Default false. */
  readonly removesFile?: boolean | undefined
  /** The batch's id, for the statement's query tags. */
  readonly batch?: string | undefined
  /**
   * The last instant at which it may be sent, in milliseconds since the epoch: later it fails with WAREHOUSE_UNAVAILABLE,
   * without having been executed. Default: never.
   */
  readonly sendBeforeMs?: number | undefined
  /** Makes each attempt to execute it, between statements of other sessions that it would conflict with. Default: at once. */
  readonly inTurn?: ((attempt: () => Promise<void>) => Promise<void>) | undefined
}

/** A row by column name. 64-bit integers are `bigint`. */
export type StatementRow = Readonly<Record<string, unknown>>

/** A SQL warehouse of a Databricks workspace. */
export interface Warehouse {
  /** Host and path, for logs. */
  readonly location: string

  /**
   * Executes a statement to its end and returns its rows. Replaces a lost session, waits for the warehouse to start, and
   * retries after transient failures as `Statement.repeatable` allows.
   *
   * @throws STATEMENT_FAILED when the warehouse refuses or fails the statement
   * @throws WAREHOUSE_DENIED when the credential is refused or lacks a permission
   * @throws WAREHOUSE_UNAVAILABLE when the attempts are used up, or when a statement that must not be repeated may have
   * been executed: `context.executed` is then `unknown`, or `yes` when only its rows were lost
   */
  execute(statement: Statement): Promise<readonly StatementRow[]>

  /** Ends the session and all waiting statements. */
  close(): Promise<void>
}

/** A warehouse whose results need not fit into memory. */
export interface StreamingWarehouse extends Warehouse {
  /**
   * Executes a statement and passes its rows to `take` in parts. A part is fetched after the previous one was taken.
   *
   * @param statement not repeatable, because its first rows may have been taken when it fails
   * @throws as `execute`
   */
  stream(statement: Statement, take: TakeRows): Promise<void>
}
