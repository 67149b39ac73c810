import { Store } from './store.ts'
import { timeZone, utc, zoneOf } from './time-zone.ts'

export type Room = 'operate' | 'explore' | 'report' | 'ask'

export const rooms: readonly Room[] = ['operate', 'explore', 'report', 'ask']

/** What the page shows: all of it is in the URL's fragment, so that a link or the back button brings it back. */
export interface Address {
  readonly room: Room
  readonly parameters: URLSearchParams
}

/** Changes of parameters: a list becomes the parameter repeated; undefined or an empty list removes it. */
type ParameterChanges = Readonly<Record<string, string | number | readonly string[] | undefined>>

/** Parameters that mean the same in Explore and Report, and so go along from one to the other. */
const carried = ['last', 'fromMs', 'toMs', 'server', 'table']

const zoneParameter = 'tz'

export function readAddress(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const room = rooms.find((one) => one === path) ?? 'operate'
  const parameters = new URLSearchParams(query)
  parameters.delete(zoneParameter)
  return { room, parameters }
}

/** @returns the fragment of a place, with the time zone that the page shows */
export function hrefOf(room: Room, parameters: URLSearchParams): string {
  const all = new URLSearchParams(parameters)
  if (timeZone.value !== utc) all.set(zoneParameter, timeZone.value)
  const query = all.toString()
  return query === '' ? `#/${room}` : `#/${room}?${query}`
}

/** @returns a link to another room that keeps the servers and the range of time */
export function roomHref({ parameters }: Address, room: Room): string {
  const kept = new URLSearchParams()
  for (const name of carried) for (const value of parameters.getAll(name)) kept.append(name, value)
  return hrefOf(room, kept)
}

export function changed(parameters: URLSearchParams, changes: ParameterChanges): URLSearchParams {
  const result = new URLSearchParams(parameters)
  for (const [name, value] of Object.entries(changes)) {
    result.delete(name)
    if (value === undefined) continue
    for (const one of typeof value === 'object' ? value : [value]) result.append(name, String(one))
  }
  return result
}

function readZone(hash: string): string {
  return zoneOf(new URLSearchParams(hash.split('?', 2)[1] ?? '').get(zoneParameter))
}

const current = new Store(readAddress(location.hash))
timeZone.value = readZone(location.hash)

function update(): void {
  timeZone.value = readZone(location.hash)
  current.value = readAddress(location.hash)
}

addEventListener('popstate', update)
addEventListener('hashchange', update)

/**
 * Shows another place.
 *
 * @param how `replace` for what the back button should skip, such as each letter of a search
 */
export function visit(room: Room, parameters: URLSearchParams, how: 'push' | 'replace' = 'push'): void {
  const href = hrefOf(room, parameters)
  if (href === location.hash) return
  if (how === 'push') history.pushState(null, '', href)
  else history.replaceState(null, '', href)
  update()
}

/** Changes parameters of the current place. */
export function change(changes: ParameterChanges, how: 'push' | 'replace' = 'push'): void {
  const { room, parameters } = current.value
  visit(room, changed(parameters, changes), how)
}

/** Shows all instants in a zone: UTC, or an IANA name. */
export function chooseTimeZone(zone: string): void {
  const { room, parameters } = current.value
  timeZone.value = zone
  visit(room, parameters, 'replace')
}

export function useAddress(): Address {
  return current.use()
}
