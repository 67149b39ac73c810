import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** One append blob as a benchmark's server has it. */
export interface ServedBlob {
  readonly bytes: number
  readonly modifiedAt: Date
  /** Its bytes from `start` up to and including `last`. */
  readonly read: (start: number, last: number) => Buffer | Readable
}

/** Answers Get Blob and Get Blob Properties as the service does, without conditions: a served blob never changes. */
export async function answerRange(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes, modifiedAt, read }: ServedBlob,
): Promise<void> {
  const headers = {
    'x-ms-version': '2021-12-02',
    'x-ms-blob-type': 'AppendBlob',
    'x-ms-creation-time': modifiedAt.toUTCString(),
    'Last-Modified': modifiedAt.toUTCString(),
    ETag: `"0x${Math.trunc(modifiedAt.getTime()).toString(16).toUpperCase()}"`,
    'Accept-Ranges': 'bytes',
    'Content-Type': 'application/octet-stream',
  }
  if (request.method === 'HEAD') {
    response.writeHead(200, { ...headers, 'Content-Length': bytes }).end()
    return
  }
  if (request.method !== 'GET') {
    response.writeHead(405).end()
    return
  }
  // Where both are given, the service takes its own header.
  const header = request.headers['x-ms-range'] ?? request.headers.range
  const range = /^bytes=(\d+)-(\d*)$/.exec(String(header ?? 'bytes=0-'))
  const start = Number(range?.[1])
  const last = Math.min(range?.[2] ? Number(range[2]) : bytes - 1, bytes - 1)
  if (range === null || start > last) {
    response.writeHead(416, {
      ...headers,
      'x-ms-error-code': 'InvalidRange',
      'Content-Range': `bytes */${bytes}`,
      'Content-Length': 0,
    })
    response.end()
    return
  }
  response.writeHead(header === undefined ? 200 : 206, {
    ...headers,
    'Content-Length': last - start + 1,
    ...(header === undefined ? {} : { 'Content-Range': `bytes ${start}-${last}/${bytes}` }),
  })
  const body = read(start, last)
  if (Buffer.isBuffer(body)) response.end(body)
  else await pipeline(body, response)
}
