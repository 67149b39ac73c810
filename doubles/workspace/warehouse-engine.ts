/** A parameter as the driver sends it: every value travels as text. */
export interface StatementParameter {
  /** Absent for a positional parameter. */
  readonly name?: string
  /** The SQL type by Databricks' name, such as `STRING` or `BIGINT`. */
  readonly type: string
  readonly value: string | null
}

export type ColumnType =
  | 'BOOLEAN'
  | 'INT'
  | 'BIGINT'
  | 'DOUBLE'
  | 'STRING'
  | 'BINARY'
  | 'TIMESTAMP'
  | 'DATE'
  | 'DECIMAL'

/** A value as the wire carries it: instants, dates and decimals are text. */
export type Value = boolean | number | bigint | string | null

export interface StatementRows {
  readonly kind: 'rows'
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[]
  readonly rows: readonly (readonly Value[])[]
}

/** An action of the client instead of the warehouse: moving a file between its disk and a volume. */
export interface StagingRequest {
  readonly kind: 'staging'
  readonly operation: 'PUT' | 'REMOVE'
  /** The path on the client's disk, as the statement has it; absent for `REMOVE`. */
  readonly localFile?: string
  /** The file's path in the volume, such as `/Volumes/catalog/schema/volume/folder/name`. */
  readonly volumePath: string
}

export type StatementResult = StatementRows | StagingRequest

/** A statement that the warehouse refuses or fails, in Databricks' terms. */
export class SqlFailure extends Error {
  override readonly name = 'SqlFailure'
  /** Such as `TABLE_OR_VIEW_NOT_FOUND`. */
  readonly errorClass: string
  /** Five characters, such as `42P01`. */
  readonly sqlState: string

  constructor(errorClass: string, sqlState: string, message: string) {
    super(`[${errorClass}] ${message} SQLSTATE: ${sqlState}`)
    this.errorClass = errorClass
    this.sqlState = sqlState
  }
}

export interface StatementContext {
  readonly parameters: readonly StatementParameter[]
  /** What unqualified names belong to. */
  readonly catalog: string | undefined
  readonly schema: string | undefined
  /** Aborted when the statement is canceled or its operation is closed before its end. */
  readonly signal: AbortSignal
}

/** What executes the statements of the test warehouse. */
export interface WarehouseEngine {
  /** @throws SqlFailure */
  execute(statement: string, context: StatementContext): Promise<StatementResult>
}

/** The files of Unity Catalog volumes, by paths such as `/Volumes/catalog/schema/volume/folder/name`. */
export interface VolumeFiles {
  /** Makes a whole file visible at once. */
  write(volumePath: string, content: Buffer): Promise<void>
  /** @returns undefined when there is no such file */
  read(volumePath: string): Promise<Buffer | undefined>
  /** @returns whether there was such a file */
  remove(volumePath: string): Promise<boolean>
  /** The files below a folder, at any depth. */
  list(
    folder: string,
  ): Promise<readonly { readonly path: string; readonly bytes: number; readonly modifiedAtMs: number }[]>
}
