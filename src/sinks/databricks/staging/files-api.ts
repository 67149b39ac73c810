import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import { type RetryOptions, retry } from '../../../retry.ts'
import type { TokenSource } from '../workspace/auth.ts'
import { authorizedRequest } from '../workspace/authorized-request.ts'
import {
  isSuccess,
  refusedRequest,
  type WorkspaceAnswer,
  type WorkspaceHttp,
  type WorkspaceRequest,
} from '../workspace/http.ts'
import { checkedFolder, checkedName, checkLength, folderOf } from './staged-files.ts'
import type { StagedFile, VolumeStaging } from './volume-staging.ts'

export interface FilesApiStagingOptions {
  /** Such as `/Volumes/catalog/schema/volume/folder`. */
  readonly folder: string
  readonly http: Pick<WorkspaceHttp, 'request'>
  readonly tokens: TokenSource
  readonly clock: Clock
  /** How transient failures are retried; the clock and the signal are added. */
  readonly retry?: Pick<RetryOptions, 'policy' | 'random' | 'onRetry' | 'giveUp'> | undefined
  readonly signal?: AbortSignal | undefined
}

const filesRoot = '/api/2.0/fs/files'
const directoriesRoot = '/api/2.0/fs/directories'

/**
 * Accesses a volume's folder by the Files API, which needs neither a warehouse nor a network route to the storage behind
 * the volume.
 *
 * https://docs.databricks.com/api/azure/workspace/files (read 2026-11-24): files of up to 5 GiB.
 */
export class FilesApiStaging implements VolumeStaging {
  readonly folder: string
  readonly #options: FilesApiStagingOptions
  /** The folder created last, which saves a request for the next file in it. */
  #made: string | undefined

  /** @throws CONFIG_INVALID for a folder that is not in a volume, or that has characters not allowed in names */
  constructor(options: FilesApiStagingOptions) {
    this.folder = checkedFolder(options.folder)
    this.#options = options
  }

  async put(name: string, localPath: string): Promise<void> {
    const path = this.#path(name)
    await this.#repeated(async () => {
      const { size } = await stat(localPath)
      const wasMade = this.#made === folderOf(path)
      await this.#makeFolder(folderOf(path))
      const answer = await this.#ask({
        method: 'PUT',
        path: `${filesRoot}${encodeURI(path)}?overwrite=true`,
        headers: { 'content-type': 'application/octet-stream' },
        // `end` keeps the body at the announced length if the file grows meanwhile.
        body: { bytes: size, open: () => createReadStream(localPath, { end: Math.max(0, size - 1) }) },
      })
      if (answer.status === 404 && wasMade) {
        this.#made = undefined
        throw new TailraceError('WAREHOUSE_UNAVAILABLE', 'The staging folder was removed during an upload')
      }
      if (!isSuccess(answer)) throw this.#refusal('Uploading a file', answer)
      checkLength(name, size, await this.#length(path))
    })
  }

  async sizeOf(name: string): Promise<number | undefined> {
    const path = this.#path(name)
    return await this.#repeated(() => this.#length(path))
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name)
    await this.#repeated(async () => {
      const answer = await this.#ask({ method: 'DELETE', path: `${filesRoot}${encodeURI(path)}` })
      if (!isSuccess(answer) && answer.status !== 404) throw this.#refusal('Removing a file', answer)
    })
  }

  async list(folder: string): ReturnType<VolumeStaging['list']> {
    const path = folder === '' ? this.folder : this.#path(folder)
    const below = folder === '' ? '' : `${folder}/`
    const files: StagedFile[] = []
    const folders: string[] = []
    let token: string | undefined
    do {
      const page = await this.#repeated(() => this.#page(path, token))
      for (const { name, is_directory, file_size, last_modified } of page.contents ?? []) {
        if (is_directory === true) folders.push(`${below}${name}`)
        else files.push({ name: `${below}${name}`, bytes: file_size ?? 0, modifiedAtMs: last_modified ?? 0 })
      }
      token = page.next_page_token || undefined
    } while (token !== undefined)
    return { files, folders }
  }

  async #page(path: string, token: string | undefined): Promise<DirectoryPage> {
    const query = token === undefined ? '' : `?page_token=${encodeURIComponent(token)}`
    const answer = await this.#ask({ method: 'GET', path: `${directoriesRoot}${encodeURI(path)}${query}` })
    if (answer.status === 404) return {}
    if (!isSuccess(answer)) throw this.#refusal('Listing files', answer)
    try {
      return JSON.parse(answer.body) as DirectoryPage
    } catch {
      throw new TailraceError('WAREHOUSE_UNAVAILABLE', 'Listing files failed: the answer is not JSON')
    }
  }

  async #length(path: string): Promise<number | undefined> {
    const answer = await this.#ask({ method: 'HEAD', path: `${filesRoot}${encodeURI(path)}` })
    if (answer.status === 404) return undefined
    if (!isSuccess(answer)) throw this.#refusal('Checking a file', answer)
    return Number(answer.headers['content-length'])
  }

  /** The API creates missing parents as well, and an existing folder is no error. */
  async #makeFolder(path: string): Promise<void> {
    if (path === this.#made) return
    const answer = await this.#ask({ method: 'PUT', path: `${directoriesRoot}${encodeURI(path)}` })
    if (!isSuccess(answer)) throw this.#refusal('Creating a folder', answer)
    this.#made = path
  }

  #ask(request: WorkspaceRequest): Promise<WorkspaceAnswer> {
    const { http, tokens, signal } = this.#options
    return authorizedRequest({ http, tokens }, { ...request, signal })
  }

  #repeated<T>(work: () => Promise<T>): Promise<T> {
    const { clock, signal, retry: how } = this.#options
    return retry(work, { ...how, clock, signal })
  }

  #refusal(what: string, answer: WorkspaceAnswer): TailraceError {
    return refusedRequest(what, answer, this.#options.clock.now())
  }

  #path(name: string): string {
    return `${this.folder}/${checkedName(name)}`
  }
}

interface DirectoryPage {
  readonly contents?: readonly {
    readonly name: string
    readonly is_directory?: boolean
    readonly file_size?: number
    /** Milliseconds since the epoch. */
    readonly last_modified?: number
  }[]
  readonly next_page_token?: string
}
