import { closeSync, createReadStream, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { dayPath, hourMs, hourOf } from '../../src/sources/discovery/azure-monitor-layout.ts'
import type { ServedBlob } from './answer-range.ts'

/** The blobs of an account server, by their index in name order. */
export interface ServedBlobs {
  readonly count: number
  /** What all names begin with. */
  readonly prefix: string
  readonly nameOf: (index: number) => string
  readonly indexOf: (name: string) => number | undefined
  readonly blob: (index: number) => ServedBlob
}

/** The prefix of `hours`, as long as Azure Monitor's names are. */
export const hoursPrefix =
  'resourceId=/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/BENCH/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/BENCH-PG/'
/** The prefix of `pieces`. */
export const piecesPrefix = 'pg/'

/** The name of a piece. */
export function pieceName(index: number): string {
  return `${piecesPrefix}${String(index).padStart(6, '0')}.ndjson`
}

/** So many hourly blobs of one server, the newest one in November 2026; each holds the whole file. */
export function hoursOf(path: string, count: number): ServedBlobs {
  const content = readFileSync(path)
  const firstMs = Date.UTC(2026, 10, 24, 10) - (count - 1) * hourMs
  return {
    count,
    prefix: hoursPrefix,
    nameOf: (index) => {
      const startMs = firstMs + index * hourMs
      const hour = String(new Date(startMs).getUTCHours()).padStart(2, '0')
      return `${hoursPrefix}${dayPath(startMs)}h=${hour}/m=00/PT1H.json`
    },
    indexOf: (name) => indexWithin(count, ((hourOf(name) ?? Number.NaN) - firstMs) / hourMs),
    blob: (index) => ({
      bytes: content.length,
      modifiedAt: new Date(firstMs + (index + 1) * hourMs),
      read: (start, last) => content.subarray(start, last + 1),
    }),
  }
}

/** The file's lines in so many blobs of about the same size. */
export function piecesOf(path: string, count: number): ServedBlobs {
  const { mtime } = statSync(path)
  const starts = lineStarts(path, count)
  return {
    count,
    prefix: piecesPrefix,
    nameOf: pieceName,
    indexOf: (name) => indexWithin(count, Number(/(\d+)\.ndjson$/.exec(name)?.[1])),
    blob: (index) => {
      const from = starts[index]!
      return {
        bytes: starts[index + 1]! - from,
        modifiedAt: mtime,
        read: (start, last) =>
          createReadStream(path, { start: from + start, end: from + last, highWaterMark: 1024 * 1024 }),
      }
    },
  }
}

function indexWithin(count: number, index: number): number | undefined {
  return Number.isInteger(index) && index >= 0 && index < count ? index : undefined
}

/** @returns the starts of the pieces, which are the first line starts at or after equal parts of the file, and the file's end */
function lineStarts(path: string, count: number): number[] {
  const { size } = statSync(path)
  const file = openSync(path, 'r')
  const part = Buffer.alloc(256 * 1024)
  try {
    const starts = [0]
    for (let index = 1; index < count; index += 1) {
      const wanted = Math.floor((size / count) * index)
      const newline = part.subarray(0, readSync(file, part, 0, part.length, wanted - 1)).indexOf(0x0a)
      if (newline < 0) throw new Error(`A line at ${wanted} is longer than ${part.length} bytes.`)
      starts.push(wanted + newline)
    }
    return [...starts, size]
  } finally {
    closeSync(file)
  }
}
