import type { Clock } from '../../clock.ts'
import type { SqlRequest, SqlResult } from '../api.ts'
import { RequestFailure, requestFailureOf } from '../http/failures.ts'
import { badRequest } from '../http/parameters.ts'
import { limited } from '../limited.ts'
import type { PageStatements } from './page-statements.ts'

/** Limits of the statements of a person. */
export const sqlLimits = { maxSqlRows: 5_000, maxSqlCharacters: 50_000 } as const

/** JSON of a result, without which a page could not show it. */
const maxResultBytes = 16 * 1024 * 1024

/** The statements of persons that run now, by their ids. */
export class StatementRuns {
  readonly #statements: Pick<PageStatements, 'run' | 'limit'>
  readonly #clock: Clock
  readonly #running = new Map<string, AbortController>()

  constructor(statements: Pick<PageStatements, 'run' | 'limit'>, clock: Clock) {
    this.#statements = statements
    this.#clock = clock
  }

  /**
   * Runs a statement up to the limit of rows, bytes and time.
   *
   * @throws RequestFailure BAD_REQUEST, TIMED_OUT, CANCELED; and as `QuerySession.run`
   */
  async run(
    { id, sql, maxRows = sqlLimits.maxSqlRows }: SqlRequest,
    signals: readonly AbortSignal[],
  ): Promise<SqlResult> {
    const begunAtMs = this.#clock.now()
    let columns: SqlResult['columns'] = []
    const rows: (readonly unknown[])[] = []
    let bytes = 0
    let isCut = false
    await this.#canceling(id, signals, (ending) =>
      this.#statements.run({
        sql,
        take: async (batch) => {
          if (columns.length === 0)
            columns = batch.columns.map((name, index) => ({ name, type: batch.types?.[index] ?? '' }))
          for (const row of batch.rows) {
            bytes += JSON.stringify(row).length
            isCut = rows.length >= maxRows || bytes > maxResultBytes
            if (isCut) return false
            rows.push(row)
          }
          return true
        },
        signal: ending,
      }),
    )
    return { id, columns, rows, isCut, elapsedMs: this.#clock.now() - begunAtMs }
  }

  /** @returns whether a statement of that id ran */
  cancel(id: string): boolean {
    const running = this.#running.get(id)
    running?.abort(new RequestFailure('CANCELED', 'The statement was canceled.'))
    return running !== undefined
  }

  async #canceling<Result>(
    id: string,
    signals: readonly AbortSignal[],
    work: (ending: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    if (this.#running.has(id)) throw badRequest('id', 'that of a running statement', 'a new one')
    const canceling = new AbortController()
    this.#running.set(id, canceling)
    const { maxMs, remedy } = this.#statements.limit
    try {
      return await limited(this.#clock, maxMs, [...signals, canceling.signal], work)
    } catch (error) {
      if (requestFailureOf(error)?.code !== 'TIMED_OUT') throw error
      throw new RequestFailure('TIMED_OUT', `The statement was ended after ${maxMs / 1_000} s.`, remedy)
    } finally {
      this.#running.delete(id)
    }
  }
}

/** @throws RequestFailure BAD_REQUEST */
export function parseSqlRequest(body: unknown): SqlRequest {
  const { id, sql, maxRows } = (body ?? {}) as Readonly<Record<string, unknown>>
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id))
    throw badRequest('id', JSON.stringify(id) ?? 'nothing', '1 to 64 letters, digits, "-" and "_"')
  const isRows =
    Number.isSafeInteger(maxRows) && Number(maxRows) >= 1 && Number(maxRows) <= sqlLimits.maxSqlRows
  if (maxRows !== undefined && !isRows)
    throw badRequest('maxRows', JSON.stringify(maxRows), `1 to ${sqlLimits.maxSqlRows}`)
  return { id, sql: requireSql(sql), maxRows: maxRows as number | undefined }
}

/** @throws RequestFailure BAD_REQUEST */
export function requireSql(sql: unknown): string {
  if (typeof sql !== 'string' || sql.trim() === '') throw badRequest('sql', 'no statement', 'one')
  const { maxSqlCharacters } = sqlLimits
  if (sql.length > maxSqlCharacters)
    throw badRequest('sql', `${sql.length} characters`, `at most ${maxSqlCharacters}`)
  return sql
}
