import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { AccessControl } from './access-control.ts'
import { AccessTokens } from './access-tokens.ts'
import { CliService } from './cli-service.ts'
import { FaultPlan, type RouteFault, stopStruck } from './faults.ts'
import { FilesApi } from './files-api.ts'
import { PresignedFiles } from './presigned-files.ts'
import { DroppedConnection, HttpRefusal } from './refusals.ts'
import type { Reply } from './reply.ts'
import { requestBody } from './request-body.ts'
import { selfSignedCertificate } from './self-signed-certificate.ts'
import { SqlFailure, type VolumeFiles, type WarehouseEngine } from './warehouse-engine.ts'
import { WorkspaceLog } from './workspace-log.ts'
import { Zerobus, type ZerobusTables } from './zerobus.ts'

const hourMs = 3_600_000

export interface WorkspaceOptions {
  readonly engine: WarehouseEngine
  readonly volumes: VolumeFiles
  /** The seed of faults with a probability. Default 1. */
  readonly seed?: number
  readonly clock?: Clock
  /** Validity of a service principal's token. Default one hour. */
  readonly tokenLifetimeMs?: number
  /**
   * How long ExecuteStatement waits for the statement's end, to put its result into the reply: 5,000 on a real
   * warehouse. Not at all unless told, so that every statement is seen running.
   */
  readonly directResultsWaitMs?: number
  /** The tables of Zerobus Ingest. Default: the workspace has no such service. */
  readonly zerobus?: ZerobusTables
  /** How long records that Zerobus has acknowledged do not show in their table. Default 0. */
  readonly zerobusShowAfterMs?: number
  /** Default: a serverless one of the smallest size, which stops after 10 minutes. */
  readonly warehouse?: WarehouseInfo
  /** The rights of the principal; give its guarded engine too. Default: every right. */
  readonly access?: AccessControl
}

/** The settings of a warehouse, as `GET /api/2.0/sql/warehouses/<id>` names them. */
export interface WarehouseInfo {
  readonly cluster_size?: string
  readonly auto_stop_mins?: number
  readonly min_num_clusters?: number
  readonly enable_serverless_compute?: boolean
  readonly warehouse_type?: 'PRO' | 'CLASSIC'
}

const usualWarehouse: WarehouseInfo = {
  cluster_size: '2X-Small',
  auto_stop_mins: 10,
  min_num_clusters: 1,
  enable_serverless_compute: true,
  warehouse_type: 'PRO',
}

/**
 * A Databricks workspace with one SQL warehouse, on the loopback: what `@databricks/sql`, the Files API and Zerobus Ingest
 * need of one.
 */
export class Workspace {
  readonly host = '127.0.0.1'
  /** The host of the volumes' storage, which presigned URLs lead to: the same server by another name. */
  readonly storageHost = 'localhost'
  readonly port: number
  /** Where the warehouse is, as its connection details name it. */
  readonly httpPath = '/sql/1.0/warehouses/0123456789abcdef'
  /** The certificate to trust, as PEM. */
  readonly ca: string
  readonly tokens: AccessTokens
  readonly faults: FaultPlan
  readonly log: WorkspaceLog
  readonly #server: Server
  readonly #service: CliService
  readonly #presigned: PresignedFiles
  readonly #files: FilesApi
  readonly #zerobus: Zerobus | undefined
  readonly #access: AccessControl | undefined
  readonly #warehouse: WarehouseInfo

