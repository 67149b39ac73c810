import type { TakeRows } from '../../../reporting/row-batch.ts'

/** A value that travels as a parameter, beside the statement's text and never inside it. */
export type ParameterValue = string | number | bigint | boolean | null

/** One SQL statement. */
export interface Statement {
  /** What it is for, in a few words: logs name it instead of the text, which may hold names of files. */
  readonly label: string
  readonly sql: string
  /** Values of `:name` in the text. */
  readonly parameters?: Readonly<Record<string, ParameterValue>>
  /**
   * Whether a second execution does no harm. Such a statement is sent again after any fault; another one only when the
   * first sending is known not to have been executed.
   */
  readonly repeatable: boolean
  /** A directory whose files the statement may upload. Default none. */
  readonly uploadsFrom?: string
  /** Whether the statement removes a file of a volume: like an upload, that is the client's to do. Default no. */
  readonly removesFile?: boolean
  /** What the statement's query tags name beside the pipeline. */
  readonly batch?: string
}

/** A row by column name. 64-bit integers are `bigint`. */
export type StatementRow = Readonly<Record<string, unknown>>

/** Where statements are executed. */
export interface Warehouse {
  /** Host and path, for logs. */
  readonly location: string

  /**
   * Executes a statement to its end and returns its rows. A lost session is replaced, a warehouse that starts is waited
   * for, and transient faults are waited out as `Statement.repeatable` allows.
   *
   * @throws STATEMENT_FAILED when the warehouse refuses or fails the statement
   * @throws WAREHOUSE_DENIED when the credential is refused or lacks a right
   * @throws WAREHOUSE_UNAVAILABLE when the attempts are used up, or when a statement that must not be repeated may have
   * been executed: `context.executed` is then `unknown`, or `yes` when only its rows were lost
   */
  execute(statement: Statement): Promise<readonly StatementRow[]>

  /** Ends the session; what still waits is given up. */
  close(): Promise<void>
}

/** A warehouse whose results need not fit into memory. */
export interface StreamingWarehouse extends Warehouse {
  /**
   * Executes a statement and hands its rows on in parts. The next part is fetched when the one before is taken.
   *
   * @param statement not repeatable: its first rows may be taken when it fails
   * @throws as `execute`
   */
  stream(statement: Statement, take: TakeRows): Promise<void>
}
