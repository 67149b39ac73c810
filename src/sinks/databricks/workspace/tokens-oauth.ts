import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import type { TokenSource } from './auth.ts'
import { refusedRequest, type WorkspaceHttp } from './http.ts'
import { RenewedToken, type Token } from './renewed-token.ts'

export interface OAuthTokenSourceOptions {
  readonly clientId: string
  readonly clientSecret: string
  readonly http: WorkspaceHttp
  readonly clock: Clock
}

/**
 * Tokens of a service principal with a secret of Databricks: OAuth's client credentials.
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

  token(options?: { readonly rejected?: string; readonly signal?: AbortSignal }): Promise<Token> {
    return this.#renewed.token(options)
  }

  async #ask(): Promise<Token> {
    const { clientId, clientSecret, http, clock } = this.#options
    const askedAtMs = clock.now()
    const answer = await http.request({
      method: 'POST',
      path: '/oidc/v1/token',
      headers: {
        authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials&scope=all-apis',
    })
    const what = 'Asking for the token of the service principal'
    if (answer.status !== 200) {
      const refused = refusedRequest(what, answer, askedAtMs)
      // OAuth answers 400 where other services answer 401.
      throw refused.disposition === 'retry'
        ? refused
        : new TailraceError('WAREHOUSE_DENIED', refused.message, { context: refused.context })
    }
    const { value, lifeSeconds } = tokenIn(answer.body)
    if (value === undefined)
      throw new TailraceError('WAREHOUSE_UNAVAILABLE', `${what} was answered without a token`)
    return { value, expiresAtMs: lifeSeconds === undefined ? undefined : askedAtMs + lifeSeconds * 1000 }
  }
}

function tokenIn(body: string): { readonly value?: string; readonly lifeSeconds?: number } {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return {}
  }
  const { access_token: value, expires_in: lifeSeconds } = (parsed ?? {}) as Readonly<Record<string, unknown>>
  return {
    ...(typeof value === 'string' && value !== '' ? { value } : {}),
    ...(typeof lifeSeconds === 'number' && lifeSeconds > 0 ? { lifeSeconds } : {}),
  }
}
