import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { vectorRows } from '../../streams/staging/row-lengths.ts'
import { fieldSeparator } from '../../streams/staging/spool.ts'

const mebibyte = 1024 * 1024
const newline = 0x0a

/** A file of complete spool rows. */
export interface SpoolPiece {
  readonly path: string
  readonly rows: number
  readonly bytes: number
  readonly longestRowBytes: number
}

/** The spool of a batch. */
export interface WholeSpool extends SpoolPiece {
  /** See `Batch.largestVectorBytes`. */
  readonly largestVectorBytes: number
}

/** Consecutive rows of a spool. */
interface RowRange {
  readonly start: number
  readonly bytes: number
  readonly rows: number
  readonly longestRowBytes: number
}

const maxVectorBytes = 4 * mebibyte

/** Rows up to this length never exceed `maxVectorBytes` together. */
const maxOrdinaryRowBytes = maxVectorBytes / vectorRows

/** Longest row that may be encoded together with ordinary ones. */
const maxMixedRowBytes = 512 * 1024

/** Size of a piece of long rows; a longer row is a piece of its own. */
const maxPieceBytes = mebibyte

const readBytes = mebibyte

/** @returns whether a spool's rows can be encoded together */
export function fitsWhole({ longestRowBytes, largestVectorBytes }: WholeSpool): boolean {
  return longestRowBytes <= maxMixedRowBytes && largestVectorBytes <= maxVectorBytes
}

/** Bytes at the beginning of a spool by which its rows are judged. */
const sampleBytes = 64 * 1024

/** @returns whether a row at the beginning of a spool has a record that begins with this text */
export async function beginsWithin(spool: SpoolPiece, beginning: string): Promise<boolean> {
  const file = await open(spool.path)
  try {
    const sample = Buffer.alloc(Math.min(sampleBytes, spool.bytes))
    const { bytesRead } = await file.read(sample, 0, sample.length, 0)
    return sample.subarray(0, bytesRead).includes(`${fieldSeparator}${beginning}`, 0, 'utf8')
  } finally {
    await file.close()
  }
}

/**
 * Divides a spool by row length: ordinary rows into one file, longer ones into pieces of at most 1 MiB or one row.
 */
export async function divideByLength(
  spool: SpoolPiece,
  directory: string,
): Promise<{ ordinary: SpoolPiece | undefined; long: readonly SpoolPiece[] }> {
  const ordinary: RowRange[] = []
  const long: RowRange[] = []
  let start = 0
  for await (const lengths of rowLengths(spool)) {
    for (const bytes of lengths) {
      if (bytes <= maxOrdinaryRowBytes) addRow(ordinary, { start, bytes }, Number.POSITIVE_INFINITY)
      else addRow(long, { start, bytes }, maxPieceBytes)
      start += bytes
    }
  }
  return copying(spool, async (source) => ({
    ordinary:
      ordinary.length === 0
        ? undefined
        : await copyRanges(source, ordinary, join(directory, 'ordinary.spool')),
    long: await copyEach(source, long, directory, 'long'),
  }))
}

/** Cuts a spool into pieces of at most 1 MiB or one row. */
export async function cutIntoPieces(spool: SpoolPiece, directory: string): Promise<readonly SpoolPiece[]> {
  const ranges: RowRange[] = []
  let start = 0
  for await (const lengths of rowLengths(spool)) {
    for (const bytes of lengths) {
      addRow(ranges, { start, bytes }, maxPieceBytes)
      start += bytes
    }
  }
  return copying(spool, (source) => copyEach(source, ranges, directory, 'piece'))
}

/** Divides a piece of several rows into two with about the same number of rows. */
export async function halved(piece: SpoolPiece): Promise<readonly SpoolPiece[]> {
  const halves: RowRange[][] = [[], []]
  let start = 0
  let row = 0
  for await (const lengths of rowLengths(piece)) {
    for (const bytes of lengths) {
      addRow(halves[row * 2 < piece.rows ? 0 : 1]!, { start, bytes }, Number.POSITIVE_INFINITY)
      start += bytes
      row += 1
    }
  }
  return copying(piece, async (source) => [
    await copyRanges(source, halves[0]!, `${piece.path}.0`),
    await copyRanges(source, halves[1]!, `${piece.path}.1`),
  ])
}

