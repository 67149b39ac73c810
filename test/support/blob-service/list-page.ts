import { httpDate, typeNames } from './get-blob.ts'
import { errorReply, plainReply, type Reply, type ServiceRequest } from './protocol.ts'
import type { StoredBlob } from './stored-blob.ts'

const mostNames = 5_000

/**
 * One page of List Blobs: blobs, and the folders that a delimiter makes, in name order and counted together.
 *
 * @see https://learn.microsoft.com/rest/api/storageservices/list-blobs (read 2026-11-24)
 */
export function answerList(
  request: ServiceRequest,
  url: URL,
  container: string,
  sortedNames: readonly string[],
  blobs: ReadonlyMap<string, StoredBlob>,
): Reply {
  const asked = Number(url.searchParams.get('maxresults') ?? mostNames)
  if (!Number.isSafeInteger(asked) || asked < 1) {
    return errorReply(request, 400, 'OutOfRangeQueryParameterValue', 'maxresults is out of range.')
  }
  const prefix = url.searchParams.get('prefix') ?? ''
  const delimiter = url.searchParams.get('delimiter') ?? ''
  const marker = url.searchParams.get('marker') ?? ''
  const from = marker === '' ? prefix : Buffer.from(marker, 'base64url').toString()

  const entries: string[] = []
  let next = ''
  for (let at = firstFrom(sortedNames, from); at < sortedNames.length; ) {
    const name = sortedNames[at]!
    if (!name.startsWith(prefix)) break
    if (entries.length === Math.min(asked, mostNames)) {
      next = markerFrom(name)
      break
    }
    const cut = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length)
    if (cut < 0) {
      entries.push(blobXml(name, blobs.get(name)!))
      at += 1
    } else {
      const folder = name.slice(0, cut + delimiter.length)
      entries.push(`<BlobPrefix><Name>${escaped(folder)}</Name></BlobPrefix>`)
      at = firstFrom(sortedNames, `${folder}\uffff`)
    }
  }
  const echoed = Object.entries({ Prefix: prefix, Marker: marker, Delimiter: delimiter })
    .filter(([, value]) => value !== '')
    .map(([tag, value]) => `<${tag}>${escaped(value)}</${tag}>`)
  const body = Buffer.from(
    `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="${url.origin}/" ` +
      `ContainerName="${escaped(container)}">${echoed.join('')}<MaxResults>${asked}</MaxResults>` +
      `<Blobs>${entries.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`,
  )
  return plainReply(200, { 'content-type': 'application/xml', 'content-length': String(body.length) }, body)
}

/** The marker of the page that begins with a name. To callers it is opaque. */
export function markerFrom(name: string): string {
  return Buffer.from(name).toString('base64url')
}

function blobXml(name: string, blob: StoredBlob): string {
  const properties = {
    'Creation-Time': httpDate(blob.createdAtMs),
    'Last-Modified': httpDate(blob.modifiedAtMs),
    // Unlike the header, the listing shows it without quotation marks.
    Etag: blob.etag.slice(1, -1),
    'Content-Length': blob.bytes,
    'Content-Type': 'application/octet-stream',
    BlobType: typeNames[blob.type],
    ...(blob.archived ? { AccessTier: 'Archive' } : {}),
    LeaseStatus: 'unlocked',
    LeaseState: 'available',
    ServerEncrypted: true,
  }
  const tags = Object.entries(properties).map(([tag, value]) => `<${tag}>${value}</${tag}>`)
  return `<Blob><Name>${escaped(name)}</Name><Properties>${tags.join('')}</Properties></Blob>`
}

/** The index of the first name that is not before `from`. */
function firstFrom(sortedNames: readonly string[], from: string): number {
  let low = 0
  for (let high = sortedNames.length; low < high; ) {
    const middle = (low + high) >>> 1
    if (sortedNames[middle]! < from) low = middle + 1
    else high = middle
  }
  return low
}

// Named, as the service writes them: the SDK's parser leaves numbered ones as they are.
const entities: readonly (readonly [string, string])[] = [
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
]

function escaped(text: string): string {
  return entities.reduce((done, [plain, entity]) => done.replaceAll(plain, entity), text)
}

/** @returns the text of a name in a page */
export function unescapedXml(xml: string): string {
  // The ampersand last: it begins all the others.
  return entities.toReversed().reduce((done, [plain, entity]) => done.replaceAll(entity, plain), xml)
}
