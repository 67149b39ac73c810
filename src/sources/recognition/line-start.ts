import { TailraceError } from '../../errors.ts'
import type { BlobReader } from '../blob-reader.ts'

/** Bytes on either side of an offset that are searched for the nearest line starts. */
const searchBytes = 1024 * 1024

/**
 * Checks that an offset is the start of a line.
 *
 * @throws REPLAY_NOT_A_LINE_START with the nearest line starts, and REPLAY_OUT_OF_RANGE beyond the blob's end
 */
export async function requireLineStart(reader: BlobReader, blobName: string, offset: number): Promise<void> {
  if (offset === 0) return
  const from = Math.max(0, offset - searchBytes)
  const around = await reader.read(blobName, { offset: from, maxBytes: offset - from + searchBytes })
  const bytes = around.kind === 'bytes' ? around.bytes : Buffer.alloc(0)
  const at = offset - from
  if (bytes.length < at) {
    throw new TailraceError('REPLAY_OUT_OF_RANGE', `Offset ${offset} lies beyond the end of ${blobName}.`, {
      context: { offset, blobBytes: from + bytes.length },
    })
  }
  if (bytes[at - 1] === 0x0a) return

  const before = bytes.lastIndexOf(0x0a, at - 1) + 1
  const after = bytes.indexOf(0x0a, at) + 1
  const starts = [...(before > 0 || from === 0 ? [from + before] : []), ...(after > 0 ? [from + after] : [])]
  throw new TailraceError(
    'REPLAY_NOT_A_LINE_START',
    `Offset ${offset} lies inside a line of ${blobName}; the nearest line starts are ${starts.join(' and ') || 'far away'}.`,
    { context: { offset, before: starts[0], after: starts[1] } },
  )
}

/**
 * Finds the first start of a line behind an offset.
 *
 * @param maxLineBytes a longer line is not searched through
 * @returns undefined when there is none so near
 */
export async function nextLineStart(
  reader: BlobReader,
  blobName: string,
  offset: number,
  maxLineBytes: number,
): Promise<number | undefined> {
  for (let from = offset; from < offset + maxLineBytes; ) {
    const read = await reader.read(blobName, { offset: from, maxBytes: Math.min(searchBytes, maxLineBytes) })
    if (read.kind !== 'bytes') return undefined
    const newline = read.bytes.indexOf(0x0a)
    if (newline !== -1) return from + newline + 1
    from += read.bytes.length
  }
  return undefined
}
