import { randomUUID } from 'node:crypto'
import type { StatementOperation } from './statement-operation.ts'

/** A client's session: what its statements have in common, and those that are open. */
export class WarehouseSession {
  readonly id = randomUUID()
  readonly catalog: string | undefined
  readonly schema: string | undefined
  readonly configuration: Readonly<Record<string, string>>
  readonly operations = new Map<string, StatementOperation>()

  constructor(
    catalog: string | undefined,
    schema: string | undefined,
    configuration: Readonly<Record<string, string>>,
  ) {
    this.catalog = catalog
    this.schema = schema
    this.configuration = configuration
  }

  /** Whole seconds; Databricks takes 0 as none. */
  get statementTimeoutSeconds(): number | undefined {
    return Number(this.#setting('STATEMENT_TIMEOUT') ?? 0) || undefined
  }

  get queryTags(): string | undefined {
    return this.#setting('QUERY_TAGS')
  }

  /** Ends the session and with it all of its statements. */
  end(): void {
    for (const operation of this.operations.values()) operation.stop('CLOSED')
    this.operations.clear()
  }

  #setting(name: string): string | undefined {
    return Object.entries(this.configuration).find(([key]) => key.toUpperCase() === name)?.[1]
  }
}
