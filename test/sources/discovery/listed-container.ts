import { TailraceError } from '../../../src/errors.ts'
import type {
  BlobRead,
  BlobReader,
  ListedBlob,
  ListedPage,
  ListRequest,
  ReadRequest,
} from '../../../src/sources/blob-reader.ts'

/**
 * A container that lists as strictly as the service: names in order, at most 5,000 on a page, prefixes by case, markers
 * that it gave out itself, and SOURCE_MISSING while it does not exist. A read returns one byte of a blob and its length.
 */
export class ListedContainer implements BlobReader {
  readonly container: string
  /** Every request so far. */
  readonly requests: ListRequest[] = []
  exists = true
  /** The blobs that were read, in order. */
  readonly reads: string[] = []
  /** Thrown by reads of blobs with these names. */
  readonly readFaults = new Map<string, Error>()
  /** Thrown by the next listings, in order; undefined for an ordinary answer. */
  readonly faults: (Error | undefined)[] = []
  #blobs = new Map<string, ListedBlob>()
  #names: readonly string[] = []
  #isSorted = true

  constructor(container = 'logs') {
    this.container = container
  }

  put(name: string, modifiedAtMs: number, bytes = 100): void {
    if (!this.#blobs.has(name)) this.#isSorted = false
    this.#blobs.set(name, { name, bytes, createdAt: '20261124T084700Z', modifiedAtMs })
  }

  remove(name: string): void {
    this.#blobs.delete(name)
    this.#isSorted = false
  }

  /** The names of the blobs that were read since the last call. */
  takeReads(): string[] {
    return this.reads.splice(0)
  }

  /** The prefixes of the requests since the last call. */
  takePrefixes(): string[] {
    return this.requests.splice(0).map(({ prefix }) => prefix)
  }

  async listPage(request: ListRequest): Promise<ListedPage> {
    const { prefix, marker, folders: wantsFolders = false, pageNames = 5_000, signal } = request
    signal?.throwIfAborted()
    if (pageNames < 1 || pageNames > 5_000) throw new Error('The service takes 1 to 5,000 names a page.')
    if (marker !== undefined && !marker.startsWith('after:')) throw new Error(`An unknown marker: ${marker}`)
    this.requests.push(request)
    if (this.requests.length > 1_000_000) throw new Error('The test lists without end.')
    const fault = this.faults.shift()
    if (fault !== undefined) throw fault
    if (!this.exists) throw new TailraceError('SOURCE_MISSING', 'ContainerNotFound')

    const names = this.#sorted()
    const after = marker?.slice('after:'.length)
    const blobs: ListedBlob[] = []
    const folders: string[] = []
    for (
      let index = firstAtLeast(names, after === undefined || after < prefix ? prefix : after);
      ;
      index += 1
    ) {
      const name = names[index]
      if (name === undefined || !name.startsWith(prefix)) return { blobs, folders, next: undefined }
      if (after !== undefined && (name <= after || (after.endsWith('/') && name.startsWith(after)))) continue
      if (blobs.length + folders.length >= pageNames) {
        return {
          blobs,
          folders,
          next: `after:${[blobs.at(-1)?.name ?? '', folders.at(-1) ?? ''].sort().at(-1)}`,
        }
      }
      const slash = wantsFolders ? name.indexOf('/', prefix.length) : -1
      if (slash < 0) blobs.push(this.#blobs.get(name) as ListedBlob)
      else {
        const folder = name.slice(0, slash + 1)
        folders.push(folder)
        // On to the first name behind the folder.
        index = firstAtLeast(names, `${folder}\u{10FFFF}`) - 1
      }
    }
  }

  async read(name: string, { offset, maxBytes, ifNoneMatch, signal }: ReadRequest): Promise<BlobRead> {
    signal?.throwIfAborted()
    if (offset !== 0 || maxBytes !== 1) throw new Error('Discovery reads one byte.')
    this.reads.push(name)
    const fault = this.readFaults.get(name)
    if (fault !== undefined) throw fault
    const blob = this.#blobs.get(name)
    if (blob === undefined) return { kind: 'missing', what: this.exists ? 'blob' : 'container' }
    const etag = `${blob.modifiedAtMs} ${blob.bytes}`
    if (etag === ifNoneMatch) return { kind: 'unchanged' }
    if (blob.bytes === 0) return { kind: 'nothing-there' }
    const { bytes: totalBytes, createdAt } = blob
    return { kind: 'bytes', bytes: Buffer.alloc(1), totalBytes, etag, createdAt, blobType: 'append' }
  }

  #sorted(): readonly string[] {
    if (!this.#isSorted) this.#names = [...this.#blobs.keys()].sort()
    this.#isSorted = true
    return this.#names
  }
}

function firstAtLeast(names: readonly string[], wanted: string): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((names[middle] as string) < wanted) low = middle + 1
    else high = middle
  }
  return low
}

/** The names that a look tells, in its order. */
export async function namesOf(look: AsyncIterable<ListedBlob>): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of look) names.push(name)
  return names
}
