/** A set of numbers, 64 per word: bit `i` of the mask of word `w` is the number `64 w + i`. */
export interface NumberSet {
  /** Indexes of the words that have a number, ascending. */
  readonly words: readonly number[]
  /** The mask of each of `words`. */
  readonly masks: readonly bigint[]
  readonly count: number
}

const cookieOfPlainContainers = 12_346
const cookieWithRuns = 12_347
/** A bitmap with runs has container offsets in its header only if it has at least this many containers. */
const containersWithOffsets = 4
/** A container with more numbers is stored as a bitmap, otherwise as a list. */
const maxListedNumbers = 4_096
/** Keeps all numbers below 2^53, which JavaScript represents exactly. */
const maxBuckets = 2 ** 21

const wordsInContainer = 1_024
const wordsInBucket = 2 ** 26

/**
 * Reads a 64-bit Roaring bitmap in the portable format (https://github.com/RoaringBitmap/RoaringFormatSpec, read
 * 2026-11): buckets of 32-bit bitmaps, each divided into containers of 16-bit numbers.
 *
 * @param maxNumbers limits memory, which a few corrupt bytes could otherwise exhaust
 * @throws RangeError when the bitmap ends early, has more numbers, or is out of order
 */
export function readRoaringBitmap(bytes: Buffer, maxNumbers: number): NumberSet {
  return new Reader(bytes, maxNumbers).read()
}

interface Container {
  readonly key: number
  readonly count: number
  readonly hasRuns: boolean
}

class Reader {
  readonly #bytes: Buffer
  readonly #maxNumbers: number
  readonly #words: number[] = []
  readonly #masks: bigint[] = []
  #at = 0
  #count = 0

  constructor(bytes: Buffer, maxNumbers: number) {
    this.#bytes = bytes
    this.#maxNumbers = maxNumbers
  }

  read(): NumberSet {
    const buckets = this.#take(8).readBigUInt64LE()
    let previous = -1
    for (let read = 0n; read < buckets; read += 1n) {
      const bucket = this.#next32()
      if (bucket <= previous || bucket >= maxBuckets)
        throw new RangeError(`bucket ${bucket} is out of order.`)
      previous = bucket
      this.#readBucket(bucket)
    }
    return { words: this.#words, masks: this.#masks, count: this.#count }
  }

  #readBucket(bucket: number): void {
    const containers = this.#containers()
    let previous = -1
    for (const { key, count, hasRuns } of containers) {
      this.#count += count
      if (key <= previous) throw new RangeError(`container ${key} is out of order.`)
      if (this.#count > this.#maxNumbers) throw new RangeError(`found more than ${this.#maxNumbers} numbers.`)
      previous = key
      const bits = hasRuns ? this.#runs() : count > maxListedNumbers ? this.#bitmap() : this.#list(count)
      const found = this.#append(bucket * wordsInBucket + key * wordsInContainer, bits)
      if (found !== count)
        throw new RangeError(`container ${key}: found ${found} numbers, expected ${count}.`)
    }
  }

  #containers(): Container[] {
    const cookie = this.#next32()
    const withRuns = (cookie & 0xffff) === cookieWithRuns
    if (!withRuns && cookie !== cookieOfPlainContainers) throw new RangeError(`unknown cookie ${cookie}.`)
    const size = withRuns ? (cookie >>> 16) + 1 : this.#next32()
    const runFlags = this.#take(withRuns ? Math.ceil(size / 8) : 0)
    const header = this.#take(size * 4)
    if (!withRuns || size >= containersWithOffsets) this.#take(size * 4)
    return Array.from({ length: size }, (_, index) => ({
      key: header.readUInt16LE(index * 4),
      count: header.readUInt16LE(index * 4 + 2) + 1,
      hasRuns: (((runFlags[index >> 3] ?? 0) >> (index & 7)) & 1) === 1,
    }))
  }

  #list(count: number): Uint32Array {
    const bits = new Uint32Array(wordsInContainer * 2)
    const numbers = this.#take(count * 2)
    for (let at = 0; at < numbers.length; at += 2) setBit(bits, numbers.readUInt16LE(at))
    return bits
  }

  #bitmap(): Uint32Array {
    const bytes = this.#take(wordsInContainer * 8)
    return Uint32Array.from({ length: wordsInContainer * 2 }, (_, index) => bytes.readUInt32LE(index * 4))
  }

  #runs(): Uint32Array {
    const bits = new Uint32Array(wordsInContainer * 2)
    const runs = this.#take(this.#take(2).readUInt16LE() * 4)
    for (let at = 0; at < runs.length; at += 4) {
      const first = runs.readUInt16LE(at)
      const last = first + runs.readUInt16LE(at + 2)
      if (last > 0xffff) throw new RangeError(`a run ends at ${last}, beyond 65535.`)
      for (let number = first; number <= last; number += 1) setBit(bits, number)
    }
    return bits
  }

  /** @returns the count of numbers in `bits` */
  #append(firstWord: number, bits: Uint32Array): number {
    let found = 0
    for (let word = 0; word < wordsInContainer; word += 1) {
      const [low, high] = [bits[word * 2]!, bits[word * 2 + 1]!]
      if (low === 0 && high === 0) continue
      this.#words.push(firstWord + word)
      this.#masks.push((BigInt(high) << 32n) | BigInt(low))
      found += bitsIn(low) + bitsIn(high)
    }
    return found
  }

  #next32(): number {
    return this.#take(4).readUInt32LE()
  }

  #take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length)
      throw new RangeError(`found ${this.#bytes.length} bytes, expected at least ${end}.`)
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}

function setBit(bits: Uint32Array, number: number): void {
  bits[number >> 5]! |= 1 << (number & 31)
}

function bitsIn(word: number): number {
  let bits = word
  bits -= (bits >>> 1) & 0x5555_5555
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
