import { TailraceError } from '../../errors.ts'
import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import {
  type BlobGeneration,
  type DocumentResume,
  type GenerationMark,
  generationParts,
  lastCreatedAt,
} from '../../records.ts'
import type { BlobRead, BlobReader, BlobType } from '../blob-reader.ts'
import type { BytesRead } from '../tailing/read-position.ts'
import {
  type Fingerprint,
  fingerprintOf,
  formatFingerprint,
  headBytes,
  matchesFingerprint,
  overlapBytes,
  parseFingerprint,
} from './fingerprint.ts'
import { framingOf, isFramingOpen } from './framing.ts'
import { resumeInDocument } from './grown-document.ts'

/** Where reading starts in a blob without a landed generation. */
export type ColdStart = 'earliest' | 'latest'

/** A landed generation of the blob, and the facts by which it is recognized, if they are known. */
export interface KnownGeneration extends LandedOffset {
  readonly mark: GenerationMark | undefined
}

/**
 * The blob compared with its known generations.
 *
 * `begins`: no generation is known. `goes-on`: the generation that landed last. `copied`: the same content with another
 * creation instant, as after a copy back or a move between tiers. `replaced`: other content, which is read whole.
 */
export type Recognition = 'begins' | 'goes-on' | 'copied' | 'replaced'

/** A blob as it is now, and the place where reading starts. */
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
  /** Set for a document that has grown since it landed: reading resumes before the offset. */
  readonly resume: DocumentResume | undefined
  /** The place that its mark remembers beside the head. */
  readonly tail: MarkedTail
  /** The blob's first bytes, 256 at most. */
  readonly head: Buffer
  /** The answer that began with the head, for a blob that is read from its start. */
  readonly first?: BytesRead | undefined
  readonly totalBytes: number
  readonly blobType: BlobType
}

/** A place in a blob, near where reading ended, by which it is recognized. */
export interface MarkedTail {
  readonly offset: number
  /** The last bytes before it, 64 at most. */
  readonly before: Buffer
  /** See `GenerationMark`. */
  readonly closing?: number | undefined
}

export type BlobIdentity =
  | IdentifiedBlob
  /** It has no bytes, or too few to show their framing. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'missing'; readonly what: 'blob' | 'container' }

export interface IdentifyOptions {
  /** The blob's generations that have landed, the newest one last. */
  readonly known: readonly KnownGeneration[]
  /** For a blob without a known generation. */
  readonly coldStart: ColdStart
  /** Bytes of a blob without a known generation that are read together with its head. Default: the head alone. */
  readonly firstBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads the head of a blob, and finds out which generation it is and where reading resumes.
 *
 * The ETag and the date of the last change differ after each append, and the creation instant need not change when a blob
 * is overwritten. So a blob is the generation that landed last only if its instant, its length and the remembered bytes
 * (its head, and some before the last offset read) all agree. A fact that is not remembered counts as agreeing.
 *
 * A blob may change between two reads. The result is that of the blob before or after, or an error.
 *
 * @throws SOURCE_UNAVAILABLE when the blob changes between two reads: a retry may succeed
 */
export async function identifyBlob(
  reader: BlobReader,
  blobName: string,
  options: IdentifyOptions,
): Promise<BlobIdentity> {
  let reads = 0
  const readAt = (offset: number, maxBytes: number): Promise<BlobRead> => {
    reads += 1
    return reader.read(blobName, { offset, maxBytes, signal: options.signal })
  }
  const found = await identifyOnce(readAt, blobName, options)
  // What differed was read after the head, so the head may be the old blob's, and no beginning of the new one.
  const isHeadInDoubt = found.kind === 'found' && found.recognition === 'replaced' && reads > 1
  return isHeadInDoubt ? identifyOnce(readAt, blobName, options) : found
}

async function identifyOnce(
  readAt: (offset: number, maxBytes: number) => Promise<BlobRead>,
  blobName: string,
  { known, coldStart, firstBytes = headBytes }: IdentifyOptions,
): Promise<BlobIdentity> {
  const first = await readAt(0, known.length === 0 ? Math.max(headBytes, firstBytes) : headBytes)
  if (first.kind === 'missing') return first
  if (first.kind !== 'bytes') return { kind: 'empty' }
  // A truncated answer must not be taken for a blob with another head.
  if (first.bytes.length < Math.min(headBytes, first.totalBytes)) throw changed(blobName)
  if (first.bytes.length === first.totalBytes && isFramingOpen(first.bytes)) return { kind: 'empty' }
  // Copied: a view would keep all bytes that were read with the head.
  const head = { ...first, bytes: Buffer.from(first.bytes.subarray(0, headBytes)) }
  // Only the checksum of a whole answer was compared. Nothing but the head confirms the bytes of a truncated one.
  const isWhole = first.bytes.length === first.totalBytes
  const { createdAt } = head
  const readSame = async (offset: number, maxBytes: number): Promise<Buffer> => {
    const read = await readAt(offset, maxBytes)
    if (read.kind !== 'bytes' || read.createdAt !== createdAt || read.bytes.length < maxBytes)
      throw changed(blobName)
    return read.bytes
  }

  const landed = await recognize(head, known, readSame)
  // `latest` is for blobs that were there first. A generation that replaces another one is new data.
  const offset = landed?.offset ?? (known.length === 0 && coldStart === 'latest' ? head.totalBytes : 0)
  const last = landed?.last ?? (await readBefore(offset, readSame))
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
    insideLine: offset > 0 && landed?.resume === undefined && last.at(-1) !== 0x0a,
    before,
    resume: landed?.resume,
    // A document is not recognized by its end, which changes when it grows.
    tail: isOfDocuments ? (landed?.tail ?? { offset: 0, before: Buffer.alloc(0) }) : { offset, before: last },
    head: head.bytes,
    first: offset === 0 && landed === undefined && isWhole ? first : undefined,
    totalBytes: head.totalBytes,
    blobType: head.blobType,
  }
}

