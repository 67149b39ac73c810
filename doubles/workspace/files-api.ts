import type { IncomingMessage } from 'node:http'
import { posix } from 'node:path'
import { type DirectoryEntry, directoryEntries } from './directory-entries.ts'
import type { RouteFault } from './faults.ts'
import { HttpRefusal } from './refusals.ts'
import type { Reply } from './reply.ts'
import { requestBody } from './request-body.ts'
import type { VolumeFiles } from './warehouse-engine.ts'
import type { WorkspaceLog } from './workspace-log.ts'

const filesRoot = '/api/2.0/fs/files'
const directoriesRoot = '/api/2.0/fs/directories'
const mostEntriesInPage = 1000

/** The Files API on volumes (docs.databricks.com/api/files/v2, read 2026-11-24). */
export class FilesApi {
  readonly #volumes: VolumeFiles
  readonly #log: WorkspaceLog
  /** Those that were made: a volume knows only files. */
  readonly #directories = new Set<string>()
  /** Two uploads of one new file: one of them must find the other's. */
  #lastWrite: Promise<unknown> = Promise.resolve()

  constructor(volumes: VolumeFiles, log: WorkspaceLog) {
    this.#volumes = volumes
    this.#log = log
  }

  /** @throws HttpRefusal, DroppedConnection */
  async answer(request: IncomingMessage, url: URL, fault: RouteFault | undefined): Promise<Reply> {
    const pathname = decodeURIComponent(url.pathname)
    if (pathname.startsWith(`${filesRoot}/`)) {
      const path = volumePath(pathname.slice(filesRoot.length), 'file')
      switch (request.method) {
        case 'PUT':
          return this.#put(path, await requestBody(request, fault), url.searchParams.get('overwrite'))
        case 'GET':
          return this.#get(path)
        case 'HEAD':
          return this.#head(path)
        case 'DELETE':
          return this.#delete(path)
      }
    }
    if (pathname.startsWith(`${directoriesRoot}/`)) {
      const path = volumePath(pathname.slice(directoriesRoot.length).replace(/\/$/, ''), 'directory')
      switch (request.method) {
        case 'PUT':
          this.#directories.add(path)
          return { status: 204 }
        case 'GET':
          return this.#list(path, url.searchParams)
        case 'HEAD':
          await this.#entries(path)
          return { status: 200 }
        case 'DELETE':
          return this.#deleteDirectory(path)
      }
    }
    throw new HttpRefusal(404, 'ENDPOINT_NOT_FOUND', `No API found for '${request.method} ${pathname}'`)
  }

  #put(path: string, content: Buffer, overwrite: string | null): Promise<Reply> {
    const put = async (): Promise<Reply> => {
      if (overwrite === 'false' && (await this.#volumes.read(path)) !== undefined) {
        throw new HttpRefusal(409, 'ALREADY_EXISTS', `The file being created already exists: ${path}`)
      }
      await this.#volumes.write(path, content)
      this.#log.uploads.push({ by: 'files-api', volumePath: path, bytes: content.length })
      return { status: 204 }
    }
    const written = this.#lastWrite.then(put)
    this.#lastWrite = written.catch(() => {})
    return written
  }

  async #get(path: string): Promise<Reply> {
    const { headers } = await this.#head(path)
    const body = await this.#volumes.read(path)
    if (body === undefined) throw missing('file', path)
    return { status: 200, headers: headers ?? {}, body }
  }

  async #head(path: string): Promise<Reply> {
    const file = (await this.#volumes.list(posix.dirname(path))).find((each) => each.path === path)
    if (file === undefined) throw missing('file', path)
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': String(file.bytes),
      'last-modified': new Date(file.modifiedAtMs).toUTCString(),
    }
    return { status: 200, headers }
  }

  async #delete(path: string): Promise<Reply> {
    if (!(await this.#volumes.remove(path))) throw missing('file', path)
    return { status: 204 }
  }

  async #deleteDirectory(path: string): Promise<Reply> {
    if ((await this.#entries(path)).length > 0) {
      throw new HttpRefusal(400, 'DIRECTORY_NOT_EMPTY', `The directory is not empty: ${path}`)
    }
    this.#directories.delete(path)
    return { status: 204 }
  }

  /** A page token is the place of the page's first entry; real ones are opaque. */
  async #list(path: string, query: URLSearchParams): Promise<Reply> {
    const entries = await this.#entries(path)
    const start = Number(query.get('page_token') ?? 0)
    const end = start + Math.min(Number(query.get('page_size') ?? mostEntriesInPage), mostEntriesInPage)
    const body = {
      ...(entries.length > 0 ? { contents: entries.slice(start, end) } : {}),
      ...(end < entries.length ? { next_page_token: String(end) } : {}),
    }
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  }

  /** @throws HttpRefusal 404 when neither a file, nor a made directory, nor a volume makes it one */
  async #entries(path: string): Promise<readonly DirectoryEntry[]> {
    const entries = directoryEntries(path, await this.#volumes.list(path), this.#directories)
    const isVolume = path.split('/').length === 5
    if (entries.length === 0 && !isVolume && !this.#directories.has(path)) throw missing('directory', path)
    return entries
  }
}

/** @throws HttpRefusal 400 unless it is below `/Volumes/<catalog>/<schema>/<volume>`, or that volume's root directory */
function volumePath(path: string, of: 'file' | 'directory'): string {
  const isInVolume = of === 'file' ? /^\/Volumes(?:\/[^/]+){4,}$/ : /^\/Volumes(?:\/[^/]+){3,}$/
  if (isInVolume.test(path) && posix.normalize(path) === path) return path
  throw new HttpRefusal(400, 'BAD_REQUEST', `Not a path in a volume: ${path}`)
}

function missing(what: string, path: string): HttpRefusal {
  return new HttpRefusal(404, 'NOT_FOUND', `The ${what} being accessed is not found: ${path}`)
}
