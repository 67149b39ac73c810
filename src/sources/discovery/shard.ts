import { createHash } from 'node:crypto'

/** One of several processes that divide the blobs of the same sources among themselves. */
export interface Shard {
  /** From 0 to `count` - 1. */
  readonly index: number
  /** How many processes there are. */
  readonly count: number
}

/** Where a pod finds its own number. */
export interface PodPlace {
  /** `JOB_COMPLETION_INDEX`, which Kubernetes sets in the pods of an Indexed Job. */
  readonly completionIndex: string | undefined
  /** A pod of a StatefulSet is named after its ordinal: `tailrace-2`. */
  readonly hostName: string
}

/** Processes, at most: each reads the commits of all others. */
const maxShards = 100

/** @returns `auto/n` with the pod's number for `auto`; any other text, and `auto/n` outside of such a pod, as it is */
export function placeShard(text: string, { completionIndex, hostName }: PodPlace): string {
  const ordinal = completionIndex ?? /-(\d{1,3})(?:\.|$)/.exec(hostName)?.[1]
  return ordinal === undefined ? text : text.replace(/^auto(?=\/)/, ordinal)
}

/**
 * Reads `i/n`: the shard with index i of n, counted from 0.
 *
 * @returns the shard, or what was expected, as the end of a sentence
 */
export function parseShard(text: string): Shard | string {
  if (text.startsWith('auto/'))
    return 'expected i/n here: neither JOB_COMPLETION_INDEX nor the end of the host name has an index'
  const [, index, count] = (/^(\d{1,3})\/(\d{1,3})$/.exec(text) ?? []).map(Number)
  return index === undefined || count === undefined || index >= count || count > maxShards
    ? `expected i/n, such as 0/4, or auto/n in a pod: i from 0 to n - 1, n up to ${maxShards}`
    : { index, count }
}

/**
 * @returns a test whether a blob belongs to a shard, by its name within the container
 *
 * Rendezvous hashing: each shard has a score for each name, and the greatest score wins. So when the number of shards
 * changes from n to n + 1, only one blob of n + 1 moves, and every process agrees without asking another one. The first
 * four bytes of the name's SHA-256 seed the scores; they must never change, because shards of two releases run at the
 * same time during an upgrade.
 */
export function shardTest({ index, count }: Shard): (name: string) => boolean {
  return (name) => {
    const seed = createHash('sha256').update(name).digest().readUInt32LE(0)
    const own = score(seed, index)
    for (let other = 0; other < count; other += 1) {
      const theirs = score(seed, other)
      if (theirs > own || (theirs === own && other < index)) return false
    }
    return true
  }
}

/** The finalizer of MurmurHash3 (Austin Appleby, public domain), which spreads every bit of its input. */
function score(seed: number, shard: number): number {
  let hash = seed ^ Math.imul(shard + 1, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
