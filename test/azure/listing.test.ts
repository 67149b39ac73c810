import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type {
  ContainerClient,
  ContainerListBlobFlatSegmentResponse,
  ContainerListBlobHierarchySegmentResponse,
} from '@azure/storage-blob'
import fc from 'fast-check'
import { type Listing, parseListing } from '../../src/azure/listing.ts'
import { ContainerClient as Client } from '../../src/azure/sdk.ts'
import { isTailraceError } from '../../src/errors.ts'
import { instantOf } from '../../src/records.ts'
import type { ListedPage, ListRequest } from '../../src/sources/blob-reader.ts'
import { EmbeddedStorage } from '../../src/sources/embedded/embedded-storage.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { misbehavingReader, misbehavingServer } from '../sources/storage-fixture.ts'
import {
  type StorageUnderTest,
  storageInAzurite,
  storageInMemory,
} from '../support/blob-service/storage-under-test.ts'

let azurite: EmbeddedStorage
before(async () => {
  azurite = await EmbeddedStorage.start()
})
after(() => azurite.stop())

// What a name in Azure may hold, and more: the service allows any character in the right encoding.
const anyName = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...'/ab &<>"\'%;#\t]'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 12,
  })
  // In XML a plain carriage return is a line feed.
  .filter((name) => !name.includes('\r'))
const anyNames = fc.uniqueArray(anyName, { minLength: 1, maxLength: 12 })

test('pages of any names are what the SDK makes of them, flat and by folders', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyNames,
      fc.boolean(),
      fc.integer({ min: 1, max: 5 }),
      async (names, folders, pageNames) => {
        const storage = await storageInMemory()
        for (const name of names) await storage.writer.create(name)
        await storage.writer.append(names[0] as string, 'abc')
        const listed = await assertAsTheSdk(storage, { prefix: '', folders, pageNames })
        const told = listed.flatMap(({ blobs }) => blobs.map(({ name }) => name))
        if (!folders) assert.deepEqual(told, names.toSorted(byUnits))
      },
    ),
  )
})

test("the emulator's pages are what the SDK makes of them, flat and by folders", async () => {
  const storage = await storageInAzurite(azurite.connectionString)
  const names = ['a', ' b ', 'ä &<"%>\'', 'c/€/😀', 'c/d', 'e&amp;#65;', 'f%20g', 'h/i/j', 'k\u007f', '&#1;']
  for (const name of names) await storage.writer.create(name)
  await storage.writer.append('c/d', 'abc')
  const flat = await assertAsTheSdk(storage, { prefix: '', pageNames: 3 })
  assert.deepEqual(
    flat.flatMap(({ blobs }) => blobs.map(({ name }) => name)),
    names.toSorted(byUnits),
  )
  await assertAsTheSdk(storage, { prefix: '', folders: true, pageNames: 2 })
  await assertAsTheSdk(storage, { prefix: 'c/', folders: true })
})

test("a page of the service's shape is what the SDK makes of it", async (t) => {
  for (const body of [
    hierarchyPage,
    hierarchyPage.replaceAll('\n', ''),
    hierarchyPage.replaceAll('\n', '\r\n  '),
  ]) {
    const origin = await misbehavingServer(
      t,
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/xml' }).end(body),
    )
    const container = new Client(`${origin}/account/logs`, undefined, { retryOptions: { maxTries: 1 } })
    const page = await new AzureBlobReader(container).listPage({ prefix: '', folders: true })
    assert.deepEqual(page, await sdkPage(container, { prefix: '', folders: true }))
    assert.deepEqual(page, {
      blobs: [
        {
          name: 'y=2026/a&b "c"\ufffe%.json',
          bytes: 5_497_558_138_880,
          createdAt: '20261124T084700Z',
          modifiedAtMs: Date.UTC(2026, 10, 24, 9, 47, 1),
        },
        {
          name: ' as/it is%20 ',
          bytes: 0,
          createdAt: 'unknown',
          modifiedAtMs: Date.UTC(2026, 10, 24, 9, 47, 2),
        },
      ],
      folders: ['y=2026/m=11/', 'y=2026/\uffff/'],
      next: '2!92!MDAwMDE5&',
    })
  }
})

test('a folder is known by its type or by its metadata', () => {
  const listed = (more: string) => parseListing(pageOf('a').replace('</Properties>', more)).blobs.length
  assert.equal(listed('<ResourceType>directory</ResourceType></Properties>'), 0)
  assert.equal(listed('</Properties><Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>'), 0)
  assert.equal(listed('<ResourceType>file</ResourceType></Properties><Metadata />'), 1)
})

