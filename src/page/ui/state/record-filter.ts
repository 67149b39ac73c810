import type { RecordFilter, RecordRow, RowPlace } from '../../api.ts'

/** The lists of a filter, in the order in which they are shown. */
export const filterLists = [
  'server',
  'severity',
  'event',
  'database',
  'user',
  'sqlstate',
  'session',
  'table',
] as const

export type FilterList = (typeof filterLists)[number]

/** Lengths of time that end now, by their name in the URL. */
export const lengthsMs: ReadonlyMap<string, number> = new Map([
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['6h', 21_600_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
  ['30d', 2_592_000_000],
])

/** The range of time of a place; undefined ends are open. */
export interface TimeRange {
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
}

/** @param nowMs where the last hours end */
export function timeRangeOf(parameters: URLSearchParams, nowMs: number): TimeRange {
  const lengthMs = lengthsMs.get(parameters.get('last') ?? '')
  if (lengthMs !== undefined) return { fromMs: nowMs - lengthMs, toMs: nowMs }
  return { fromMs: instantOf(parameters.get('fromMs')), toMs: instantOf(parameters.get('toMs')) }
}

function instantOf(text: string | null): number | undefined {
  const value = Number(text)
  return text === null || text === '' || !Number.isSafeInteger(value) ? undefined : value
}

/** @returns the parameters of the API that select the records of a place */
export function filterParameters(parameters: URLSearchParams, range: TimeRange): URLSearchParams {
  const query = new URLSearchParams()
  if (range.fromMs !== undefined) query.set('fromMs', String(range.fromMs))
  if (range.toMs !== undefined) query.set('toMs', String(range.toMs))
  for (const name of filterLists) for (const value of parameters.getAll(name)) query.append(name, value)
  const q = parameters.get('q')?.trim()
  if (q !== undefined && q !== '') query.set('q', q)
  return query
}

/** @returns the parameters of Explore for the records behind a row */
export function exploreParameters(filter: RecordFilter, range: TimeRange): URLSearchParams {
  const query = new URLSearchParams()
  const fromMs = filter.fromMs ?? range.fromMs
  const toMs = filter.toMs ?? range.toMs
  if (fromMs !== undefined) query.set('fromMs', String(Math.floor(fromMs)))
  if (toMs !== undefined) query.set('toMs', String(Math.ceil(toMs)))
  for (const name of filterLists) for (const value of filter[name] ?? []) query.append(name, value)
  if (filter.q !== undefined) query.set('q', filter.q)
  return query
}

/** Identifies a record among all, also in a URL. */
export function placeText({ table, blob, generation, offset, index }: RowPlace): string {
  return [table, blob, generation, offset, index].join('~')
}

/** @returns undefined for a text that is no place */
export function placeOf(text: string | null): RowPlace | undefined {
  // Only the name of a blob can hold the separator.
  const parts = (text ?? '').split('~')
  if (parts.length < 5) return undefined
  const [table, ...rest] = parts as [string, ...string[]]
  const index = Number(rest.pop())
  const offset = Number(rest.pop())
  const generation = rest.pop() as string
  return Number.isSafeInteger(offset) && Number.isSafeInteger(index)
    ? { table, blob: rest.join('~'), generation, offset, index }
    : undefined
}

export function placeParameters(place: RowPlace): URLSearchParams {
  const { table, blob, generation, offset, index } = place
  return new URLSearchParams({ table, blob, generation, offset: String(offset), index: String(index) })
}

/** @returns a name of the server a record comes from */
export function serverOf({ server, role }: Pick<RecordRow, 'server' | 'role'>): string {
  return server ?? role ?? ''
}
