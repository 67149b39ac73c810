/**
 * A server of a storage account in which servers of Azure Monitor write a line a minute each, in real time: as much of the
 * Blob service's REST protocol as following them takes. It answers any container and checks no signature.
 *
 *   node --import tsx bench/servers/fleet-server.ts SERVERS HOURS    with so many hours before the current one
 *
 * It prints the port of 127.0.0.1 it listens on.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { systemClock } from '../../src/clock.ts'
import type { ListedPage } from '../../src/sources/blob-reader.ts'
import { hourMs } from '../../src/sources/discovery/azure-monitor-layout.ts'
import { fleetBlobs } from '../measures/fleet-blobs.ts'
import { VirtualContainer } from '../measures/virtual-container.ts'
import { listen } from './listen.ts'

const [servers, hours] = process.argv.slice(2).map(Number)
if (servers === undefined || hours === undefined) throw new Error('How many servers, and how many hours?')
const firstHourMs = Math.floor(Date.now() / hourMs) * hourMs - hours * hourMs
// A day more than is over: the hours to come.
const container = new VirtualContainer(fleetBlobs(servers, firstHourMs, hours + 24), systemClock)

listen(async (request, response) => {
  const url = new URL(request.url ?? '', 'http://bench')
  if (url.searchParams.get('comp') === 'list') await answerPage(url.searchParams, response)
  else await answerBlob(request, decodeURIComponent(url.pathname.split('/').slice(3).join('/')), response)
})

async function answerBlob(request: IncomingMessage, name: string, response: ServerResponse): Promise<void> {
  const range = /^bytes=(\d+)-(\d*)$/.exec(String(request.headers['x-ms-range'] ?? 'bytes=0-'))
  const offset = Number(range?.[1])
  const maxBytes = range?.[2] ? Number(range[2]) + 1 - offset : Number.MAX_SAFE_INTEGER
  const ifNoneMatch = request.headers['if-none-match']
  const read = await container.read(name, { offset, maxBytes, ifNoneMatch, signal: undefined })
  const version = { 'x-ms-version': '2021-12-02' }
  const refuse = (status: number, code: string): void => {
    response.writeHead(status, { ...version, 'x-ms-error-code': code, 'Content-Length': 0 }).end()
  }
  switch (read.kind) {
    case 'missing':
      return refuse(404, 'BlobNotFound')
    case 'unchanged':
      return refuse(304, 'ConditionNotMet')
    case 'nothing-there':
      return refuse(416, 'InvalidRange')
    case 'bytes': {
      const { bytes, totalBytes, createdAt, etag } = read
      const last = offset + bytes.length - 1
      const created = new Date(
        createdAt.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, '$1-$2-$3:$4:'),
      ).toUTCString()
      response.writeHead(206, {
        ...version,
        'x-ms-blob-type': 'AppendBlob',
        'x-ms-creation-time': created,
        'Last-Modified': new Date().toUTCString(),
        ETag: etag,
        'Content-Type': 'application/octet-stream',
        'Content-Length': bytes.length,
        'Content-Range': `bytes ${offset}-${last}/${totalBytes}`,
      })
      response.end(bytes)
    }
  }
}

async function answerPage(asked: URLSearchParams, response: ServerResponse): Promise<void> {
  const page = await container.listPage({
    prefix: asked.get('prefix') ?? '',
    marker: asked.get('marker') ?? undefined,
    folders: asked.get('delimiter') === '/',
    pageNames: Number(asked.get('maxresults') ?? 5_000),
    signal: undefined,
  })
  const xml = `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${itemsOf(page)}</Blobs><NextMarker>${page.next ?? ''}</NextMarker></EnumerationResults>`
  response.writeHead(200, { 'Content-Type': 'application/xml', 'Content-Length': Buffer.byteLength(xml) })
  response.end(xml)
}

/** With the properties that a listing of the service has, because they cost the client memory and time too. */
function itemsOf({ blobs, folders }: ListedPage): string {
  const items = blobs.map(({ name, bytes, createdAt, modifiedAtMs }) => {
    const created = new Date(
      createdAt.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, '$1-$2-$3:$4:'),
    ).toUTCString()
    const modified = new Date(modifiedAtMs).toUTCString()
    return `<Blob><Name>${name}</Name><Properties><Creation-Time>${created}</Creation-Time><Last-Modified>${modified}</Last-Modified><Etag>0x${modifiedAtMs.toString(16)}</Etag><Content-Length>${bytes}</Content-Length><Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5 /><Cache-Control /><Content-Disposition /><BlobType>AppendBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties></Blob>`
  })
  return [...items, ...folders.map((folder) => `<BlobPrefix><Name>${folder}</Name></BlobPrefix>`)].join('')
}