/** @returns the facts by which a generation is recognized later */
export function markOf(
  { blob, generation }: BlobGeneration,
  { createdAt, head }: Pick<IdentifiedBlob, 'createdAt' | 'head'>,
  { offset, before, closing }: MarkedTail,
): GenerationMark {
  // Only the bytes that were read: those behind them may be written again.
  const known = head.subarray(0, offset)
  return {
    blob,
    generation,
    createdAt,
    head: formatted(0, known),
    tail: formatted(offset - before.length, before),
    closing,
  }
}

function formatted(start: number, bytes: Buffer): string | undefined {
  return bytes.length === 0 ? undefined : formatFingerprint(fingerprintOf(start, bytes))
}

/** The landed generation that the blob is, and where reading resumes in its last document. */
interface RecognizedGeneration extends KnownGeneration {
  /** The last bytes before its offset, 64 at most. */
  readonly last: Buffer
  readonly resume?: DocumentResume | undefined
  /** The remembered place in its last document, if it was found again. */
  readonly tail?: MarkedTail | undefined
}

/**
 * The bytes before the landed offset are read first, and everything that confirms them later: reading resumes only if they
 * are still there, so a blob that changed before or after is noticed.
 *
 * @returns the landed generation that the blob is, or undefined when it is another one
 */
async function recognize(
  head: BytesRead,
  known: readonly KnownGeneration[],
  readSame: (offset: number, maxBytes: number) => Promise<Buffer>,
): Promise<RecognizedGeneration | undefined> {
  // Of several generations with this instant, the newest: it overwrote the others.
  const candidate = known.findLast((one) => isOfInstant(one, head.createdAt)) ?? known.at(-1)
  if (candidate === undefined || candidate.offset > head.totalBytes) return undefined
  const mark = {
    head: parseFingerprint(candidate.mark?.head),
    tail: parseFingerprint(candidate.mark?.tail),
  }
  if (!isOfInstant(candidate, head.createdAt)) {
    // Another instant is a new generation, unless both remembered fingerprints show the same content.
    if (mark.head === undefined || mark.tail === undefined || candidate.offset === 0) return undefined
  }
  if (mark.head !== undefined && !matchesFingerprint(mark.head, head.bytes.subarray(0, mark.head.bytes)))
    return undefined
  if (mark.tail !== undefined && mark.tail.start + mark.tail.bytes > head.totalBytes) return undefined
  const last = await readBefore(candidate.offset, readSame)
  let before: Buffer | undefined
  if (mark.tail !== undefined) {
    before = await readSame(mark.tail.start, mark.tail.bytes)
    if (!matchesFingerprint(mark.tail, before)) return undefined
  }
  const landed = { ...candidate, last }
  return framingOf(head.bytes, head.blobType).kind === 'documents' && candidate.offset > 0
    ? recognizeDocuments(landed, mark.tail && before && { fingerprint: mark.tail, before }, head, readSame)
    : landed
}

async function recognizeDocuments(
  landed: KnownGeneration & Pick<RecognizedGeneration, 'last'>,
  found: { readonly fingerprint: Fingerprint; readonly before: Buffer } | undefined,
  { totalBytes }: BytesRead,
  readSame: (offset: number, maxBytes: number) => Promise<Buffer>,
): Promise<RecognizedGeneration | undefined> {
  const { offset, mark } = landed
  const tail = found && {
    offset: found.fingerprint.start + found.fingerprint.bytes,
    before: found.before,
    closing: mark?.closing ?? 0,
  }
  const resume = await resumeInDocument({ offset, tail, totalBytes, readSame })
  if (resume === 'replaced') return undefined
  return { ...landed, resume, tail }
}

/** The last bytes before an offset, 64 at most. */
async function readBefore(
  offset: number,
  readSame: (offset: number, maxBytes: number) => Promise<Buffer>,
): Promise<Buffer> {
  const bytes = Math.min(overlapBytes, offset)
  return bytes === 0 ? Buffer.alloc(0) : readSame(offset - bytes, bytes)
}

function isOfInstant({ generation, mark }: KnownGeneration, createdAt: string): boolean {
  return lastCreatedAt({ generation }, mark) === createdAt
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
    `${blobName} changed between two reads, or an answer was truncated.`,
  )
}
