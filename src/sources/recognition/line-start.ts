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
