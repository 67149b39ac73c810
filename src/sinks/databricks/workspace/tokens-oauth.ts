import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import type { TokenRequest, TokenSource } from './auth.ts'
import { bodyFields, refusedRequest, type WorkspaceHttp } from './http.ts'
import { RenewedToken, type Token } from './renewed-token.ts'

export interface OAuthTokenSourceOptions {
  readonly clientId: string
  readonly clientSecret: string
  /** Form fields of the request beside the grant and the scope. Default none. */
  readonly fields?: Readonly<Record<string, string>> | undefined
  readonly http: WorkspaceHttp
  readonly clock: Clock
}

/**
 * Provides tokens of a service principal with a Databricks secret, by OAuth's client credentials flow.
 *
 * https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m (read 2026-11-24)
 */
export class OAuthTokenSource implements TokenSource {
  readonly #options: OAuthTokenSourceOptions
  readonly #renewed: RenewedToken

  constructor(options: OAuthTokenSourceOptions) {
    this.#options = options
    this.#renewed = new RenewedToken(options.clock, () => this.#ask())
  }

  token(options?: TokenRequest): Promise<Token> {
    return this.#renewed.token(options)
  }

  async #ask(): Promise<Token> {
    const { clientId, clientSecret, fields, http, clock } = this.#options
    const askedAtMs = clock.now()
    const answer = await http.request({
      method: 'POST',
      path: '/oidc/v1/token',
      headers: {
        authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        scope: 'all-apis',
        ...fields,
      }).toString(),
    })
    const what = 'Requesting a token of the service principal'
    if (answer.status !== 200) {
      const refused = refusedRequest(what, answer, askedAtMs)
      // OAuth answers 400 where other services answer 401.
      throw refused.disposition === 'retry'
        ? refused
        : new TailraceError('WAREHOUSE_DENIED', refused.message, { context: refused.context })
    }
    const { value, lifeSeconds } = tokenIn(answer.body)
    if (value === undefined)
      throw new TailraceError('WAREHOUSE_UNAVAILABLE', `${what} failed: the answer has no token`)
    return { value, expiresAtMs: lifeSeconds === undefined ? undefined : askedAtMs + lifeSeconds * 1000 }
  }
}

function tokenIn(body: string): {
  readonly value?: string | undefined
  readonly lifeSeconds?: number | undefined
} {
  const { access_token: value, expires_in: lifeSeconds } = bodyFields(body)
  return {
    value: typeof value === 'string' && value !== '' ? value : undefined,
    lifeSeconds: typeof lifeSeconds === 'number' && lifeSeconds > 0 ? lifeSeconds : undefined,
  }
}