/** Adds a row to the last range if it directly follows it and fits; otherwise starts a new range. */
function addRow(ranges: RowRange[], row: { start: number; bytes: number }, maxBytes: number): void {
  const last = ranges.at(-1)
  if (last === undefined || last.start + last.bytes !== row.start || last.bytes + row.bytes > maxBytes) {
    ranges.push({ ...row, rows: 1, longestRowBytes: row.bytes })
    return
  }
  ranges[ranges.length - 1] = {
    start: last.start,
    bytes: last.bytes + row.bytes,
    rows: last.rows + 1,
    longestRowBytes: Math.max(last.longestRowBytes, row.bytes),
  }
}

/** Yields the lengths of a file's rows, including newlines, one list per read. */
async function* rowLengths({ path }: Pick<SpoolPiece, 'path'>): AsyncGenerator<readonly number[]> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(readBytes)
    let rowStart = 0
    for (let position = 0; ; ) {
      const { bytesRead } = await file.read(buffer, 0, readBytes, position)
      if (bytesRead === 0) return
      const lengths: number[] = []
      const bytes = buffer.subarray(0, bytesRead)
      for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) {
        lengths.push(position + at + 1 - rowStart)
        rowStart = position + at + 1
      }
      position += bytesRead
      yield lengths
    }
  } finally {
    await file.close()
  }
}

async function copying<Result>(
  { path }: SpoolPiece,
  copy: (source: ReadWindow) => Promise<Result>,
): Promise<Result> {
  const source = new ReadWindow(await open(path, 'r'))
  try {
    return await copy(source)
  } finally {
    await source.close()
  }
}

/** A buffered reader with a moving window, so that many short ranges need few reads. */
class ReadWindow {
  readonly #file: FileHandle
  readonly #buffer = Buffer.alloc(readBytes)
  #start = 0
  #bytes = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** @returns at least one and at most `maxBytes` bytes, starting at `position` */
  async from(position: number, maxBytes: number): Promise<Buffer> {
    if (position < this.#start || position >= this.#start + this.#bytes) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, readBytes, position)
      if (bytesRead === 0) throw new Error('the spool became shorter while it was read')
      this.#start = position
      this.#bytes = bytesRead
    }
    const offset = position - this.#start
    return this.#buffer.subarray(offset, Math.min(this.#bytes, offset + maxBytes))
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Copies ranges into pieces; several small ranges share one. */
async function copyEach(
  source: ReadWindow,
  ranges: readonly RowRange[],
  directory: string,
  name: string,
): Promise<readonly SpoolPiece[]> {
  const pieces: SpoolPiece[] = []
  for (let next = 0; next < ranges.length; ) {
    const together: RowRange[] = []
    let bytes = 0
    while (next < ranges.length && (bytes === 0 || bytes + ranges[next]!.bytes <= maxPieceBytes)) {
      together.push(ranges[next]!)
      bytes += ranges[next]!.bytes
      next += 1
    }
    pieces.push(await copyRanges(source, together, join(directory, `${name}-${pieces.length}.spool`)))
  }
  return pieces
}

async function copyRanges(
  source: ReadWindow,
  ranges: readonly RowRange[],
  path: string,
): Promise<SpoolPiece> {
  const target = await open(path, 'w')
  try {
    const buffer = Buffer.alloc(readBytes)
    let filled = 0
    for (const { start, bytes } of ranges) {
      for (let copied = 0; copied < bytes; ) {
        const found = await source.from(start + copied, Math.min(bytes - copied, readBytes - filled))
        filled += found.copy(buffer, filled)
        copied += found.length
        if (filled < readBytes) continue
        await target.writeFile(buffer)
        filled = 0
      }
    }
    await target.writeFile(buffer.subarray(0, filled))
  } finally {
    await target.close()
  }
  return {
    path,
    rows: ranges.reduce((sum, { rows }) => sum + rows, 0),
    bytes: ranges.reduce((sum, { bytes }) => sum + bytes, 0),
    longestRowBytes: ranges.reduce((longest, range) => Math.max(longest, range.longestRowBytes), 0),
  }
}
