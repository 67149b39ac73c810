import { TailraceError } from '../../errors.ts'
import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import { type DocumentResume, type GenerationMark, generationParts } from '../../records.ts'
import type { BlobRead, BlobReader, BlobType } from '../blob-reader.ts'
import {
  type Fingerprint,
  fingerprintOf,
  formatFingerprint,
  headBytes,
  matchesFingerprint,
  overlapBytes,
  parseFingerprint,
} from './fingerprint.ts'
import { framingOf } from './framing.ts'
import { resumeInDocument } from './grown-document.ts'

/** Where a blob that was never seen begins. */
export type ColdStart = 'earliest' | 'latest'

/** A generation of the blob that has landed, and what it is recognized by where that is known. */
export interface KnownGeneration extends LandedOffset {
  readonly mark: GenerationMark | undefined
}

/**
 * What a look at a blob came to.
 *
 * `begins`: nothing of it is known. `goes-on`: the generation that landed last. `copied`: the same content under another
 * creation instant, as after a copy back or a move between tiers. `replaced`: other content, which is read whole.
 */
export type Recognition = 'begins' | 'goes-on' | 'copied' | 'replaced'

/** A blob as it is now, and where reading it begins. */
export interface IdentifiedBlob {
  readonly kind: 'found'
  readonly recognition: Recognition
  readonly generation: string
  readonly createdAt: string
  /** First byte to read. */
  readonly offset: number
  /** Whether the offset lies inside a line, whose rest is to be skipped. */
  readonly insideLine: boolean
  /** The last bytes before the first byte to read, 64 at most. */
  readonly before: Buffer
  /** Reading goes on before the offset, in a document that has grown. */
  readonly resume: DocumentResume | undefined
  /** What its mark is to remember beside the head. */
  readonly tail: MarkedTail
  /** The blob's first bytes, 256 at most. */
  readonly head: Buffer
  readonly totalBytes: number
  readonly blobType: BlobType
}

/** A place in a blob, near where reading ended, by which it is recognized. */
export interface MarkedTail {
  readonly offset: number
  /** The last bytes before it, 64 at most. */
  readonly before: Buffer
  /** See `GenerationMark`. */
  readonly closing?: number
}

export type BlobIdentity =
  | IdentifiedBlob
  | { readonly kind: 'empty' }
  | { readonly kind: 'missing'; readonly what: 'blob' | 'container' }

export interface IdentifyOptions {
  /** The blob's generations that have landed, the newest one last. */
  readonly known: readonly KnownGeneration[]
  /** For a blob of which nothing is known. */
  readonly coldStart: ColdStart
  readonly signal?: AbortSignal
}

type Bytes = BlobRead & { readonly kind: 'bytes' }

/**
 * Looks at a blob: which generation it is, and where to go on.
 *
 * Neither the ETag nor the date of the last change tells a generation, and the creation instant need not change when a
 * blob is overwritten. So a blob is the generation that landed last only if its instant, its length and the bytes that
 * are remembered of it (its head, and some near where reading ended) all agree; what is not remembered counts as agreeing.
 *
 * @throws SOURCE_UNAVAILABLE when the blob changes under the look: try again
 */
export async function identifyBlob(
  reader: BlobReader,
  blobName: string,
  { known, coldStart, signal }: IdentifyOptions,
): Promise<BlobIdentity> {
  const readAt = (offset: number, maxBytes: number): Promise<BlobRead> =>
    reader.read(blobName, { offset, maxBytes, ...(signal === undefined ? {} : { signal }) })
  const head = await readAt(0, headBytes)
  if (head.kind === 'missing') return head
  if (head.kind !== 'bytes') return { kind: 'empty' }
  // An answer that broke off must not pass for a blob that begins otherwise.
  if (head.bytes.length < Math.min(headBytes, head.totalBytes)) throw changed(blobName)
  const { createdAt } = head
  const readSame = async (offset: number, maxBytes: number): Promise<Buffer> => {
    const read = await readAt(offset, maxBytes)
    if (read.kind !== 'bytes' || read.createdAt !== createdAt || read.bytes.length < maxBytes)
      throw changed(blobName)
    return read.bytes
  }

  const landed = await recognize(head, known, readSame)
  // A generation that follows another one of the same blob is new data: all of it is wanted.
  const offset = landed?.offset ?? (known.length === 0 && coldStart === 'latest' ? head.totalBytes : 0)
  const overlap = Math.min(overlapBytes, offset)
  const last = overlap === 0 ? Buffer.alloc(0) : await readSame(offset - overlap, overlap)
  const before = landed?.resume?.before ?? last
  const isOfDocuments = framingOf(head.bytes, head.blobType).kind === 'documents'
  return {
    kind: 'found',
    recognition:
      landed === undefined
        ? known.length === 0
          ? 'begins'
          : 'replaced'
        : isOfInstant(landed, createdAt)
          ? 'goes-on'
          : 'copied',
    generation: landed?.generation ?? freeName(createdAt, known),
    createdAt,
    offset,
    insideLine: offset > 0 && last.at(-1) !== 0x0a,
    before,
    resume: landed?.resume,
    // The end of a document is not where it is recognized: it may have grown by then.
    tail: isOfDocuments ? (landed?.tail ?? { offset: 0, before: Buffer.alloc(0) }) : { offset, before: last },
    head: head.bytes,
    totalBytes: head.totalBytes,
    blobType: head.blobType,
  }
}

