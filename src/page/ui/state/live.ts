import { useEffect } from 'preact/hooks'
import type { ApiFailure, LiveEvents, RecordRow } from '../../api.ts'
import type { OperateState } from '../../api-operate.ts'
import { fetchApi, returns } from './request.ts'
import { Store } from './store.ts'

/** How the page hears of the server: `lost` while it does not answer, and is asked again. */
type Connection = 'connecting' | 'open' | 'lost'

/** The rates of a pipeline at one instant, kept for its small chart. */
export interface RatePoint {
  readonly atMs: number
  readonly rowsPerSecond: number
}

export interface LiveState {
  readonly connection: Connection
  readonly operate: OperateState | undefined
  /** The latest rates by pipeline, oldest first. */
  readonly rates: ReadonlyMap<string, readonly RatePoint[]>
  /** How often the following of records has begun: once, and again with each new connection. */
  readonly begun: number
  /** Records that landed since the following began, newest first; the latest ones alone. */
  readonly records: readonly RecordRow[]
  /** How many records have landed since then. */
  readonly landed: number
  /** Whether there were more than were sent or are kept. */
  readonly isCut: boolean
  readonly trouble: ApiFailure['error'] | undefined
}

/** Five minutes at one snapshot a second. */
const maxRates = 300
const maxRecords = 2_000
const retryMs = 1_500

const state = new Store<LiveState>({
  connection: 'connecting',
  operate: undefined,
  rates: new Map(),
  begun: 0,
  records: [],
  landed: 0,
  isCut: false,
  trouble: undefined,
})
let source: EventSource | undefined
let timer: number | undefined

function set(changes: Partial<LiveState>): void {
  state.value = { ...state.value, ...changes }
}

function withRates(operate: OperateState): LiveState['rates'] {
  return new Map(
    operate.pipelines.map(({ name, live }) => {
      const point = { atMs: operate.atMs, rowsPerSecond: live?.rowsPerSecond ?? 0 }
      return [name, [...(state.value.rates.get(name) ?? []), point].slice(-maxRates)]
    }),
  )
}

function connect(query: string): void {
  const path = query === '' ? 'api/live' : `api/live?${query}`
  const opened = new EventSource(path)
  source = opened
  const on = <Name extends keyof LiveEvents>(name: Name, use: (data: LiveEvents[Name]) => void): void => {
    opened.addEventListener(name, ({ data }: MessageEvent<string>) => use(JSON.parse(data)))
  }
  let isFirst = true
  opened.addEventListener('open', () => {
    if (state.value.connection === 'lost') returns.value += 1
    set({ connection: 'open' })
    isFirst = true
  })
  on('operate', (operate) => set({ connection: 'open', operate, rates: withRates(operate) }))
  on('records', ({ records, isCut }) => {
    const { value } = state
    const all = [...records.toReversed(), ...value.records]
    set({
      begun: value.begun + (isFirst ? 1 : 0),
      records: all.slice(0, maxRecords),
      landed: value.landed + records.length,
      isCut: value.isCut || isCut || all.length > maxRecords,
      trouble: undefined,
    })
    isFirst = false
  })
  on('trouble', ({ error }) => set({ trouble: error }))
  opened.addEventListener('error', () => {
    set({ connection: 'lost' })
    // The browser connects again by itself, except after an answer that is no stream of events.
    if (opened.readyState !== EventSource.CLOSED) return
    timer = window.setTimeout(async () => {
      // The stream does not say why it ended; another request does, and asks for a missing token.
      await fetchApi('operate').catch(() => {})
      if (source === opened) connect(query)
    }, retryMs)
  })
}

function disconnect(): void {
  clearTimeout(timer)
  source?.close()
  source = undefined
}

/**
 * Keeps one stream of events open.
 *
 * @param query the parameters for new records; empty: only the state of the pipelines; undefined: no stream
 * @param round another number connects anew, such as after signing in
 */
export function useLiveConnection(query: string | undefined, round: number): void {
  // Another round connects again.
  useEffect(() => {
    set({ records: [], landed: 0, isCut: false, trouble: undefined })
    if (query === undefined) return
    connect(query)
    return disconnect
  }, [query, round])
}

export function useLive(): LiveState {
  return state.use()
}
