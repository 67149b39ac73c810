import { TailraceError } from '../../../errors.ts'
import type { TokenSource } from './auth.ts'
import { bodyFields, refusedRequest, type WorkspaceAnswer, type WorkspaceHttp } from './http.ts'

/** Requests to a workspace that need no warehouse. */
export class WorkspaceApi {
  readonly #http: WorkspaceHttp
  readonly #tokens: TokenSource
  readonly #nowMs: () => number

  constructor(http: WorkspaceHttp, tokens: TokenSource, nowMs: () => number) {
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

  async #get(path: string): Promise<WorkspaceAnswer> {
    const { value } = await this.#tokens.token()
    return this.#http.request({ method: 'GET', path, headers: { authorization: `Bearer ${value}` } })
  }
}
