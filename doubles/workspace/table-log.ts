import { randomUUID } from 'node:crypto'
import { type TableParts, tableKey } from './sql-catalog.ts'

/** One version of a table. */
export interface TableCommit {
  readonly version: number
  /** As `DESCRIBE HISTORY` has it, such as `COPY INTO`. */
  readonly operation: string
  readonly userName: string
  readonly timestampMs: number
  /** Whether it added rows without reading any. */
  readonly isBlindAppend: boolean
  /** Whether rows were updated or deleted. */
  readonly hasChangedRows: boolean
  /** Rows that it added, stored or only counted. */
  readonly addedRows: number
}

/** The name under which the workspace's clients work. */
export const principal = 'tailrace-service-principal'

/** The id and the versions of one table, from its creation on. */
export class TableLog {
  readonly id = randomUUID()
  readonly #commits: TableCommit[] = []

  get commits(): readonly TableCommit[] {
    return this.#commits
  }

  /** Rows that all versions have added. */
  get addedRows(): number {
    return this.#commits.reduce((sum, { addedRows }) => sum + addedRows, 0)
  }

  /** The newest version. */
  get version(): number {
    return this.#commits.length - 1
  }

  add({
    operation,
    userName = principal,
    isBlindAppend = false,
    hasChangedRows = false,
    counts = {},
  }: Pick<TableCommit, 'operation'> &
    Partial<Pick<TableCommit, 'userName' | 'isBlindAppend' | 'hasChangedRows'>> & {
      /** The columns of the statement's result. */
      readonly counts?: Readonly<Record<string, number>>
    }): void {
    this.#commits.push({
      version: this.#commits.length,
      operation,
      userName,
      timestampMs: Date.now(),
      isBlindAppend,
      hasChangedRows,
      addedRows: counts.num_inserted_rows ?? 0,
    })
  }

  /** The versions after one. */
  since(version: number): readonly TableCommit[] {
    return this.#commits.slice(version + 1)
  }
}

/** The logs of all tables; a table that is dropped loses its own. */
export class TableLogs {
  readonly #logs = new Map<string, TableLog>()

  of(name: TableParts): TableLog {
    const key = tableKey(name)
    const log = this.#logs.get(key) ?? new TableLog()
    this.#logs.set(key, log)
    return log
  }

  forget(name: TableParts): void {
    this.#logs.delete(tableKey(name))
  }
}
