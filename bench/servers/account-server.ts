/**
 * A server of many append blobs made of one file: ranges and listings of the Blob service's REST protocol, and as
 * little CPU as that takes. It answers any container and checks no signature.
 *
 *   node --import tsx bench/servers/account-server.ts FILE hours COUNT     COUNT hours of a server, each with the whole file
 *   node --import tsx bench/servers/account-server.ts FILE pieces COUNT    the file, cut into COUNT blobs at line starts
 *
 * It prints the port of 127.0.0.1 it listens on.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerRange } from './answer-range.ts'
import { listen } from './listen.ts'
import { hoursOf, piecesOf, type ServedBlobs } from './served-blobs.ts'

const pageNames = 5_000

const [path, layout, countText] = process.argv.slice(2)
const count = Number(countText)
if (path === undefined || !Number.isSafeInteger(count) || count < 1) throw new Error('Arguments are missing.')
const blobs = layout === 'hours' ? hoursOf(path, count) : piecesOf(path, count)

listen(async (request, response) => {
  const url = new URL(request.url ?? '', 'http://bench')
  if (url.searchParams.get('comp') === 'list') return answerPage(url, response)
  await answerBlob(request, url, response)
})

async function answerBlob(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
  const name = decodeURIComponent(url.pathname.split('/').slice(3).join('/'))
  const index = blobs.indexOf(name)
  if (index === undefined) {
    response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound', 'Content-Length': 0 }).end()
    return
  }
  await answerRange(request, response, blobs.blob(index))
}

/** A marker is the index of the page's first blob. Only a prefix that holds all blobs is asked for, or none. */
function answerPage(url: URL, response: ServerResponse): void {
  const isAll = blobs.prefix.startsWith(url.searchParams.get('prefix') ?? '')
  const from = Number(url.searchParams.get('marker') ?? 0)
  const end = isAll
    ? Math.min(blobs.count, from + Number(url.searchParams.get('maxresults') ?? pageNames))
    : from
  let items = ''
  for (let index = from; index < end; index += 1) items += itemOf(blobs, index)
  const next = isAll && end < blobs.count ? String(end) : ''
  const xml = `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${items}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`
  response.writeHead(200, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(xml) })
  response.end(xml)
}

/** With the properties that a listing of the service has, because they cost the client memory and time too. */
function itemOf({ nameOf, blob }: ServedBlobs, index: number): string {
  const { bytes, modifiedAt } = blob(index)
  const instant = modifiedAt.toUTCString()
  const etag = `0x${modifiedAt.getTime().toString(16).toUpperCase()}`
  return `<Blob><Name>${nameOf(index)}</Name><Properties><Creation-Time>${instant}</Creation-Time><Last-Modified>${instant}</Last-Modified><Etag>${etag}</Etag><Content-Length>${bytes}</Content-Length><Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5 /><Cache-Control /><Content-Disposition /><BlobType>AppendBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties></Blob>`
}
