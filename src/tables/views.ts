/** A SQL dialect that views run on: DuckDB is the embedded engine; Spark's is also that of Databricks. */
export type ViewDialect = 'duckdb' | 'spark'

/** A function that views call, because its SQL differs between the dialects. It returns a string. */
export interface ViewFunction {
  readonly name: string
  /** Type of its parameter in Spark. Default STRING. */
  readonly parameter?: 'STRING' | 'ARRAY<STRING>' | undefined
  /** A description in one sentence. */
  readonly comment: string
  /** The expression of its result, from the parameter `s`. */
  readonly body: Readonly<Record<ViewDialect, string>>
}

export interface TableView {
  readonly name: string
  /** A description in one sentence. */
  readonly comment: string
  /** A SELECT that all dialects understand. It reads the relation of its set, and views before it in the set. */
  readonly sql: string
}

/**
 * Another SQL of a view, with the same rows where no row of the relation meets a condition. A statement over a range of
 * time finds that out first, because a join takes memory even where it has no rows.
 */
export interface SimplerView {
  readonly view: string
  readonly unless: string
  sql(): string
}

/** Views over the rows of all tables that have one declaration's columns. */
export interface ViewSet {
  /** Name of the relation that the views read: the rows of the tables together. */
  readonly relation: string
  readonly functions: readonly ViewFunction[]
  /**
   * SQL condition of rows of the relation that have no time of their own, and belong to the row before them in their
   * blob: a statement over a range of time reads those of rows in the range, too. Default: none.
   */
  readonly undated?: string | undefined
  /** A view that needs less where the relation lacks some rows. Default: none. */
  readonly simpler?: SimplerView | undefined
  /** @returns the views, in an order in which they can be created */
  views(): readonly TableView[]
}
