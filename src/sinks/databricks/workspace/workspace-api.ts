import { TailraceError } from '../../../errors.ts'
import type { TokenSource } from './auth.ts'
import { authorizedRequest } from './authorized-request.ts'
import { bodyFields, isSuccess, refusedRequest, type WorkspaceAnswer, type WorkspaceHttp } from './http.ts'

/** The settings of a SQL warehouse that determine its price. */
export interface WarehouseSettings {
  /** Such as `2X-Small`. */
  readonly size: string
  readonly kind: 'serverless' | 'pro' | 'classic'
  /** 0 for a warehouse that does not stop by itself. */
  readonly autoStopMinutes: number
  /** Clusters that run whenever it is awake. */
  readonly minClusters: number
}

/** Requests to a workspace that need no warehouse. */
export class WorkspaceApi {
  readonly #http: Pick<WorkspaceHttp, 'request'>
  readonly #tokens: TokenSource
  readonly #nowMs: () => number

  constructor(http: Pick<WorkspaceHttp, 'request'>, tokens: TokenSource, nowMs: () => number) {
    this.#http = http
    this.#tokens = tokens
    this.#nowMs = nowMs
  }

  /**
   * @returns the name by which rights are granted to this identity: an application id, or a user's name. Whoever has a
   * valid token may ask: https://docs.databricks.com/api/azure/workspace/currentuser/me (read 2026-11-29)
   * @throws WAREHOUSE_DENIED when the token is refused
   */
  async principal(): Promise<string> {
    const what = 'Asking the workspace for the name of the principal'
    const answer = await this.#get('/api/2.0/preview/scim/v2/Me')
    if (answer.status !== 200) throw refusedRequest(what, answer, this.#nowMs())
    const { userName, applicationId } = bodyFields(answer.body)
    const name = applicationId ?? userName
    if (typeof name === 'string' && name !== '') return name
    throw new TailraceError('WAREHOUSE_UNAVAILABLE', `${what} failed: the answer has no name`)
  }

  /**
   * Removes a folder of a volume. One that is missing or not empty is left as it is.
   *
   * @param path such as `/Volumes/catalog/schema/volume/folder`
   * @throws WAREHOUSE_DENIED
   */
  async removeFolder(path: string): Promise<void> {
    const answer = await authorizedRequest(
      { http: this.#http, tokens: this.#tokens },
      { method: 'DELETE', path: `/api/2.0/fs/directories${encodeURI(path)}` },
    )
    if (isSuccess(answer) || answer.status === 400 || answer.status === 404) return
    throw refusedRequest('Removing a folder', answer, this.#nowMs())
  }

  /**
   * Reads the settings of a warehouse, without waking it: https://docs.databricks.com/api/warehouses/v1/warehouse (read
   * 2026-11-29)
   *
   * @param id the last part of its HTTP path
   * @throws WAREHOUSE_DENIED, WAREHOUSE_UNAVAILABLE, STATEMENT_FAILED when there is no such warehouse
   */
  async warehouseSettings(id: string): Promise<WarehouseSettings> {
    const what = 'Reading the settings of the warehouse'
    const answer = await this.#get(`/api/2.0/sql/warehouses/${encodeURIComponent(id)}`)
    if (answer.status !== 200) throw refusedRequest(what, answer, this.#nowMs())
    const fields = bodyFields(answer.body)
    const { cluster_size: size, auto_stop_mins: autoStopMinutes, min_num_clusters: minClusters } = fields
    if (typeof size !== 'string' || typeof autoStopMinutes !== 'number')
      throw new TailraceError(
        'WAREHOUSE_UNAVAILABLE',
        `${what} failed: the answer has no cluster_size or no auto_stop_mins`,
      )
    const ofPro = fields.warehouse_type === 'PRO' ? 'pro' : 'classic'
    return {
      size,
      kind: fields.enable_serverless_compute === true ? 'serverless' : ofPro,
      autoStopMinutes,
      minClusters: typeof minClusters === 'number' ? minClusters : 1,
    }
  }

  async #get(path: string): Promise<WorkspaceAnswer> {
    const { value } = await this.#tokens.token()
    return this.#http.request({ method: 'GET', path, headers: { authorization: `Bearer ${value}` } })
  }
}