test('characters by their number are themselves, also those that XML does not allow', () => {
  const references = '&#65;&#x20AC;&#x1F600;&#xD;&#10;&#1;&#x1f;&#xFFFE;&amp;#66;'
  assert.equal(parseListing(pageOf(references)).blobs[0]?.name, 'A€😀\r\n\u0001\u001f\ufffe&#66;')
  for (const none of ['&#0;', '&#x110000;', '&unknown;', '& '])
    assert.throws(() => parseListing(pageOf(none)))
})

test('names of metadata and of unknown elements are not taken for a blob', () => {
  const { blobs } = parseListing(
    pageOf('a').replace(
      '</Properties>',
      '</Properties><Metadata><Name>b</Name><Blob>c</Blob><ResourceType>directory</ResourceType></Metadata><Tags><Name>d</Name></Tags>',
    ),
  )
  assert.deepEqual(
    blobs.map(({ name }) => name),
    ['a'],
  )
})

test('a page that is cut short anywhere, or is something else, is no listing', () => {
  const whole = hierarchyPage.trimEnd()
  for (let end = 0; end < whole.length; end += 1)
    assert.throws(() => parseListing(whole.slice(0, end)), /the answer is no listing/, `cut at ${end}`)
  const others = [
    '<html><body>Sign in</body></html>',
    '<!doctype html><html><body><br>Sign in</body></html>',
    '{"blobs":[]}',
    '<EnumerationResults/>',
    '<EnumerationResults><Containers/></EnumerationResults>',
    pageOf('a').replace('<Name>a</Name>', ''),
    pageOf('a').replace('Tue, 24 Nov 2026 09:47:00 GMT', 'lately'),
    pageOf('a').replace('</Properties>', '<Content-Length>many</Content-Length></Properties>'),
  ]
  for (const other of others) assert.throws(() => parseListing(other), /the answer is no listing/, other)
})

test('a page that cannot be read is SOURCE_UNAVAILABLE and says so; an error is still read by the SDK', async (t) => {
  const answers: [number, string][] = [
    [200, hierarchyPage.slice(0, -30)],
    [404, '<?xml version="1.0"?><Error><Code>ContainerNotFound</Code><Message>None.</Message></Error>'],
    [200, hierarchyPage],
  ]
  const origin = await misbehavingServer(t, (_request, response) => {
    const [status, body] = answers.shift() ?? [500, '']
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
  })
  const client = new Client(`${origin}/account/logs`, undefined, { retryOptions: { maxTries: 1 } })
  const reader = new AzureBlobReader(client)
  await assert.rejects(
    reader.listPage({ prefix: 'p' }),
    (error) =>
      isTailraceError(error, 'SOURCE_UNAVAILABLE') &&
      /answer is no listing: unclosed tag/.test(error.message),
  )
  await assert.rejects(
    reader.listPage({ prefix: 'p' }),
    (error) => isTailraceError(error, 'SOURCE_MISSING') && error.context.service === 'ContainerNotFound',
  )
  assert.equal((await reader.listPage({ prefix: '' })).blobs.length, 2)
})

test('a name that is kept does not keep its page in memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const filler = `<Metadata><x>${'x'.repeat(1_000_000)}</x></Metadata></Blob>`
  const kept: Listing[] = []
  collect()
  const before = process.memoryUsage().heapUsed
  for (let page = 0; page < 30; page += 1)
    kept.push(parseListing(pageOf(`a-long-enough-name-${page}`).replace('</Blob>', filler)))
  collect()
  const grown = process.memoryUsage().heapUsed - before
  assert.equal(kept.length, 30)
  assert.ok(grown < 5_000_000, `${grown} bytes more`)
})

test("a proxy's page in place of a listing is SOURCE_UNAVAILABLE and says so, whatever type it has", async (t) => {
  for (const type of [{}, { 'content-type': 'text/html' }, { 'content-type': 'application/json' }]) {
    const reader = await misbehavingReader(
      t,
      (_request, response) => void response.writeHead(200, type).end('<html><body>Sign in</body></html>'),
    )
    await assert.rejects(
      reader.listPage({ prefix: '' }),
      (error) => isTailraceError(error, 'SOURCE_UNAVAILABLE') && /answer is no listing/.test(error.message),
    )
  }
})

