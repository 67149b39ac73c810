import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { RecordPage, RecordRow } from '../../api.ts'
import { asRequestError, fetchApi, type RequestError, useRetry } from '../state/request.ts'

const pageRecords = 200

/** A search that does not fill a page goes on by itself for so long; then the reader decides, as for the histogram. */
const maxSearchingMs = 20_000

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
  /** Requests the page that failed once more. The list keeps the pages that it has. */
  readonly retry: () => void
  /** Goes on with a search that has paused; undefined while it has not. */
  readonly goOn: (() => void) | undefined
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
  /** Since the last full page, or the reader's decision to go on. */
  readonly searchingMs: number
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
    searchingMs: 0,
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
        searchingMs:
          page.records.length >= pageRecords
            ? 0
            : (before === undefined ? 0 : last.searchingMs) + page.elapsedMs,
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

  const { records, next, isLoading, isReady, error, elapsedMs, searchedToMs, searchingMs } = state
  const isCurrent = state.query === query && state.round === round
  const isPaused = isCurrent && next !== undefined && !isLoading && searchingMs >= maxSearchingMs
  const loadMore = useCallback(() => {
    // After a failure, the reader or the server's return decides: asking at once would fail without a pause.
    const mayAsk = isCurrent && !isLoading && !isPaused && error === undefined
    if (mayAsk && next !== undefined) void load(query, round, next)
  }, [isCurrent, isLoading, isPaused, error, next, query, round, load])
  const retry = (): void => void load(query, round, isCurrent ? next : undefined)
  useRetry(error, retry)
  const goOn = useCallback(() => {
    setState((last) => ({ ...last, searchingMs: 0 }))
    void load(query, round, next)
  }, [next, query, round, load])
  return {
    records,
    hasMore: isCurrent && next !== undefined,
    isLoading,
    isReady,
    error,
    elapsedMs,
    searchedToMs,
    loadMore,
    retry,
    goOn: isPaused ? goOn : undefined,
  }
}
