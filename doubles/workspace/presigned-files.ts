import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../src/clock.ts'
import type { RouteFault } from './faults.ts'
import { HttpRefusal } from './refusals.ts'
import type { Reply } from './reply.ts'
import { requestBody } from './request-body.ts'
import type { StagingRequest, VolumeFiles } from './warehouse-engine.ts'
import type { WorkspaceLog } from './workspace-log.ts'

/** Real ones last minutes. */
const lifetimeMs = 15 * 60_000
const methods = { PUT: 'PUT', REMOVE: 'DELETE' } as const

interface Grant {
  readonly method: string
  readonly volumePath: string
  readonly signature: string
  readonly endsAtMs: number
}

/** The part of the volumes' storage account that presigned URLs reach. */
export class PresignedFiles {
  readonly #volumes: VolumeFiles
  readonly #clock: Clock
  readonly #log: WorkspaceLog
  readonly #grants = new Map<string, Grant>()

  constructor(volumes: VolumeFiles, clock: Clock, log: WorkspaceLog) {
    this.#volumes = volumes
    this.#clock = clock
    this.#log = log
  }

  /** @returns the path and query of a URL that allows this one operation on this one file for a quarter of an hour */
  sign({ operation, volumePath }: StagingRequest): string {
    const path = `/staging/${randomUUID()}`
    const signature = randomBytes(16).toString('hex')
    const endsAtMs = this.#clock.now() + lifetimeMs
    this.#grants.set(path, { method: methods[operation], volumePath, signature, endsAtMs })
    return `${path}?sig=${signature}`
  }

  /** @throws HttpRefusal, DroppedConnection */
  async answer(request: IncomingMessage, url: URL, fault: RouteFault | undefined): Promise<Reply> {
    const grant = this.#grants.get(url.pathname)
    if (
      grant === undefined ||
      grant.method !== request.method ||
      grant.signature !== url.searchParams.get('sig') ||
      this.#clock.now() >= grant.endsAtMs
    ) {
      throw new HttpRefusal(403, 'AuthenticationFailed', 'The signature does not allow this.')
    }
    const { method, volumePath } = grant
    if (method === 'PUT') return this.#put(request, volumePath, fault)
    return { status: (await this.#volumes.remove(volumePath)) ? 202 : 404 }
  }

  /** As strict as Azure's storage: it wants the blob's type, which the statement's answer names, and the length. */
  async #put(request: IncomingMessage, volumePath: string, fault: RouteFault | undefined): Promise<Reply> {
    if (request.headers['x-ms-blob-type'] !== 'BlockBlob') {
      throw new HttpRefusal(400, 'MissingRequiredHeader', 'x-ms-blob-type is missing.')
    }
    if (request.headers['content-length'] === undefined) {
      throw new HttpRefusal(411, 'MissingContentLengthHeader', 'Content-Length is missing.')
    }
    const content = await requestBody(request, fault)
    await this.#volumes.write(volumePath, content)
    this.#log.uploads.push({ by: 'presigned-url', volumePath, bytes: content.length })
    return { status: 201 }
  }
}
