/**
 * A server of one file as one append blob: as much of the Blob service's REST protocol as reading ranges takes,
 * and as little CPU. It answers any container and blob name and checks no signature.
 *
 *   node --import tsx bench/range-server.ts FILE    prints the port of 127.0.0.1 it listens on
 */
import { createReadStream, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('Which file?')
const { size, mtime } = statSync(path)
const readBytes = 1024 * 1024

const commonHeaders = {
  'x-ms-version': '2021-12-02',
  'x-ms-blob-type': 'AppendBlob',
  'x-ms-creation-time': mtime.toUTCString(),
  'Last-Modified': mtime.toUTCString(),
  ETag: `"0x${Math.trunc(mtime.getTime()).toString(16).toUpperCase()}"`,
  'Accept-Ranges': 'bytes',
  'Content-Type': 'application/octet-stream',
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'HEAD') {
    response.writeHead(200, { ...commonHeaders, 'Content-Length': size }).end()
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
  const last = Math.min(range?.[2] ? Number(range[2]) : size - 1, size - 1)
  if (range === null || start > last) {
    response.writeHead(416, {
      ...commonHeaders,
      'x-ms-error-code': 'InvalidRange',
      'Content-Range': `bytes */${size}`,
      'Content-Length': 0,
    })
    response.end()
    return
  }
  response.writeHead(header === undefined ? 200 : 206, {
    ...commonHeaders,
    'Content-Length': last - start + 1,
    ...(header === undefined ? {} : { 'Content-Range': `bytes ${start}-${last}/${size}` }),
  })
  await pipeline(createReadStream(path!, { start, end: last, highWaterMark: readBytes }), response)
}

const server = createServer((request, response) => {
  // A reader that goes away in the middle of a range is its own business.
  answer(request, response).catch(() => response.destroy())
})
// Longer than any pause between two requests: a client whose connection is closed meanwhile waits before it repeats.
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('SIGTERM', () => process.exit(0))
