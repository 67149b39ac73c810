import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { BlobClient, BlobDownloadOptions, BlobDownloadResponseParsed } from '@azure/storage-blob'
import type { Deadline } from '../clock.ts'
import { WrongAnswer } from './failure.ts'

/** The service computes a checksum of ranges up to this size: https://learn.microsoft.com/rest/api/storageservices/get-blob */
const maxChecksumBytes = 4 * 1024 * 1024

/** A requested range of a blob. */
export interface AskedRange {
  readonly offset: number
  readonly maxBytes: number
}

/** The received part of a requested range, from its first byte on. */
export interface RangeBody {
  readonly bytes: Buffer
  /** Size of the whole blob. */
  readonly totalBytes: number
  /** The answer, with all other headers. */
  readonly response: BlobDownloadResponseParsed
}

export interface DownloadOptions {
  readonly deadline: Deadline
  /** Limit without progress of the body, in milliseconds. */
  readonly idleMs: number
  readonly conditions?: BlobDownloadOptions['conditions'] | undefined
  /** @returns memory of at least this length for the bytes. Default: fresh memory */
  readonly allocate?: ((bytes: number) => Buffer) | undefined
}

/**
 * Downloads a range and validates the answer: proxies, captive portals and damaged caches answer with other ranges, other
 * lengths, and pages of their own.
 *
 * A body that breaks off after its first byte counts as a shorter range.
 *
 * @throws WrongAnswer when the headers or the checksum do not match the request
 */
export async function downloadRange(
  blob: BlobClient,
  asked: AskedRange,
  { deadline, idleMs, conditions, allocate = Buffer.allocUnsafeSlow }: DownloadOptions,
): Promise<RangeBody> {
  // Not `AbortSignal.any`: Node keeps such a signal for ever once the SDK, or a policy of its pipeline, has left a listener on
  // it, and with it 3 KB for each request.
  const leaving = new AbortController()
  const leave = (): void => leaving.abort(deadline.signal.reason)
  deadline.signal.addEventListener('abort', leave, { once: true })
  if (deadline.signal.aborted) leave()
  try {
    return await downloadUntil(leaving, blob, asked, { deadline, idleMs, conditions, allocate })
  } finally {
    deadline.signal.removeEventListener('abort', leave)
  }
}

/** Downloads a range by a request that `leaving` ends. */
async function downloadUntil(
  leaving: AbortController,
  blob: BlobClient,
  asked: AskedRange,
  {
    deadline,
    idleMs,
    conditions,
    allocate,
  }: DownloadOptions & {
    readonly allocate: NonNullable<DownloadOptions['allocate']>
  },
): Promise<RangeBody> {
  const options: BlobDownloadOptions = {
    abortSignal: leaving.signal,
    // The SDK's own retries of a body require the ETag of the first answer.
    maxRetryRequests: 0,
    conditions: conditions ?? {},
  }
  if (asked.maxBytes <= maxChecksumBytes) options.rangeGetContentMD5 = true
  const download = blob.download(asked.offset, asked.maxBytes, options)
  let response: BlobDownloadResponseParsed
  try {
    response = await deadline.race(download, discard)
  } catch (error) {
    // For an answer without a length or an ETag, the SDK throws a RangeError and leaves the body unread.
    if (!(error instanceof RangeError)) throw error
    leaving.abort()
    throw new WrongAnswer(error.message)
  }
  let head: AnswerHead
  try {
    head = requireAskedRange(response, asked)
  } catch (error) {
    discard(response)
    throw error
  }
  const bytes = await collect(response, allocate(head.bytes).subarray(0, head.bytes), deadline, idleMs)
  // The checksum is that of the whole range, so a shorter body cannot be checked.
  const md5 = bytes.length === head.bytes ? response.contentMD5 : undefined
  if (md5 !== undefined && !createHash('md5').update(bytes).digest().equals(md5))
    throw new WrongAnswer('the bytes do not have the checksum of the answer', response)
  return { bytes, totalBytes: head.totalBytes, response }
}

/** Destroys the body: an unread one would keep its connection open. */
function discard({ readableStreamBody }: BlobDownloadResponseParsed): void {
  const body = readableStreamBody as Readable | undefined
  body?.on('error', () => {}).destroy()
}

interface AnswerHead {
  readonly bytes: number
  readonly totalBytes: number
}

/** Validates the head of an answer. All requests here are for a range, which the service answers with 206. */
function requireAskedRange(response: BlobDownloadResponseParsed, asked: AskedRange): AnswerHead {
  const { contentRange, contentLength, contentType, blobType, createdOn, etag } = response
  const { status } = response._response
  const isOfStorage = blobType !== undefined && !Number.isNaN(createdOn?.getTime() ?? Number.NaN) && !!etag
  if (!isOfStorage) {
    const type = contentType === undefined ? '' : ` of type ${contentType}`
    throw new WrongAnswer(`status ${status}${type} without the properties of a blob`, response)
  }
  // The emulator Azurite answers so where the service answers 416: there is no byte in the blob yet.
  if (status === 206 && contentRange === 'bytes 0--1/0' && contentLength === 0) {
    return { bytes: 0, totalBytes: 0 }
  }
  if (status === 206) {
    // The emulator's range of an empty blob is `bytes 0--1/0`, where the service answers 416.
    const [start, last, totalBytes] =
      /^bytes (\d+)-(-1|\d+)\/(\d+)$/
        .exec(contentRange ?? '')
        ?.slice(1)
        .map(Number) ?? []
    const end = Math.min(asked.offset + asked.maxBytes, totalBytes ?? 0)
    const bytes = end - asked.offset
    if (start === asked.offset && last === end - 1 && contentLength === bytes)
      return { bytes, totalBytes: totalBytes as number }
  }
  const found = contentRange === undefined ? 'without a range' : `with the range "${contentRange}"`
  throw new WrongAnswer(
    `status ${status} ${found} and ${contentLength} bytes, for up to ${asked.maxBytes} bytes from ${asked.offset} on`,
    response,
  )
}

/** Reads a body into a buffer of the promised length. @returns fewer bytes if it breaks off after the first */
async function collect(
  response: BlobDownloadResponseParsed,
  buffer: Buffer,
  deadline: Deadline,
  idleMs: number,
): Promise<Buffer> {
  const body = response.readableStreamBody as Readable | undefined
  if (body === undefined) return buffer.subarray(0, 0)
  let filled = 0
  // The SDK destroys the body of an aborted request itself, but not if the answer has just ended.
  const stop = (): void => discard(response)
  deadline.signal.addEventListener('abort', stop, { once: true })
  try {
    deadline.next('piece of a body', idleMs)
    // Events, because the SDK's stream pauses its source for every piece that is read by iteration.
    body.on('data', (piece: Buffer) => {
      if (piece.length > buffer.length - filled) {
        body.destroy(new WrongAnswer(`more than the ${buffer.length} bytes promised`, response))
        return
      }
      filled += piece.copy(buffer, filled)
      deadline.touch()
    })
    await finished(body)
  } catch (error) {
    if (filled === 0 || error instanceof WrongAnswer) throw error
  } finally {
    deadline.signal.removeEventListener('abort', stop)
  }
  return buffer.subarray(0, filled)
}
