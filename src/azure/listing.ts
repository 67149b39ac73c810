import type { ContainerClient } from '@azure/storage-blob'
import { SaxesParser } from 'saxes'
import { WrongAnswer } from './failure.ts'

/** One blob of a listing. */
export interface ListedName {
  readonly name: string
  readonly bytes: number
  /** Milliseconds since the epoch, in whole seconds; undefined if the service omits it. */
  readonly createdAtMs: number | undefined
  /** Milliseconds since the epoch, in whole seconds. */
  readonly modifiedAtMs: number
}

/** The content of one answer of List Blobs. */
export interface Listing {
  /** Without the folders, which an account with a hierarchical namespace lists as blobs. */
  readonly blobs: readonly ListedName[]
  /** Names of folders, ending in `/`; none in a flat listing. */
  readonly folders: readonly string[]
  /** Marker of the next page; undefined on the last page. */
  readonly next: string | undefined
}

/**
 * Parses one answer of List Blobs: 5,000 names in less than 100 ms.
 *
 * @throws WrongAnswer for an answer that is truncated or not a listing
 * @see https://learn.microsoft.com/rest/api/storageservices/list-blobs (read 2026-11-24)
 */
export function parseListing(xml: string): Listing {
  try {
    return parse(xml)
  } catch (error) {
    if (error instanceof WrongAnswer) throw error
    throw noListing(`: ${error instanceof Error ? error.message : error}`)
  }
}

function parse(xml: string): Listing {
  const blobs: ListedName[] = []
  const folders: string[] = []
  let next: string | undefined
  let isListing = false

  const open: string[] = []
  let fields = new Map<string, string>()
  let isEncoded = false
  let text = ''

  const parser = new SaxesParser({ position: false })
  parser.on('error', (error) => {
    // Names may contain characters that XML forbids. The parser reports and keeps them.
    if (error.message !== 'disallowed character.') throw noListing(`: ${error.message}`)
  })
  parser.on('text', (more) => {
    text += more
  })
  parser.on('opentag', ({ name, attributes }) => {
    // Elements are identified by their parents: a name of metadata may equal any other element's name.
    if (open.at(-1) === 'Blobs') fields = new Map()
    if (name === 'Name') isEncoded = attributes.Encoded === 'true'
    open.push(name)
    text = ''
  })
  parser.on('closetag', ({ name }) => {
    open.pop()
    switch (open.at(-1)) {
      case 'Blob':
      case 'BlobPrefix':
        if (name === 'Name') fields.set(name, isEncoded ? decodeURIComponent(text) : text)
        break
      case 'Properties':
        if (properties.has(name)) fields.set(name, text)
        break
      case 'Metadata':
        if (name === folderMark) fields.set(name, text)
        break
      case 'Blobs':
        if (name === 'BlobPrefix') folders.push(nameOf(fields))
        // Accounts with a hierarchical namespace list folders as empty blobs.
        else if (name === 'Blob' && !isFolder(fields)) blobs.push(blobOf(fields))
        break
      case 'EnumerationResults':
        if (name === 'Blobs') isListing = true
        if (name === 'NextMarker' && text !== '') next = owned(text)
    }
    text = ''
  })
  parser.write(withPlainCharacters(xml)).close()
  if (!isListing) throw noListing('')
  return { blobs, folders, next }
}

const properties = new Set(['Creation-Time', 'Last-Modified', 'Content-Length', 'ResourceType'])
const folderMark = 'hdi_isfolder'

/** In an account without a hierarchical namespace, only the metadata of Hadoop marks a folder. */
function isFolder(fields: ReadonlyMap<string, string>): boolean {
  return fields.get('ResourceType') === 'directory' || fields.get(folderMark) === 'true'
}

function blobOf(fields: ReadonlyMap<string, string>): ListedName {
  const created = fields.get('Creation-Time')
  const blob = {
    name: nameOf(fields),
    bytes: Number(fields.get('Content-Length') ?? 0),
    createdAtMs: created === undefined ? undefined : Date.parse(created),
    modifiedAtMs: Date.parse(fields.get('Last-Modified') ?? ''),
  }
  if (
    !Number.isSafeInteger(blob.bytes) ||
    Number.isNaN(blob.modifiedAtMs) ||
    Number.isNaN(blob.createdAtMs ?? 0)
  )
    throw noListing(': a blob without a length or an instant')
  return blob
}

function nameOf(fields: ReadonlyMap<string, string>): string {
  const name = fields.get('Name')
  if (name === undefined || name === '') throw noListing(': a blob without a name')
  return owned(name)
}

/** @returns a copy: a substring keeps its whole text in memory, and a name may be held for days */
function owned(part: string): string {
  return Buffer.from(part).toString()
}

/** Replaces references to characters that XML forbids by the characters: the parser accepts only the latter. */
function withPlainCharacters(xml: string): string {
  return xml.replace(/&#(?:x([\da-f]{1,6})|(\d{1,7}));/gi, (reference, hex, decimal) => {
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
    const isPlain =
      (code > 0 && code < 0x20 && !/[\t\n\r]/.test(String.fromCharCode(code))) || code >> 1 === 0x7fff
    return isPlain ? String.fromCharCode(code) : reference
  })
}

/** @throws WrongAnswer for a listing with a name that does not begin with `prefix` */
export function requireListed({ blobs, folders }: Listing, prefix: string): void {
  const other = [...blobs.map(({ name }) => name), ...folders].find((name) => !name.startsWith(prefix))
  if (other !== undefined) throw noListing(` of ${prefix}: it has ${other}`)
}

function noListing(why: string): WrongAnswer {
  return new WrongAnswer(`the answer is no listing${why}`)
}

type Pipeline = ContainerClient['storageClientContext']['pipeline']
type Step = Parameters<Pipeline['addPolicy']>[0]

/** A listing for the SDK to parse instead of the real one: it takes a second for 5,000 names. */
const emptyListing = '<EnumerationResults><Blobs></Blobs></EnumerationResults>'

/** The bodies of listings in progress, by the signal of their request. */
const bodies = new WeakMap<object, string | undefined>()

const keepsListings: Step = {
  name: 'keepsListings',
  async sendRequest(request, next) {
    const response = await next(request)
    const { abortSignal } = request
    // The SDK parses the body of an error.
    if (response.status === 200 && abortSignal !== undefined && bodies.has(abortSignal)) {
      bodies.set(abortSignal, response.bodyAsText ?? '')
      response.bodyAsText = emptyListing
      // Without this type, or with that of a proxy's page, the SDK would not parse it as XML.
      response.headers.set('content-type', 'application/xml')
    }
    return response
  },
}

/**
 * Takes the body of a listing before the SDK parses it. The SDK still sends the request and handles its errors.
 *
 * The SDK's option for this, `shouldDeserialize`, takes effect only after it has parsed the XML.
 *
 * @param signal the signal of the one request whose body is taken
 * @returns a function that returns the body once the request is answered
 */
export function takeListing(client: ContainerClient, signal: AbortSignal): () => string {
  // biome-ignore lint/complexity/useLiteralKeys: it is protected, and there is no other way to add a policy to an existing client.
  const { pipeline } = client['storageClientContext']
  if (!pipeline.getOrderedPolicies().includes(keepsListings))
    pipeline.addPolicy(keepsListings, { afterPhase: 'Deserialize' })
  bodies.set(signal, undefined)
  return () => {
    const body = bodies.get(signal)
    bodies.delete(signal)
    if (body === undefined) throw new Error('the body of the listing was not captured')
    return body
  }
}
