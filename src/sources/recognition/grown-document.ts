import type { DocumentResume } from '../../records.ts'
import { overlapBytes } from './fingerprint.ts'

/** Length of the shortest text behind a document's last element: `]}`. */
const minClosingBytes = 2

/** Bytes read behind an array's last element to find the `,` or `]` after it; more white space is not expected. */
const shownBytes = 64

/** Bytes of a blob's end that are searched for the end of a document's array. */
const closingBytes = 1024

/** The remembered end of a landed document's array, found again in the blob. */
export interface FoundTail {
  /** End of its last element, or of its opening bracket when it has none. */
  readonly offset: number
  /** The blob's bytes before that offset. */
  readonly before: Buffer
  /** Bytes from there to the end of the document as it landed. */
  readonly closing: number
}

export interface LandedDocuments {
  /** The landed offset: the end of a document as it was then. */
  readonly offset: number
  /** Undefined when nothing is remembered. It may lie behind `offset`, because reading is ahead of landing. */
  readonly tail: FoundTail | undefined
  readonly totalBytes: number
  /** Reads a part of the blob. */
  readonly readSame: (offset: number, maxBytes: number) => Promise<Buffer>
}

/**
 * Finds out whether the last landed document of a blob has grown since: writers of `{"records":[…]}` insert elements
 * before the closing bracket, by writing the whole blob again.
 *
 * If it has, reading resumes in its array behind the last element that landed. When that place is not remembered, as
 * after the loss of the offset file, the blob is read from its start and the elements that had landed are left out.
 *
 * @returns undefined when a document starts at the offset, or the blob ends there; `replaced` when the bytes behind the
 *   remembered place are no continuation of a document
 */
export async function resumeInDocument({
  offset,
  tail,
  totalBytes,
  readSame,
}: LandedDocuments): Promise<DocumentResume | 'replaced' | undefined> {
  if (tail !== undefined && tail.closing > 0 && tail.offset + tail.closing <= offset) {
    const next = firstByte(await readSame(tail.offset, Math.min(shownBytes, totalBytes - tail.offset)))
    const behind = tail.before.at(-1) === 0x5b ? 'bracket' : 'element'
    if (behind === 'element' && next !== ',' && next !== ']') return 'replaced'
    const isClosed = next === ']'
    if (isClosed && tail.offset + tail.closing === offset) return undefined
    if (isClosed && (await isBetweenDocuments(offset, totalBytes, readSame))) return undefined
    return { readFrom: tail.offset, before: tail.before, behind, landedTo: offset - tail.closing }
  }
  if (await isBetweenDocuments(offset, totalBytes, readSame)) return undefined
  // A writer always ends its documents with the same bytes.
  const closing = tail?.closing || (await closingOf(totalBytes, readSame))
  return { readFrom: 0, before: Buffer.alloc(0), behind: 'documents', landedTo: offset - closing }
}

/** The number of bytes behind the last element of the blob's last document, judged by the blob's end. */
async function closingOf(totalBytes: number, readSame: LandedDocuments['readSame']): Promise<number> {
  const bytes = Math.min(closingBytes, totalBytes)
  const end = (await readSame(totalBytes - bytes, bytes)).toString('latin1')
  return /\s*\][^[\]]*\}\s*$/.exec(end)?.[0].length ?? minClosingBytes
}

/** Whether a document may end before an offset and another one start there: inside an array a comma would separate them. */
async function isBetweenDocuments(
  offset: number,
  totalBytes: number,
  readSame: LandedDocuments['readSame'],
): Promise<boolean> {
  const from = Math.max(0, offset - overlapBytes)
  const bytes = await readSame(from, Math.min(totalBytes, offset + shownBytes) - from)
  const text = bytes.toString('latin1')
  const next = firstByte(bytes.subarray(offset - from))
  return (
    text
      .slice(0, offset - from)
      .trimEnd()
      .endsWith('}') &&
    (next === '' || next === '{')
  )
}

/** The first character that is not white space; empty when there is none. */
function firstByte(bytes: Buffer): string {
  return bytes.toString('latin1').trimStart().charAt(0)
}
