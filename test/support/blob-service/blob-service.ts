import type { Clock } from '../../../src/clock.ts'
import type { BlobType } from '../../../src/sources/blob-reader.ts'
import { answerGet } from './get-blob.ts'
import { answerList } from './list-page.ts'
import { errorReply, type Reply, type ServiceRequest, type StorageServer } from './protocol.ts'
import { StoredBlob, type StoredGeneration } from './stored-blob.ts'

interface Container {
  readonly blobs: Map<string, StoredBlob>
  /** Every generation of a name, the oldest first; a name keeps them when its blob is removed. */
  readonly generations: Map<string, StoredBlob[]>
  /** In listing order; undefined after a name came or went. */
  sortedNames: string[] | undefined
}

/**
 * One account of Azure Blob storage in memory: what writers do are methods, what readers do are requests of the REST
 * protocol, answered as a real account does.
 *
 * It is well-behaved; `MisbehavingService` is not. It knows only what reading needs (Get Blob, Get Blob Properties,
 * List Blobs) and takes every request as authorized; anything else is a 400, so that a test cannot rely on it.
 */
export class BlobService implements StorageServer {
  readonly clock: Clock
  #containers = new Map<string, Container>()
  #changes = 0
  #requests = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  createContainer(container: string): void {
    if (!this.#containers.has(container)) {
      this.#containers.set(container, { blobs: new Map(), generations: new Map(), sortedNames: [] })
    }
  }

  /** Makes an empty or a filled blob where none is. */
  create(container: string, name: string, content: Buffer | string = '', type: BlobType = 'append'): void {
    if (this.find(container, name)) throw new Error(`${name} exists already.`)
    const last = this.generations(container, name).at(-1)
    this.#put(container, name, content, type, Math.max(this.clock.now(), (last?.createdAtMs ?? 0) + 1000))
  }

  append(container: string, name: string, bytes: Buffer | string): void {
    const blob = this.#existing(container, name)
    blob.append(Buffer.from(bytes))
    this.#changed(blob)
  }

  /**
   * Put Blob over an existing one: another generation.
   *
   * @param creationTime reports conflict on whether a real account renews it; 'kept' is the one that hides the change
   */
  overwrite(
    container: string,
    name: string,
    content: Buffer | string,
    creationTime: 'kept' | 'renewed' = 'kept',
  ): void {
    const { type, createdAtMs } = this.#existing(container, name)
    const renewed = Math.max(this.clock.now(), createdAtMs + 1000)
    this.#put(container, name, content, type, creationTime === 'kept' ? createdAtMs : renewed)
  }

  /** Delete and create: another generation with another creation time, though both may be in one second. */
  recreate(container: string, name: string, content: Buffer | string = ''): void {
    const { type } = this.#existing(container, name)
    this.remove(container, name)
    this.create(container, name, content, type)
  }

  /** The first bytes stay under the same creation time: another generation all the same. */
  truncate(container: string, name: string, bytes: number): void {
    this.overwrite(container, name, this.content(container, name).subarray(0, bytes), 'kept')
  }

  remove(container: string, name: string): void {
    this.#existing(container, name)
    const found = this.#container(container)
    found.blobs.delete(name)
    found.sortedNames = undefined
  }

  /** Another ETag and modification time, and nothing else: what setting metadata does. */
  touch(container: string, name: string): void {
    this.#changed(this.#existing(container, name))
  }

  /** An archived blob is listed and has properties, but answers no read. */
  setArchived(container: string, name: string, archived: boolean): void {
    this.#existing(container, name).archived = archived
  }

  find(container: string, name: string): StoredBlob | undefined {
    return this.#containers.get(container)?.blobs.get(name)
  }

  /** What the blob holds now. */
  content(container: string, name: string): Buffer {
    return this.#existing(container, name).content
  }

  /** Every generation that was ever under the name, the oldest first. */
  generations(container: string, name: string): readonly StoredGeneration[] {
    return this.#container(container).generations.get(name) ?? []
  }

  answer(request: ServiceRequest): Reply {
    this.#requests += 1
    const reply = this.#answer(request)
    if (reply.head === undefined) return reply
    const id = `${this.#requests.toString(16).padStart(8, '0')}-001e-0000-0000-000000000000`
    return { ...reply, head: { ...reply.head, headers: { ...reply.head.headers, 'x-ms-request-id': id } } }
  }

  #answer(request: ServiceRequest): Reply {
    const url = new URL(request.url, 'http://storage')
    const [, , container = '', ...path] = url.pathname.split('/').map(decodeURIComponent)
    const name = path.join('/')
    const found = this.#containers.get(container)
    if (found === undefined) {
      return errorReply(request, 404, 'ContainerNotFound', 'The specified container does not exist.')
    }
    const { method } = request
    if (method === 'GET' && name === '' && url.searchParams.get('comp') === 'list') {
      found.sortedNames ??= [...found.blobs.keys()].sort()
      return answerList(request, url, container, found.sortedNames, found.blobs)
    }
    if ((method === 'GET' || method === 'HEAD') && name !== '' && !url.searchParams.has('comp')) {
      return answerGet(request, found.blobs.get(name), this.clock.now())
    }
    return errorReply(request, 400, 'InvalidQueryParameterValue', 'Not a request this service knows.')
  }

  #put(container: string, name: string, content: Buffer | string, type: BlobType, createdAtMs: number): void {
    const found = this.#container(container)
    const stamp = { createdAtMs, nowMs: this.clock.now(), etag: this.#nextEtag() }
    const blob = new StoredBlob(type, Buffer.from(content), stamp)
    if (!found.blobs.has(name)) found.sortedNames = undefined
    found.blobs.set(name, blob)
    const generations = found.generations.get(name)
    if (generations) generations.push(blob)
    else found.generations.set(name, [blob])
  }

  #changed(blob: StoredBlob): void {
    blob.modifiedAtMs = this.clock.now()
    blob.etag = this.#nextEtag()
  }

  #nextEtag(): string {
    this.#changes += 1
    return `"0x${(0x8de_0000_0000 + this.#changes).toString(16).toUpperCase()}"`
  }

  #container(container: string): Container {
    const found = this.#containers.get(container)
    if (found === undefined) throw new Error(`There is no container ${container}.`)
    return found
  }

  #existing(container: string, name: string): StoredBlob {
    const blob = this.#container(container).blobs.get(name)
    if (blob === undefined) throw new Error(`There is no blob ${name}.`)
    return blob
  }
}
