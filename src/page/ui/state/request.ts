import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { ApiFailure } from '../../api.ts'
import { Store } from './store.ts'

/** A request that failed, with what to do about it. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly code: string
  readonly hint: string

  constructor({ code, message, hint }: ApiFailure['error']) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

const unreachable = {
  code: 'UNREACHABLE',
  message: 'Tailrace does not answer.',
  hint: 'Check that its process runs. The page goes on by itself when it is back.',
}

/** How often the server has answered again after a pause. */
export const returns = new Store(0)

let onUnauthorized: () => void = () => {}

/** Sets what happens when the server wants a token. */
export function whenUnauthorized(action: () => void): void {
  onUnauthorized = action
}

/** @throws RequestError; AbortError when `signal` is aborted */
export async function fetchApi(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response
  try {
    response = await fetch(`api/${path}`, init)
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new RequestError(unreachable)
  }
  if (response.ok) return response
  if (response.status === 401) onUnauthorized()
  throw new RequestError(await failureOf(response))
}

async function failureOf(response: Response): Promise<ApiFailure['error']> {
  try {
    return ((await response.json()) as ApiFailure).error
  } catch {
    return {
      code: `HTTP ${response.status}`,
      message: 'The answer is not one of Tailrace.',
      hint: unreachable.hint,
    }
  }
}

export interface Requested<Data> {
  /** The last answer; while another one is awaited, the former one, so that nothing jumps. */
  readonly data: Data | undefined
  readonly error: RequestError | undefined
  readonly isLoading: boolean
  /** The path whose request ended last, with `data` or with `error`. */
  readonly settledPath: string | undefined
  readonly reload: () => void
}

/**
 * Requests JSON, again whenever the path changes; the request before is aborted then.
 *
 * @param path below `api/`; undefined: nothing is requested, and the last answer stays
 */
export function useRequest<Data>(path: string | undefined): Requested<Data> {
  const [state, setState] = useState<Omit<Requested<Data>, 'reload'>>({
    data: undefined,
    error: undefined,
    isLoading: path !== undefined,
    settledPath: undefined,
  })
  const [round, setRound] = useState(0)
  // Another round is the same request again.
  useEffect(() => {
    if (path === undefined) {
      // A request that was awaited has been aborted.
      setState((last) => (last.isLoading ? { ...last, isLoading: false } : last))
      return
    }
    const ending = new AbortController()
    setState((last) => ({ ...last, isLoading: true }))
    fetchApi(path, { signal: ending.signal })
      .then((response) => response.json() as Promise<Data>)
      .then((data) => {
        if (!ending.signal.aborted) setState({ data, error: undefined, isLoading: false, settledPath: path })
      })
      .catch((error: unknown) => {
        if (ending.signal.aborted) return
        setState(({ data }) => ({ data, error: asRequestError(error), isLoading: false, settledPath: path }))
      })
    return () => ending.abort()
  }, [path, round])
  const reload = useCallback(() => setRound((one) => one + 1), [])
  useRetry(state.error, reload)
  return { ...state, reload }
}

/** A hook: repeats a request that found no server once the server is back. */
export function useRetry(error: RequestError | undefined, retry: () => void): void {
  const count = returns.use()
  const last = useRef(count)
  useEffect(() => {
    if (last.current !== count && error?.code === unreachable.code) retry()
    last.current = count
  }, [count])
}

export function asRequestError(error: unknown): RequestError {
  return error instanceof RequestError ? error : new RequestError({ ...unreachable, message: String(error) })
}

/** @returns the path of a request with parameters; undefined and empty ones are left out */
export function pathOf(path: string, parameters: URLSearchParams): string {
  const query = parameters.toString()
  return query === '' ? path : `${path}?${query}`
}
