import { randomBytes } from 'node:crypto'
import type { Clock } from '../../src/clock.ts'
import { HttpRefusal } from './refusals.ts'
import type { Reply } from './reply.ts'

/** The bearer tokens that a workspace accepts: a personal one that never expires, and those issued to a service principal. */
export class AccessTokens {
  /** A personal access token. */
  readonly personal = `dapi${randomBytes(16).toString('hex')}`
  readonly clientId = '6f1d2c1e-8a4b-4a57-9d0e-1f2a3b4c5d6e'
  readonly clientSecret = `dose${randomBytes(16).toString('hex')}`
  readonly #clock: Clock
  readonly #lifetimeMs: number
  readonly #endsAtMs = new Map<string, number>([[this.personal, Number.POSITIVE_INFINITY]])

  constructor(clock: Clock, lifetimeMs: number) {
    this.#clock = clock
    this.#lifetimeMs = lifetimeMs
  }

  /** How many tokens were given to the service principal. */
  get issued(): number {
    return this.#endsAtMs.size - 1
  }

  /**
   * Checks a request's Authorization header.
   *
   * @throws HttpRefusal 401 without a token or with an expired one, 403 with an unknown one
   */
  check(authorization: string | undefined): void {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1]
    if (token === undefined) {
      throw new HttpRefusal(401, '401', 'Credential was not sent or was of an unsupported type for this API.')
    }
    const endsAtMs = this.#endsAtMs.get(token)
    if (endsAtMs === undefined) throw new HttpRefusal(403, '403', 'Invalid access token.')
    if (this.#clock.now() >= endsAtMs) throw new HttpRefusal(401, '401', 'Token is expired.')
  }

  /** Answers `POST /oidc/v1/token`: OAuth's client credentials, by HTTP Basic. */
  answer(authorization: string | undefined, body: Buffer): Reply {
    const form = new URLSearchParams(body.toString('utf8'))
    const basic = `Basic ${Buffer.from(`${this.clientId}:${this.clientSecret}`).toString('base64')}`
    if (authorization !== basic) return refuse(401, 'invalid_client', 'Client authentication failed')
    if (form.get('grant_type') !== 'client_credentials')
      return refuse(400, 'unsupported_grant_type', 'Unknown grant')
    if (form.get('scope') !== 'all-apis') return refuse(400, 'invalid_scope', 'The scope is not all-apis')
    const token = randomBytes(24).toString('base64url')
    this.#endsAtMs.set(token, this.#clock.now() + this.#lifetimeMs)
    const expiresInSeconds = Math.floor(this.#lifetimeMs / 1000)
    return json(200, {
      access_token: token,
      scope: 'all-apis',
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
    })
  }
}

/** OAuth has an error shape of its own. */
function refuse(status: number, error: string, description: string): Reply {
  return json(status, { error, error_description: description })
}

function json(status: number, body: object): Reply {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}
