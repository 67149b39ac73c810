/**
 * Names of blobs that wait for a lane, oldest first: in a layout by date, the order of names is the order of age.
 *
 * Servers take turns, and each has its share of the places, so that one with a long history does not hold up the others.
 */
export class Backlog {
  #maxNames: number
  #serverOf: (name: string) => string
  /** The names of each server in order; the server whose turn is next stands first. */
  #servers = new Map<string, string[]>()
  #count = 0

  /** @param serverOf the server of a blob; every blob of a source without servers has the same one */
  constructor(maxNames: number, serverOf: (name: string) => string) {
    this.#maxNames = maxNames
    this.#serverOf = serverOf
  }

  get count(): number {
    return this.#count
  }

  add(name: string): void {
    const server = this.#serverOf(name)
    const names = this.#servers.get(server) ?? []
    names.splice(indexOf(names, name), 0, name)
    this.#servers.set(server, names)
    this.#count += 1
  }

  remove(name: string): void {
    const server = this.#serverOf(name)
    const names = this.#servers.get(server)
    const index = names === undefined ? -1 : indexOf(names, name)
    if (names?.[index] !== name) return
    names.splice(index, 1)
    this.#count -= 1
    if (names.length === 0) this.#servers.delete(server)
  }

  /** The oldest name of the server whose turn it is. It stays until it is removed. */
  next(): string | undefined {
    for (const [server, names] of this.#servers) {
      this.#servers.delete(server)
      this.#servers.set(server, names)
      return names[0]
    }
    return undefined
  }

  /**
   * Whether a new name has a place.
   *
   * @returns `free`; `none`; or the name that has to give way to it
   */
  placeFor(name: string): 'free' | 'none' | { readonly of: string } {
    if (this.#count < this.#maxNames) return 'free'
    const own = this.#servers.get(this.#serverOf(name)) ?? []
    const servers = this.#servers.size + (own.length === 0 ? 1 : 0)
    const isOverShare = own.length > 0 && own.length >= Math.floor(this.#maxNames / servers)
    const last = (isOverShare ? own : this.#longest()).at(-1)
    return last === undefined || (isOverShare && name > last) ? 'none' : { of: last }
  }

  #longest(): readonly string[] {
    let longest: readonly string[] = []
    for (const names of this.#servers.values()) if (names.length > longest.length) longest = names
    return longest
  }
}

/** The index of a name among sorted ones, or the index at which to insert it. */
function indexOf(names: readonly string[], name: string): number {
  let low = 0
  for (let high = names.length; low < high; ) {
    const middle = (low + high) >>> 1
    if ((names[middle] as string) < name) low = middle + 1
    else high = middle
  }
  return low
}
