import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { packageFile } from '../../package.ts'

const newline = 0x0a

/** The lines of a sample log, repeated without end. They stay bytes: as texts they would cost a start half a second. */
export class SampleLines {
  readonly #bytes: Buffer
  /** The offset behind each line. */
  readonly #ends: number[] = []

  /** @param bytes lines, each with its newline */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1))
      this.#ends.push(at + 1)
  }

  /** Lines until they repeat. */
  get count(): number {
    return this.#ends.length
  }

  /** Yields the lines from one index to another, as one piece for each round. */
  *pieces(from: number, to: number): Generator<Buffer> {
    for (let next = from; next < to; ) {
      const index = next % this.count
      const taken = Math.min(to - next, this.count - index)
      yield this.#bytes.subarray(this.#ends[index - 1] ?? 0, this.#ends[index + taken - 1])
      next += taken
    }
  }
}

/** Reads the sample log of a server. */
export async function openSample(server: 'primary' | 'replica'): Promise<SampleLines> {
  const file = packageFile(`sample/logs/${server}.ndjson.gz`)
  return new SampleLines(await promisify(gunzip)(await readFile(file)))
}
