import type { DocumentResume } from '../../records.ts'
import { overlapBytes } from './fingerprint.ts'

/** The least that stands behind the last element of a document: `]}`. */
const leastClosing = 2

/** Bytes behind an array's last element that show whether it goes on; more white space than this is not expected. */
const shownBytes = 64

/** Bytes of a blob's end in which a document's closing is looked for. */
const closingBytes = 1024

/** What is remembered of a document that has landed: the bytes before its closing bracket, found again in the blob. */
export interface FoundTail {
  /** Where its last element ends, or its array begins. */
  readonly offset: number
  /** The bytes before that, as they are in the blob. */
  readonly before: Buffer
  /** Bytes from there to the end of the document as it landed. */
  readonly closing: number
}

export interface LandedDocuments {
  /** The blob has landed up to here: the end of a document as it was then. */
  readonly offset: number
  /** Undefined when nothing is remembered. What was read may be ahead of what has landed. */
  readonly tail: FoundTail | undefined
  readonly totalBytes: number
  /** Reads a part of the blob. */
  readonly readSame: (offset: number, maxBytes: number) => Promise<Buffer>
}

/**
 * Tells whether the last landed document of a blob has grown since: writers of `{"records":[…]}` insert elements before
 * the closing bracket, by writing the blob anew.
 *
 * If it has, reading goes on in its array behind the last element that landed. Where that is not remembered, as after
 * the loss of the offset file, the blob is read from its start and what had landed is left out.
 *
 * @returns undefined when a document begins at the offset, or the blob ends there; `replaced` when what is remembered
 *   does not go on as a document
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
  // A writer closes its document always in the same way.
  const closing = tail?.closing || (await closingOf(totalBytes, readSame))
  return { readFrom: 0, before: Buffer.alloc(0), behind: 'documents', landedTo: offset - closing }
}

/** The bytes behind the last element of the blob's last document, as far as they can be told from the blob's end. */
async function closingOf(totalBytes: number, readSame: LandedDocuments['readSame']): Promise<number> {
  const bytes = Math.min(closingBytes, totalBytes)
  const end = (await readSame(totalBytes - bytes, bytes)).toString('latin1')
  return /\s*\][^[\]]*\}\s*$/.exec(end)?.[0].length ?? leastClosing
}

/** Whether a document may end before an offset and another one begin there; inside an array a comma stands between objects. */
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

/** The first character that is no white space. */
function firstByte(bytes: Buffer): string {
  return bytes.toString('latin1').trimStart().charAt(0)
}
