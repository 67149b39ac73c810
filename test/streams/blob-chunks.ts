import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import type { Chunk, Line, LineBlock, Span } from '../../src/records.ts'
import { LineSplitter } from '../../src/streams/line-splitter.ts'
import { through } from './through.ts'

export const generation = { blob: 'logs/server.ndjson', generation: '20261124T084700Z' } as const

/** A span of the one blob of these tests. */
export function spanOf(start: number, end: number): Span {
  return { ...generation, start, end }
}

/** The bytes as chunks that touch, cut at the given places; `start` is the first byte's offset. */
export function chunksOf(bytes: Buffer, cuts: readonly number[], start = 0): Chunk[] {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])]
  places.sort((a, b) => a - b)
  return places
    .slice(1)
    .map((end, index) => ({ from: places[index] as number, end }))
    .map(({ from, end }) => ({ span: spanOf(start + from, start + end), bytes: bytes.subarray(from, end) }))
}

/** The blocks of a text's lines, as the splitter makes them. */
export async function blocksOf(
  text: string | Buffer,
  start = 0,
  maxLineBytes?: number,
): Promise<LineBlock[]> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const splitter = new LineSplitter(maxLineBytes === undefined ? {} : { maxLineBytes })
  return through<LineBlock>(splitter, chunksOf(bytes, [], start))
}

/** A block of lines without a splitter: each text becomes a line, one after the other. */
export function blockOf(texts: readonly (string | Buffer)[], start = 0): LineBlock {
  let offset = start
  const lines: Line[] = texts.map((text) => {
    const latin1 = (typeof text === 'string' ? Buffer.from(text) : text).toString('latin1')
    const line = { offset, length: latin1.length + 1, latin1 }
    offset += line.length
    return line
  })
  const utf8 = lines.every(({ latin1 }) => isUtf8(Buffer.from(latin1, 'latin1')))
  return { span: spanOf(start, offset), lines, utf8, tooLong: [] }
}

/** Bytes in which newlines and the characters of JSON are frequent. */
export const anyBytes: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(0x0a, 0x0d, 0x7b, 0x7d, 0x22, 0x20, 0x00, 0xc3, 0xa4) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
    ),
    { maxLength: 120 },
  )
  .map((bytes) => Buffer.from(bytes))

/** Places to cut bytes at. */
export const anyCuts: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 200 }), { maxLength: 12 })