/** The pages of a listing, each of them compared with what the SDK reads out of the same. */
async function assertAsTheSdk(
  { reader, container, settle }: StorageUnderTest,
  request: ListRequest,
): Promise<readonly ListedPage[]> {
  const pages: ListedPage[] = []
  for (let marker: string | undefined; ; ) {
    const next = { ...request, ...(marker === undefined ? {} : { marker }) }
    const page = await settle(reader.listPage(next))
    // The same client, so this also says that other listings are left to the SDK.
    assert.deepEqual(page, await settle(sdkPage(container, next)))
    pages.push(page)
    marker = page.next
    if (marker === undefined) return pages
  }
}

type SdkPage = ContainerListBlobFlatSegmentResponse | ContainerListBlobHierarchySegmentResponse

async function sdkPage(container: ContainerClient, request: ListRequest): Promise<ListedPage> {
  const { signal } = new AbortController()
  const options = { prefix: request.prefix, includeMetadata: true, abortSignal: signal }
  const paging = {
    maxPageSize: request.pageNames ?? 5_000,
    ...(request.marker === undefined ? {} : { continuationToken: request.marker }),
  }
  const pages =
    request.folders === true
      ? container.listBlobsByHierarchy('/', options).byPage(paging)
      : container.listBlobsFlat(options).byPage(paging)
  const step = await pages.next()
  assert.ok(step.done !== true)
  const { segment, continuationToken }: SdkPage = step.value
  return {
    blobs: segment.blobItems
      .filter(({ metadata }) => metadata?.hdi_isfolder !== 'true')
      .map(({ name, properties }) => ({
        name,
        bytes: properties.contentLength ?? 0,
        createdAt: instantOf(properties.createdOn),
        modifiedAtMs: properties.lastModified.getTime(),
      })),
    folders: 'blobPrefixes' in segment ? (segment.blobPrefixes ?? []).map(({ name }) => name) : [],
    next: continuationToken === '' ? undefined : continuationToken,
  }
}

function byUnits(one: string, other: string): number {
  return one < other ? -1 : 1
}

function pageOf(nameXml: string): string {
  return `<EnumerationResults><Blobs><Blob><Name>${nameXml}</Name><Properties><Last-Modified>Tue, 24 Nov 2026 09:47:00 GMT</Last-Modified></Properties></Blob></Blobs><NextMarker /></EnumerationResults>`
}

const hierarchyPage = `\ufeff<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="https://account.blob.core.windows.net/" ContainerName="logs">
<Prefix>y=2026/</Prefix>
<MaxResults>5000</MaxResults>
<Delimiter>/</Delimiter>
<Blobs>
<Blob>
<Name Encoded="true">y%3D2026%2Fa%26b%20%22c%22%EF%BF%BE%25.json</Name>
<Properties>
<Creation-Time>Tue, 24 Nov 2026 08:47:00 GMT</Creation-Time>
<Last-Modified>Tue, 24 Nov 2026 09:47:01 GMT</Last-Modified>
<Etag>0x8DB67D8AEDF1AE3</Etag>
<ResourceType>file</ResourceType>
<Content-Length>5497558138880</Content-Length>
<Content-Type>application/octet-stream</Content-Type>
<Content-Encoding />
<Content-MD5 />
<Cache-Control />
<BlobType>AppendBlob</BlobType>
<LeaseStatus>unlocked</LeaseStatus>
<LeaseState>available</LeaseState>
<ServerEncrypted>true</ServerEncrypted>
</Properties>
<Metadata><who>a &lt; b</who></Metadata>
<OrMetadata />
</Blob>
<Blob>
<Name> as/it is%20 </Name>
<Properties>
<Last-Modified>Tue, 24 Nov 2026 09:47:02 GMT</Last-Modified>
</Properties>
</Blob>
<Blob>
<Name>y=2026/folder</Name>
<Properties>
<Creation-Time>Tue, 24 Nov 2026 08:47:00 GMT</Creation-Time>
<Last-Modified>Tue, 24 Nov 2026 09:47:00 GMT</Last-Modified>
<ResourceType>directory</ResourceType>
<Content-Length>0</Content-Length>
<BlobType>BlockBlob</BlobType>
</Properties>
<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>
</Blob>
<BlobPrefix>
<Name>y=2026/m=11/</Name>
<Properties>
<Last-Modified>Tue, 24 Nov 2026 09:47:00 GMT</Last-Modified>
<ResourceType>directory</ResourceType>
</Properties>
</BlobPrefix>
<BlobPrefix>
<Name Encoded="true">y%3D2026%2F%EF%BF%BF%2F</Name>
</BlobPrefix>
</Blobs>
<NextMarker>2!92!MDAwMDE5&amp;</NextMarker>
</EnumerationResults>
`
