import { createHash } from 'node:crypto'
import type { BlobType } from '../../../src/sources/blob-reader.ts'
import { errorReply, plainReply, type Reply, type ServiceRequest } from './protocol.ts'
import type { StoredBlob } from './stored-blob.ts'

/** The service's names of its blob types. */
export const typeNames: Readonly<Record<BlobType, string>> = {
  append: 'AppendBlob',
  block: 'BlockBlob',
  page: 'PageBlob',
}

const maxChecksumBytes = 4 * 1024 * 1024

/**
 * Get Blob and Get Blob Properties.
 *
 * The order of the checks is the service's: existence, conditions, tier, range. A range that begins at the length or
 * behind it is a 416, so every range of an empty blob is.
 *
 * @see https://learn.microsoft.com/rest/api/storageservices/get-blob (read 2026-11-24)
 */
export function answerGet(request: ServiceRequest, blob: StoredBlob | undefined, nowMs: number): Reply {
  if (blob === undefined) {
    return errorReply(request, 404, 'BlobNotFound', 'The specified blob does not exist.')
  }
  const { etag } = blob
  const unmet = 'The condition specified using HTTP conditional header(s) is not met.'
  const wanted = request.headers['if-match']
  if (wanted !== undefined && wanted !== etag && wanted !== '*') {
    return errorReply(request, 412, 'ConditionNotMet', unmet)
  }
  const known = request.headers['if-none-match']
  if (known === etag || known === '*') return errorReply(request, 304, 'ConditionNotMet', unmet, { etag })
  if (request.method === 'HEAD') return whole(blob, nowMs, Buffer.alloc(0))
  if (blob.archived) {
    return errorReply(request, 409, 'BlobArchived', 'This operation is not permitted on an archived blob.')
  }

  const asked = request.headers['x-ms-range'] ?? request.headers.range
  if (asked === undefined) return whole(blob, nowMs, Buffer.from(blob.content))
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(asked) ?? []
  if (first === undefined || (last !== '' && Number(last) < Number(first))) {
    return errorReply(request, 400, 'InvalidHeaderValue', 'The range is not well-formed.')
  }
  const start = Number(first)
  if (start >= blob.bytes) {
    return errorReply(request, 416, 'InvalidRange', 'The range specified is invalid for the current size.', {
      'content-range': `bytes */${blob.bytes}`,
    })
  }
  const end = last === '' ? blob.bytes : Math.min(Number(last) + 1, blob.bytes)
  // A copy: the blob may change while its answer is still on the way.
  const body = Buffer.from(blob.content.subarray(start, end))
  const wantsChecksum = request.headers['x-ms-range-get-content-md5'] === 'true'
  if (wantsChecksum && last !== '' && Number(last) - start >= maxChecksumBytes)
    return errorReply(request, 400, 'InvalidHeaderValue', 'A checksum is for ranges up to 4 MiB.')
  return plainReply(
    206,
    {
      ...properties(blob, nowMs),
      'content-length': String(body.length),
      'content-range': `bytes ${start}-${end - 1}/${blob.bytes}`,
      ...(wantsChecksum ? { 'content-md5': createHash('md5').update(body).digest('base64') } : {}),
    },
    body,
  )
}

function whole(blob: StoredBlob, nowMs: number, body: Buffer): Reply {
  return plainReply(200, { ...properties(blob, nowMs), 'content-length': String(blob.bytes) }, body)
}

function properties(blob: StoredBlob, nowMs: number): Record<string, string> {
  return {
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    date: httpDate(nowMs),
    etag: blob.etag,
    'last-modified': httpDate(blob.modifiedAtMs),
    'x-ms-blob-type': typeNames[blob.type],
    'x-ms-creation-time': httpDate(blob.createdAtMs),
    'x-ms-lease-state': 'available',
    'x-ms-lease-status': 'unlocked',
    'x-ms-server-encrypted': 'true',
    ...(blob.type === 'append' ? { 'x-ms-blob-committed-block-count': String(blob.blocks) } : {}),
    ...(blob.archived ? { 'x-ms-access-tier': 'Archive' } : {}),
  }
}

/** An instant to the second, as HTTP writes it. */
export function httpDate(ms: number): string {
  return new Date(ms).toUTCString()
}
