import { TailraceError } from '../errors.ts'
import type { BlobReader } from './blob-reader.ts'

/** Where a blob that was never seen begins. */
export type ColdStart = 'earliest' | 'latest'

/** What a tailer needs to begin with a blob. */
export interface BlobStart {
  readonly generation: string
  readonly offset: number
  /** The offset may lie inside a line: begin with the next one. */
  readonly alignToLine: boolean
  readonly totalBytes: number
}

/**
 * Looks at a blob once: its generation, its length, and where a cold start begins.
 *
 * `latest` begins at the blob's end, or at the next line when the end lies inside one.
 *
 * @returns `undefined` while the blob is missing or empty
 */
export async function findStart(
  reader: BlobReader,
  blobName: string,
  coldStart: ColdStart,
  signal?: AbortSignal,
): Promise<BlobStart | undefined> {
  const abort = signal === undefined ? {} : { signal }
  const head = await reader.read(blobName, { offset: 0, maxBytes: 1, ...abort })
  if (head.kind !== 'bytes') return undefined
  const { createdAt: generation, totalBytes } = head
  if (coldStart === 'earliest') return { generation, totalBytes, offset: 0, alignToLine: false }

  const last = await reader.read(blobName, { offset: totalBytes - 1, maxBytes: 1, ...abort })
  const atLineStart = last.kind === 'bytes' && last.createdAt === generation && last.bytes[0] === 0x0a
  return { generation, totalBytes, offset: totalBytes, alignToLine: !atLineStart }
}

/** Bytes looked at on either side of an offset for the nearest line starts. */
const searchBytes = 1024 * 1024

/**
 * Refuses an offset that is not the start of a line.
 *
 * @throws REPLAY_NOT_A_LINE_START naming the nearest line starts
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