/** @returns what a generation is to be recognized by later */
export function markOf(
  source: { readonly blob: string; readonly generation: string },
  { createdAt, head }: Pick<IdentifiedBlob, 'createdAt' | 'head'>,
  { offset, before, closing }: MarkedTail,
): GenerationMark {
  // Only of what was read: what follows it may be written anew.
  const known = head.subarray(0, offset)
  return {
    ...source,
    createdAt,
    ...(known.length === 0 ? {} : { head: formatFingerprint(fingerprintOf(0, known)) }),
    ...(before.length === 0
      ? {}
      : { tail: formatFingerprint(fingerprintOf(offset - before.length, before)) }),
    ...(closing === undefined ? {} : { closing }),
  }
}

/** A landed generation that the blob is, and where reading a document of it goes on. */
interface RecognizedGeneration extends KnownGeneration {
  readonly resume?: DocumentResume
  /** Of documents, what was remembered and found. */
  readonly tail?: MarkedTail
}

/** @returns the landed generation that the blob is, or undefined when it is another one */
async function recognize(
  head: Bytes,
  known: readonly KnownGeneration[],
  readSame: (offset: number, maxBytes: number) => Promise<Buffer>,
): Promise<RecognizedGeneration | undefined> {
  // Of the same instant, the one that came last; the older ones were overwritten by it.
  const candidate = known.findLast((one) => isOfInstant(one, head.createdAt)) ?? known.at(-1)
  if (candidate === undefined || candidate.offset > head.totalBytes) return undefined
  const mark = {
    head: parseFingerprint(candidate.mark?.head),
    tail: parseFingerprint(candidate.mark?.tail),
  }
  if (!isOfInstant(candidate, head.createdAt)) {
    // Another instant is a new generation unless everything that is remembered says otherwise.
    if (mark.head === undefined || mark.tail === undefined || candidate.offset === 0) return undefined
  }
  if (mark.head !== undefined && !matchesFingerprint(mark.head, head.bytes.subarray(0, mark.head.bytes)))
    return undefined
  let before: Buffer | undefined
  if (mark.tail !== undefined) {
    const { start, bytes } = mark.tail
    if (start + bytes > head.totalBytes) return undefined
    before = await readSame(start, bytes)
    if (!matchesFingerprint(mark.tail, before)) return undefined
  }
  return framingOf(head.bytes, head.blobType).kind === 'documents' && candidate.offset > 0
    ? recognizeDocuments(candidate, mark.tail && before && { fingerprint: mark.tail, before }, head, readSame)
    : candidate
}

async function recognizeDocuments(
  candidate: KnownGeneration,
  found: { readonly fingerprint: Fingerprint; readonly before: Buffer } | undefined,
  { totalBytes }: Bytes,
  readSame: (offset: number, maxBytes: number) => Promise<Buffer>,
): Promise<RecognizedGeneration | undefined> {
  const { offset, mark } = candidate
  const tail = found && {
    offset: found.fingerprint.start + found.fingerprint.bytes,
    before: found.before,
    closing: mark?.closing ?? 0,
  }
  const resume = await resumeInDocument({ offset, tail, totalBytes, readSame })
  if (resume === 'replaced') return undefined
  return { ...candidate, ...(resume && { resume }), ...(tail && { tail }) }
}

function isOfInstant({ generation, mark }: KnownGeneration, createdAt: string): boolean {
  return (mark?.createdAt ?? generationParts(generation)[0]) === createdAt
}

function freeName(createdAt: string, known: readonly KnownGeneration[]): string {
  const ordinals = known
    .map(({ generation }) => generationParts(generation))
    .filter(([instant]) => instant === createdAt)
    .map(([, ordinal]) => ordinal)
  const last = ordinals.reduce((most, ordinal) => Math.max(most, ordinal), 0)
  return ordinals.length === 0 ? createdAt : `${createdAt}.${last + 1}`
}

function changed(blobName: string): TailraceError {
  return new TailraceError(
    'SOURCE_UNAVAILABLE',
    `${blobName} changed while it was looked at, or an answer broke off.`,
  )
}
