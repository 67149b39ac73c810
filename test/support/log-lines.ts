import type { Random } from '../../doubles/seeded-random.ts'

const messages = [
  'connection authorized',
  'duration: 0.734 ms  statement: select 1',
  'größer 📚 als zuvor',
  'could not serialize access due to concurrent update',
  'checkpoint complete: wrote 1 buffers (0.0%)',
]

/** A well-formed jsonlog line, without its newline; its `query_id` is beyond 2^53. */
export function jsonlogLine(number: number, message = messages[number % messages.length]): string {
  const queryId = 2n ** 60n + BigInt(number) * 1_000_003n
  const time = new Date(Date.UTC(2026, 10, 24, 9) + number * 37).toISOString()
  return (
    `{"timestamp":"${time.slice(0, 10)} ${time.slice(11, 23)} UTC","user":"storefront","dbname":"shop",` +
    `"pid":${1000 + (number % 50)},"session_id":"6b05544b.20cd","line_num":${number + 1},` +
    `"ps":"SELECT","error_severity":"LOG","message":${JSON.stringify(message)},` +
    `"backend_type":"client backend","query_id":${queryId}}`
  )
}

/** Lines that are no JSON object, each of another kind; the blank one becomes no row at all. */
export const badLines: readonly Buffer[] = [
  Buffer.from('this is no JSON'),
  Buffer.from('{"timestamp":"2026-11-24 09:00:00.000 UTC","message":"cut sho'),
  Buffer.from('["an","array"]'),
  Buffer.from([0x7b, 0xff, 0xfe, 0x80, 0x7d]),
  Buffer.from(''),
]

/** The bytes of lines, each ended by a newline. */
export function linesAsBytes(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''))
}

/** Mostly well-formed lines of one log, numbered on, with a bad one here and there. */
export class LogGenerator {
  #random: Random
  #number = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** The next lines, each with its newline. */
  lines(count: number): Buffer {
    return Buffer.concat(Array.from({ length: count }, () => this.#line()))
  }

  #line(): Buffer {
    const bad = this.#random.next() < 0.02
    const line = bad
      ? badLines[this.#random.between(0, badLines.length - 1)]!
      : Buffer.from(jsonlogLine(this.#number++))
    return Buffer.concat([line, Buffer.from('\n')])
  }
}
