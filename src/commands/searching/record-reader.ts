import type { Statements } from '../../run/inspection/statements.ts'
import type { SinkQuery, SinkTarget } from '../../sinks/sink.ts'
import { type FoundRecord, foundRecord } from './found-record.ts'
import type { SearchedTable } from './search-sql.ts'

/** Reads the records of one table by the engine that has it. */
export class RecordReader implements SearchedTable {
  readonly relation: string
  readonly dialect: SinkQuery['dialect']
  readonly #session: Statements

  constructor(session: Statements, ability: SinkQuery, target: SinkTarget) {
    this.relation = ability.relationOf(target)
    this.dialect = ability.dialect
    this.#session = session
  }

  async read(sql: string, signal?: AbortSignal): Promise<FoundRecord[]> {
    return (await this.rows(sql, signal)).map(foundRecord)
  }

  async each(sql: string, use: (record: FoundRecord) => void, signal?: AbortSignal): Promise<void> {
    await this.#eachRow(sql, (row) => use(foundRecord(row)), signal)
  }

  async rows(sql: string, signal?: AbortSignal): Promise<(readonly unknown[])[]> {
    const all: (readonly unknown[])[] = []
    await this.#eachRow(sql, (row) => all.push(row), signal)
    return all
  }

  async #eachRow(sql: string, use: (row: readonly unknown[]) => void, signal?: AbortSignal): Promise<void> {
    await this.#session.run({
      sql,
      take: async ({ rows }) => {
        for (const row of rows) use(row)
        return signal?.aborted !== true
      },
      signal,
    })
  }
}
