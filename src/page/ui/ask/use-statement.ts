import { useEffect, useRef, useState } from 'preact/hooks'
import type { SqlRequest, SqlResult } from '../../api.ts'
import { asRequestError, fetchApi, type RequestError } from '../state/request.ts'

interface StatementState {
  /** The statement that ran or runs. */
  readonly sql: string | undefined
  readonly result: SqlResult | undefined
  readonly error: RequestError | undefined
  /** When the running one began; undefined while none runs. */
  readonly startedMs: number | undefined
}

export interface Statement extends StatementState {
  readonly run: (sql: string) => void
  readonly cancel: () => void
}

/** Results that the back button brings back without another run. */
const maxKept = 8
const kept = new Map<string, SqlResult>()

/** Runs one statement at a time; running another one cancels the first. */
export function useStatement(shownSql: string): Statement {
  const [state, setState] = useState<StatementState>({
    sql: kept.has(shownSql) ? shownSql : undefined,
    result: kept.get(shownSql),
    error: undefined,
    startedMs: undefined,
  })
  const running = useRef<
    { readonly id: string; readonly sql: string; readonly ending: AbortController } | undefined
  >(undefined)

  // Another place of the history shows its own result, and ends a statement that nobody would see.
  useEffect(() => {
    if (running.current !== undefined && running.current.sql !== shownSql) {
      running.current.ending.abort()
      running.current = undefined
    }
    const result = kept.get(shownSql)
    const sql = result === undefined ? undefined : shownSql
    setState((last) =>
      last.sql === shownSql ? last : { sql, result, error: undefined, startedMs: undefined },
    )
  }, [shownSql])

  useEffect(() => () => running.current?.ending.abort(), [])

  const run = async (sql: string): Promise<void> => {
    running.current?.ending.abort()
    const id = crypto.getRandomValues(new Uint32Array(2)).join('-')
    const own = { id, sql, ending: new AbortController() }
    running.current = own
    setState(({ result }) => ({ sql, result, error: undefined, startedMs: Date.now() }))
    try {
      const response = await fetchApi('sql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ id: own.id, sql } satisfies SqlRequest),
        signal: own.ending.signal,
      })
      const result = (await response.json()) as SqlResult
      if (running.current !== own) return
      kept.delete(sql)
      kept.set(sql, result)
      const [oldest] = kept.keys()
      if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
      setState({ sql, result, error: undefined, startedMs: undefined })
    } catch (error) {
      if (running.current !== own) return
      setState({ sql, result: undefined, error: asRequestError(error), startedMs: undefined })
    } finally {
      if (running.current === own) running.current = undefined
    }
  }

  const cancel = (): void => {
    const own = running.current
    if (own === undefined) return
    // The statement then ends with an error that says so. Without an answer, closing its request ends it, too.
    fetchApi(`sql/${own.id}`, { method: 'DELETE' }).catch(() => own.ending.abort())
  }

  return { ...state, run: (sql) => void run(sql), cancel }
}