  private constructor(server: Server, ca: string, options: WorkspaceOptions) {
    const { engine, volumes, seed = 1, clock = systemClock } = options
    const { tokenLifetimeMs = hourMs, directResultsWaitMs = 0, zerobusShowAfterMs: showAfterMs = 0 } = options
    this.#server = server
    this.#access = options.access
    this.#warehouse = { ...usualWarehouse, ...options.warehouse }
    this.port = (server.address() as AddressInfo).port
    this.ca = ca
    this.tokens = new AccessTokens(clock, tokenLifetimeMs)
    this.faults = new FaultPlan(seed)
    this.log = new WorkspaceLog()
    this.#presigned = new PresignedFiles(volumes, clock, this.log)
    this.#files = new FilesApi(volumes, this.log)
    const presign = (request: Parameters<PresignedFiles['sign']>[0]): string =>
      `https://${this.storageHost}:${this.port}${this.#presigned.sign(request)}`
    const { faults, log } = this
    this.#zerobus = options.zerobus && new Zerobus(options.zerobus, { clock, log, showAfterMs })
    this.#service = new CliService({ engine, clock, faults, log, presign, directResultsWaitMs })
    server.on('request', (request, response) => void this.#serve(request, response))
  }

  static async start(options: WorkspaceOptions): Promise<Workspace> {
    const { key, cert } = await selfSignedCertificate()
    // A server that hangs up on idle connections does it at times just when the next request comes: a fault of its
    // own, which nobody asked for.
    const server = createServer({ key, cert, keepAliveTimeout: 0 })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Workspace(server, cert, options)
  }

  /** Without a slash at its end. */
  get url(): string {
    return `https://${this.host}:${this.port}`
  }

  /** The host and port of Zerobus Ingest. */
  get zerobusHost(): string {
    return `${this.storageHost}:${this.port}`
  }

  /** Resolves when the tables have all records that Zerobus has acknowledged. */
  async zerobusSettled(): Promise<void> {
    await this.#zerobus?.settled()
  }

  /** How many sessions are open. */
  get openSessions(): number {
    return this.#service.openSessions
  }

  /** Stops all statements and cuts all connections. */
  async close(): Promise<void> {
    this.#service.close()
    this.faults.releaseAll()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A request whose body is left half read forgets its connection.
    const { socket } = request
    try {
      send(response, request, await this.#answer(request))
    } catch (error) {
      if (error instanceof DroppedConnection) return void socket.destroy()
      const isExpected = error instanceof HttpRefusal || error instanceof SqlFailure
      if (!isExpected) this.log.failures.push(error)
      // A client that is still sending would see a broken connection instead of the answer.
      await requestBody(request).catch(() => {})
      send(response, request, refusal(error))
    }
  }

  async #answer(request: IncomingMessage): Promise<Reply> {
    const url = new URL(request.url ?? '/', this.url)
    const route = `${request.method} ${url.pathname}`
    this.log.requests.push(route)
    const fault = this.faults.strike({ route })?.rule.fault as RouteFault | undefined
    stopStruck(fault)
    const reply = await this.#dispatch(request, url, route, fault)
    if (fault?.kind === 'drop-after') throw new DroppedConnection('Dropped after the execution.')
    return reply
  }

  async #dispatch(
    request: IncomingMessage,
    url: URL,
    route: string,
    fault: RouteFault | undefined,
  ): Promise<Reply> {
    const { authorization } = request.headers
    if (route === 'POST /oidc/v1/token') {
      const may = (privilege: string, table: string): boolean =>
        this.#access?.mayTable(privilege, table) ?? true
      return this.tokens.answer(authorization, await requestBody(request), may)
    }
    if (url.pathname.startsWith('/zerobus/') && request.headers.host === this.zerobusHost) {
      if (this.#zerobus === undefined) throw new HttpRefusal(404, 'ENDPOINT_NOT_FOUND', 'No such service.')
      const authorize = (table: string): void => this.tokens.checkForTable(authorization, table)
      return this.#zerobus.answer(request, url, fault, authorize)
    }
    if (url.pathname.startsWith('/staging/')) return this.#presigned.answer(request, url, fault)
    this.tokens.check(authorization)
    if (url.pathname.startsWith('/sql/1.0/warehouses/') && url.pathname !== this.httpPath) {
      // The code is the REST API's; what the path of SQL answers is not documented.
      throw new HttpRefusal(404, 'RESOURCE_DOES_NOT_EXIST', 'The SQL warehouse does not exist.')
    }
    if (route === 'GET /api/2.0/preview/scim/v2/Me') return principalReply(this.tokens.clientId)
    if (route.startsWith('GET /api/2.0/sql/warehouses/')) return this.#warehouseReply(url)
    if (route !== `POST ${this.httpPath}`) {
      this.#access?.requireFiles(request.method, decodeURIComponent(url.pathname))
      return this.#files.answer(request, url, fault)
    }
    this.#access?.requireWarehouse()
    const body = await this.#service.answer(await requestBody(request, fault))
    return { status: 200, headers: { 'content-type': 'application/x-thrift' }, body }
  }

  /** Reading the settings of a warehouse needs a permission on it, such as CAN USE. */
  #warehouseReply({ pathname }: URL): Reply {
    const id = pathname.split('/').at(-1)
    if (id !== this.httpPath.split('/').at(-1)) {
      throw new HttpRefusal(404, 'RESOURCE_DOES_NOT_EXIST', `SQL warehouse ${id} does not exist.`)
    }
    this.#access?.requireWarehouse()
    return jsonReply({ id, name: 'loopback', state: 'RUNNING', max_num_clusters: 1, ...this.#warehouse })
  }
}

function jsonReply(body: object): Reply {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** A service principal's own entry of SCIM. */
function principalReply(applicationId: string): Reply {
  return jsonReply({ schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal'], applicationId })
}

function send(response: ServerResponse, { method }: IncomingMessage, { status, headers, body }: Reply): void {
  response.writeHead(status, headers)
  response.end(method === 'HEAD' ? undefined : body)
}

/** Also sets a header with the error: a Thrift client does not read the body of a failed call. */
function refusal(error: unknown): Reply {
  const { status, errorCode, message, headers } = asRefusal(error)
  return {
    status,
    headers: {
      ...headers,
      'content-type': 'application/json',
      'x-thriftserver-error-message': `${errorCode}: ${message}`,
    },
    body: JSON.stringify({ error_code: errorCode, message }),
  }
}

function asRefusal(error: unknown): HttpRefusal {
  if (error instanceof HttpRefusal) return error
  // Thrown by a store of volumes for a path into a missing volume.
  if (error instanceof SqlFailure) return new HttpRefusal(404, 'NOT_FOUND', error.message)
  return new HttpRefusal(500, 'INTERNAL_ERROR', 'Internal error')
}
