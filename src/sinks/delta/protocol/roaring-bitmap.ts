/** A set of numbers, 64 to a word: bit `i` of the mask of word `w` stands for `64 w + i`. */
export interface NumberSet {
  /** Ascending; those without a number are left out. */
  readonly words: readonly number[]
  /** One for each of `words`. */
  readonly masks: readonly bigint[]
  readonly count: number
}

const cookieOfPlainContainers = 12_346
const cookieWithRuns = 12_347
/** A bitmap of so many containers has their offsets even when it has runs. */
const containersWithOffsets = 4
/** A container of more numbers is a bitmap, one of fewer a list. */
const mostListed = 4_096
/** Numbers stay below 2^53, which JavaScript counts exactly to. */
const mostBuckets = 2 ** 21

const wordsInContainer = 1_024
const wordsInBucket = 2 ** 26

/**
 * Reads a 64-bit Roaring bitmap in the portable format (https://github.com/RoaringBitmap/RoaringFormatSpec, read
 * 2026-11): buckets of 32-bit bitmaps, which consist of containers of 16-bit numbers.
 *
 * @param most numbers that it may have, so that a few wrong bytes cannot ask for all memory
 * @throws RangeError when it ends early, has more numbers, or is out of order
 */
export function readRoaringBitmap(bytes: Buffer, most: number): NumberSet {
  return new Reader(bytes, most).read()
}

interface Container {
  readonly key: number
  readonly count: number
  readonly hasRuns: boolean
}

class Reader {
  readonly #bytes: Buffer
  readonly #most: number
  readonly #words: number[] = []
  readonly #masks: bigint[] = []
  #at = 0
  #count = 0

  constructor(bytes: Buffer, most: number) {
    this.#bytes = bytes
    this.#most = most
  }

  read(): NumberSet {
    const buckets = this.#take(8).readBigUInt64LE()
    let previous = -1
    for (let read = 0n; read < buckets; read += 1n) {
      const bucket = this.#next32()
      if (bucket <= previous || bucket >= mostBuckets)
        throw new RangeError(`The bucket ${bucket} is out of place.`)
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
      if (key <= previous) throw new RangeError(`The container ${key} is out of place.`)
      if (this.#count > this.#most) throw new RangeError(`There are more than ${this.#most} numbers.`)
      previous = key
      const bits = hasRuns ? this.#runs() : count > mostListed ? this.#bitmap() : this.#list(count)
      const found = this.#append(bucket * wordsInBucket + key * wordsInContainer, bits)
      if (found !== count) throw new RangeError(`A container of ${count} numbers has ${found}.`)
    }
  }

  #containers(): Container[] {
    const cookie = this.#next32()
    const withRuns = (cookie & 0xffff) === cookieWithRuns
    if (!withRuns && cookie !== cookieOfPlainContainers) throw new RangeError(`The cookie is ${cookie}.`)
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
      if (last > 0xffff) throw new RangeError(`A run ends at ${last}.`)
      for (let number = first; number <= last; number += 1) setBit(bits, number)
    }
    return bits
  }

  /** @returns how many numbers that was */
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
      throw new RangeError(`The bytes end at ${this.#bytes.length}, before ${end}.`)
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
