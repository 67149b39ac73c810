import type { IdentifiedBlob } from '../../sources/recognition/identify-blob.ts'
import type { LaneStart } from './lane.ts'

/** A blob as its earlier lanes in this process left it. */
export interface BlobMemory {
  readonly name: string
  /** Where its next lane starts; undefined when the table's offset decides. */
  next?: LaneStart | undefined
  /** How far its last lane read, an unfinished line included, in bytes. */
  seenBytes: number
  /** Its first bytes and creation instant, when it was last identified. */
  identity?: Pick<IdentifiedBlob, 'head' | 'createdAt'> | undefined
  /** Set once another process has landed bytes that this one had read. */
  fence?: BlobFence | undefined
}

/** The last time that another process landed bytes of a blob that this one had read, too. */
export interface BlobFence {
  readonly generation: string
  /** How far this process had read. The sink drops the bytes before it that were not committed by then. */
  readonly readTo: number
  /** Fences in a row. */
  readonly failures: number
  readonly atMs: number
}
