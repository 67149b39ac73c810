import { randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { ContainerClient } from '@azure/storage-blob'
import {
  type ContainerClients,
  ContainerRequests,
  type FolderPage,
} from '../../../azure/container-requests.ts'
import { storageFailure } from '../../../azure/failure.ts'
import { azureTableError, credentialError } from '../../../azure/table-errors.ts'
import { type Clock, systemClock } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { type RetryOptions, retry } from '../../../retry.ts'
import { blobRanges, Slots, type TransferContext, uploadFile } from './azure-transfer.ts'
import type { DeltaStorage, FolderContents, LocalFile, PutOutcome, StoredObject } from './delta-storage.ts'
import { isMissingFile, withFileErrors } from './file-errors.ts'

export interface AzureDeltaStorageOptions {
  /** A client whose credential does not expire, or a source of clients that renews credentials. */
  readonly container: ContainerClient | ContainerClients
  /** The container's address for logs and messages. Default: the client's URL without its query. */
  readonly containerUrl?: string | undefined
  /** The table's folder in the container, without slashes at its ends; empty for the whole container. */
  readonly folder: string
  /** Directory for the copies of `localFile`, each in a folder `download-…`. Must exist. */
  readonly downloadDirectory: string
  /** How failed requests are repeated. Default: until they succeed. The signal also ends running requests. */
  readonly retry?: RetryOptions | undefined
  /** Longest wait for the head of an answer, in milliseconds. Default 30,000. */
  readonly firstByteMs?: number | undefined
  /** Longest pause between two parts of a body, in milliseconds. Default 30,000. */
  readonly idleMs?: number | undefined
  /** Size of one request's body, which is held in memory. Default 4 MiB. */
  readonly blockBytes?: number | undefined
  /** Concurrent bodies. Default 4. */
  readonly maxTransfers?: number | undefined
  /** Total size of all unreleased copies. Default 32 GiB. */
  readonly maxCopyBytes?: number | undefined
}

const MiB = 1024 * 1024

/** Maximum of the service (https://learn.microsoft.com/rest/api/storageservices/list-blobs). */
const namesPerPage = 5_000

/** Error codes for "the path is taken", of the Blob and the Data Lake endpoint; other 409s and 412s are refusals. */
const takenCodes = new Set([
  'BlobAlreadyExists',
  'PathAlreadyExists',
  'ConditionNotMet',
  'TargetConditionNotMet',
])

/** Metadata key for the id of the request that created a blob. The service requires a C# identifier as the name. */
const requestKey = 'tailracerequest'

/**
 * A table in a container of Azure Blob Storage or Data Lake Storage Gen2.
 *
 * An object is created by one Put Blob with `If-None-Match: *`, which succeeds for one writer only. Each such request
 * stores its own id in the blob's metadata, so that after a lost reply the metadata shows which writer succeeded. Every
 * other request is idempotent and is repeated until it is answered.
 */
export class AzureDeltaStorage implements DeltaStorage {
  readonly location: string
  readonly #requests: ContainerRequests
  readonly #folder: string
  readonly #downloadDirectory: string
  readonly #retry: RetryOptions
  readonly #clock: Clock
  readonly #transfer: TransferContext
  readonly #maxCopyBytes: number
  #copyBytes = 0

  constructor(options: AzureDeltaStorageOptions) {
    const { container, folder, retry = {}, firstByteMs = 30_000, idleMs = 30_000 } = options
    const containerUrl = options.containerUrl ?? ('url' in container ? plainUrl(container.url) : '')
    this.location = folder === '' ? containerUrl : `${containerUrl}/${folder}`
    this.#folder = folder
    this.#downloadDirectory = options.downloadDirectory
    this.#retry = retry
    this.#maxCopyBytes = options.maxCopyBytes ?? 32 * 1024 * MiB
    const { clock = systemClock, signal } = retry
    this.#clock = clock
    const clients = 'current' in container ? translated(container, clock) : permanent(container)
    this.#requests = new ContainerRequests({ clients, clock, signal, firstByteMs, idleMs })
    this.#transfer = {
      requests: this.#requests,
      blockBytes: options.blockBytes ?? 4 * MiB,
      slots: new Slots(options.maxTransfers ?? 4),
      retrying: (what, request) => this.#retrying(what, request),
    }
  }

  /** Deletes no leftovers: the service itself drops uncommitted blocks after a week. */
  async prepare(): Promise<void> {
    await this.#retrying('listing the table', () =>
      this.#requests.page({ folder: this.#nameOf('_delta_log/'), prefix: '', maxNames: 1 }),
    )
  }

  async putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome> {
    const name = this.#nameOf(path)
    const request = randomUUID()
    try {
      await this.#requests.put(name, bytes, { ifAbsent: true, metadata: { [requestKey]: request } })
      return 'created'
    } catch (error) {
      if (takenCodes.has(storageFailure(error, this.#clock.now())?.service ?? '')) return 'exists'
      const failure = azureTableError(error, `creating ${path}`, this.#clock.now())
      if (!isTailraceError(failure, 'TABLE_UNAVAILABLE')) throw failure
      return this.#outcomeOf(request, name, path)
    }
  }

  async put(path: string, bytes: Buffer): Promise<void> {
    const name = this.#nameOf(path)
    await this.#retrying(`writing ${path}`, () => this.#requests.put(name, bytes))
  }

  async read(path: string): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    for await (const { bytes } of blobRanges(this.#nameOf(path), this.#transfer)) parts.push(bytes)
    return parts.length === 0 ? undefined : Buffer.concat(parts)
  }

  async list(folder: string, prefix = ''): Promise<string[]> {
    const names: string[] = []
    for await (const page of this.pages(folder, prefix)) for (const { name } of page) names.push(name)
    return names
  }

  async *pages(folder: string, prefix = ''): AsyncGenerator<readonly StoredObject[]> {
    for await (const { blobs } of this.#pages(folder, prefix)) yield blobs
  }

  async contentsOf(folder: string): Promise<FolderContents> {
    const objects: StoredObject[] = []
    const folders: string[] = []
    for await (const page of this.#pages(folder, '')) {
      for (const object of page.blobs) objects.push(object)
      for (const name of page.folders) folders.push(name)
    }
    return { objects, folders }
  }

  async *#pages(path: string, prefix: string): AsyncGenerator<FolderPage> {
    const name = path === '' ? this.#folder : this.#nameOf(path)
    const folder = name === '' ? '' : `${name}/`
    for (let marker: string | undefined; ; ) {
      const page = await this.#retrying(`listing ${path}`, () =>
        this.#requests.page({ folder, prefix, marker, maxNames: namesPerPage }),
      )
      yield page
      if (page.next === undefined) return
      marker = page.next
    }
  }

  async remove(path: string): Promise<void> {
    const name = this.#nameOf(path)
    await this.#retrying(`deleting ${path}`, () => this.#requests.remove(name))
  }

  /** Keeps the local file, so that nothing has to be downloaded when the commit fails. */
  async putFile(localPath: string, path: string): Promise<void> {
    const name = this.#nameOf(path)
    const bytes = await this.#withFile(path, async () => {
      const file = await open(localPath)
      try {
        return await uploadFile(file, name, this.#transfer)
      } finally {
        await file.close()
      }
    })
    const found = await this.#retrying(`checking ${path}`, () => this.#requests.facts(name))
    if (found?.totalBytes === bytes) return
    throw new TailraceError(
      'TABLE_UNAVAILABLE',
      `The upload of ${path} is incomplete: expected ${bytes} bytes, found ${found?.totalBytes ?? 'no file'}.`,
      { context: { expected: bytes, found: found?.totalBytes } },
    )
  }

  async withdrawFile(path: string, localPath: string): Promise<void> {
    const isHere = await withFileErrors(localPath, () =>
      stat(localPath).then(
        () => true,
        (error) => {
          if (isMissingFile(error)) return false
          throw error
        },
      ),
    )
    if (!isHere) {
      const copy = await this.localFile(path)
      try {
        await withFileErrors(localPath, () => rename(copy.path, localPath))
      } finally {
        await copy.release()
      }
    }
    await this.remove(path)
  }

  async localFile(path: string): Promise<LocalFile> {
    const folder = join(this.#downloadDirectory, `download-${randomUUID()}`)
    const target = join(folder, posix.basename(path))
    let copied = 0
    const release = async (): Promise<void> => {
      this.#copyBytes -= copied
      copied = 0
      await rm(folder, { recursive: true, force: true })
    }
    try {
      await this.#withFile(target, async () => {
        await mkdir(folder)
        const file = await open(target, 'wx')
        try {
          let reserved = false
          for await (const { bytes, totalBytes } of blobRanges(this.#nameOf(path), this.#transfer)) {
            if (!reserved) this.#reserve(totalBytes, path)
            copied = totalBytes
            reserved = true
            await file.writeFile(bytes)
          }
          if (!reserved)
            throw new TailraceError('TABLE_CORRUPT', `${path} is missing in the table's storage.`)
        } finally {
          await file.close()
        }
      })
    } catch (error) {
      await release()
      throw error
    }
    const keep = async (): Promise<boolean> => {
      const now = new Date(this.#clock.now())
      try {
        await utimes(folder, now, now)
        return true
      } catch {
        return false
      }
    }
    return { path: target, release, keep }
  }

  async serviceTimeMs(path: string): Promise<number | undefined> {
    const facts = await this.#retrying(`checking ${path}`, () => this.#requests.facts(this.#nameOf(path)))
    return facts?.answeredAtMs
  }

  /**
   * Finds out after a lost reply whether the request created the blob, by the request id in its metadata. While the blob
   * is missing, the request may still be executed.
   */
  async #outcomeOf(request: string, name: string, path: string): Promise<PutOutcome> {
    try {
      const found = await this.#retrying(`checking ${path}`, () => this.#requests.facts(name))
      if (found === undefined) return 'unknown'
      return found.metadata[requestKey] === request ? 'created' : 'exists'
    } catch {
      // Throwing would claim that nothing was created.
      return 'unknown'
    }
  }

  /** Repeats an idempotent request. When the signal has fired, it fails with the signal's reason. */
  #retrying<T>(what: string, request: () => Promise<T>): Promise<T> {
    return retry(
      () =>
        request().catch((error: unknown) => {
          this.#retry.signal?.throwIfAborted()
          throw azureTableError(error, what, this.#clock.now())
        }),
      this.#retry,
    )
  }

  /** Runs work on a local file that also waits for requests. The signal's reason is not translated as a file error. */
  #withFile<T>(what: string, work: () => Promise<T>): Promise<T> {
    return withFileErrors(what, work).catch((error: unknown) => {
      this.#retry.signal?.throwIfAborted()
      throw error
    })
  }

  /** @throws TABLE_TOO_LARGE when all unreleased copies together would exceed `maxCopyBytes` */
  #reserve(bytes: number, path: string): void {
    if (this.#copyBytes + bytes > this.#maxCopyBytes) {
      throw new TailraceError(
        'TABLE_TOO_LARGE',
        `${path} cannot be copied: at most ${this.#maxCopyBytes} bytes of the table are kept here at the same time.`,
        { context: { limitBytes: this.#maxCopyBytes, copiedBytes: this.#copyBytes, fileBytes: bytes } },
      )
    }
    this.#copyBytes += bytes
  }

  #nameOf(path: string): string {
    const normal = posix.normalize(path)
    if (posix.isAbsolute(normal) || normal.split('/')[0] === '..') {
      throw new TailraceError('TABLE_UNSUPPORTED', `The table names a file outside of its folder: ${path}`)
    }
    return this.#folder === '' ? normal : `${this.#folder}/${normal}`
  }
}

function translated(clients: ContainerClients, clock: Clock): ContainerClients {
  const fail = (error: unknown): never => {
    throw credentialError(error, clock.now())
  }
  return {
    current: () => clients.current().catch(fail),
    renewed: (refused) => clients.renewed(refused).catch(fail),
  }
}

function permanent(client: ContainerClient): ContainerClients {
  return { current: async () => ({ client }), renewed: async () => undefined }
}

/** @returns a URL without its query, which may hold a signature. */
function plainUrl(text: string): string {
  const url = new URL(text)
  return `${url.origin}${url.pathname}`
}
