import type { ResolvedPipeline } from '../../config/resolved.ts'
import { type BlobPrefixes, textPrefixes } from '../../run/text-prefixes.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'

/** Blobs whose first lines are read, one for each server: each takes a request and a statement of the engine. */
const maxBlobs = 20

/** Blobs that are named because parts of their prefixes are not known. */
const maxNamed = 10

interface ReadBlob extends BlobPrefixes {
  /** With its container. */
  readonly blob: string
}

/**
 * Yields sentences about the prefixes of text logs, read off the first lines of the newest blob of each server. What several
 * blobs have in common is one sentence.
 *
 * @param names newest blob of each server, the blob modified last first; empty ones are left out
 * @throws the reader's errors
 */
export async function* describePrefixes(
  names: readonly string[],
  reader: BlobReader,
  table: ResolvedPipeline['table'],
): AsyncGenerator<string> {
  const read: ReadBlob[] = []
  for (const name of names.slice(0, maxBlobs)) {
    const found = await textPrefixes(reader, name, table)
    if (found !== undefined) read.push({ ...found, blob: `${reader.container}/${name}` })
  }
  if (read.length === 1) yield* describeOne(read[0]!)
  else yield* describeAll(read)
  if (read.length > 0 && names.length > maxBlobs)
    yield `the first lines of the newest blobs of ${maxBlobs} servers were read, of ${names.length}`
}

function* describeOne(read: ReadBlob): Generator<string> {
  const { blob, prefixes, lines } = read
  for (const { serverName, setting, by, lines: fitting } of prefixes) {
    const server = serverName === undefined ? '' : `server ${serverName}: `
    yield `${server}log_line_prefix '${setting}'${foundBy(by)} reads ${fitting} of the first ${lines} text lines of ${blob}`
  }
  yield* describeUnknown(read)
}

function* describeAll(read: readonly ReadBlob[]): Generator<string> {
  const groups = new Map<string, { readonly first: ReadBlob; blobs: number; lines: number }>()
  for (const one of read) {
    const linesOf = new Map<string, number>()
    for (const { setting, by, lines } of one.prefixes) {
      const prefix = `log_line_prefix '${setting}'${foundBy(by)}`
      linesOf.set(prefix, (linesOf.get(prefix) ?? 0) + lines)
    }
    for (const [prefix, lines] of linesOf) {
      const group = groups.get(prefix) ?? { first: one, blobs: 0, lines: 0 }
      groups.set(prefix, { ...group, blobs: group.blobs + 1, lines: group.lines + lines })
    }
  }
  for (const [prefix, { first, blobs, lines }] of groups)
    yield `${prefix} reads ${lines} text lines at the beginning of the newest blobs of ${blobs} ${blobs === 1 ? 'server' : 'servers'}, such as ${first.blob}`
  const unknown = read.filter((one) => one.unknown !== undefined)
  for (const one of unknown.slice(0, maxNamed)) yield* describeUnknown(one)
  if (unknown.length > maxNamed)
    yield `the same is true of the newest blobs of ${unknown.length - maxNamed} more servers`
}

function* describeUnknown({ blob, lines, unknown }: ReadBlob): Generator<string> {
  if (unknown === undefined) return
  yield `the prefixes of ${unknown.lines} of the first ${lines} text lines of ${blob} are not read whole, the first one at byte ${unknown.firstOffset}: name the server's log_line_prefix in the table's prefixes`
}

function foundBy(by: 'setting' | 'form'): string {
  return by === 'form' ? ', found by the form of its parts,' : ''
}
