import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { RecordPage, RecordRow } from '../../api.ts'
import { asRequestError, fetchApi, type RequestError } from '../state/request.ts'

const pageRecords = 200

interface RecordPages {
  readonly records: readonly RecordRow[]
  /** Whether older records remain. */
  readonly hasMore: boolean
  readonly isLoading: boolean
  /** Whether any page has come for this query. */
  readonly isReady: boolean
  readonly error: RequestError | undefined
  readonly elapsedMs: number | undefined
  /** Older records have not been searched yet; undefined: all of them, or as many as are shown. */
  readonly searchedToMs: number | undefined
  readonly loadMore: () => void
}

interface State {
  readonly query: string
  readonly round: number
  readonly records: readonly RecordRow[]
  readonly next: string | undefined
  readonly isLoading: boolean
  readonly isReady: boolean
  readonly error: RequestError | undefined
  readonly elapsedMs: number | undefined
  readonly searchedToMs: number | undefined
}

/**
 * The records of a query, newest first, page by page.
 *
 * @param round another number asks for the first page again
 */
export function useRecordPages(query: string, round: number): RecordPages {
  const [state, setState] = useState<State>({
    query,
    round,
    records: [],
    next: undefined,
    isLoading: true,
    isReady: false,
    error: undefined,
    elapsedMs: undefined,
    searchedToMs: undefined,
  })
  const ending = useRef<AbortController | undefined>(undefined)

  const load = useCallback(async (ofQuery: string, ofRound: number, before: string | undefined) => {
    ending.current?.abort()
    const own = new AbortController()
    ending.current = own
    setState((last) => ({ ...last, isLoading: true, error: undefined }))
    const parameters = new URLSearchParams(ofQuery)
    parameters.set('limit', String(pageRecords))
    if (before !== undefined) parameters.set('before', before)
    try {
      const response = await fetchApi(`records?${parameters}`, { signal: own.signal })
      const page = (await response.json()) as RecordPage
      if (own.signal.aborted) return
      setState((last) => ({
        query: ofQuery,
        round: ofRound,
        records: before === undefined ? page.records : [...last.records, ...page.records],
        next: page.next,
        isLoading: false,
        isReady: true,
        error: undefined,
        elapsedMs: before === undefined ? page.elapsedMs : last.elapsedMs,
        searchedToMs: page.searchedToMs,
      }))
    } catch (failure) {
      if (own.signal.aborted) return
      setState((last) => ({ ...last, isLoading: false, error: asRequestError(failure) }))
    }
  }, [])

  useEffect(() => {
    void load(query, round, undefined)
    return () => ending.current?.abort()
  }, [query, round, load])

  const { records, next, isLoading, isReady, error, elapsedMs, searchedToMs } = state
  const isCurrent = state.query === query && state.round === round
  const loadMore = useCallback(() => {
    if (isCurrent && !isLoading && next !== undefined) void load(query, round, next)
  }, [isCurrent, isLoading, next, query, round, load])
  return {
    records,
    hasMore: isCurrent && next !== undefined,
    isLoading,
    isReady,
    error,
    elapsedMs,
    searchedToMs,
    loadMore,
  }
}
