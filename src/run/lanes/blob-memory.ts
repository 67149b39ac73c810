import type { DocumentResume } from '../../records.ts'
import type { KnownFraming } from '../../sources/recognition/framing.ts'
import type { IdentifiedBlob } from '../../sources/recognition/identify-blob.ts'

/** The place where a lane starts. */
export interface LaneStart {
  readonly generation: string
  readonly createdAt: string
  readonly offset: number
  /** Whether the offset lies inside a line, whose rest is skipped. */
  readonly insideLine: boolean
  /** The last bytes before the first byte to read, 64 at most; undefined when they are not known. */
  readonly before: Buffer | undefined
  /** Set for a document that has grown since it landed: reading starts before the offset. */
  readonly resume: DocumentResume | undefined
  /** The blob's first bytes, 256 at most; undefined when they are not known. */
  readonly head: Buffer | undefined
  readonly framing: KnownFraming
}

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
