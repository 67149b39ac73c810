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
  /** Tokens that Zerobus takes, each for one table, and no other service. */
  readonly #tables = new Map<string, string>()

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
    if (this.#tables.has(this.#valid(authorization)))
      throw new HttpRefusal(403, '403', 'The token is for another service.')
  }

  /** Checks the token of a request to Zerobus. @param table such as `catalog.schema.table`, lower case */
  checkForTable(authorization: string | undefined, table: string): void {
    if (this.#tables.get(this.#valid(authorization)) === table) return
    throw new HttpRefusal(403, 'PERMISSION_DENIED', 'The token has no rights on the table.')
  }

  #valid(authorization: string | undefined): string {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1]
    if (token === undefined) {
      throw new HttpRefusal(401, '401', 'Credential was not sent or was of an unsupported type for this API.')
    }
    const endsAtMs = this.#endsAtMs.get(token)
    if (endsAtMs === undefined) throw new HttpRefusal(403, '403', 'Invalid access token.')
    if (this.#clock.now() >= endsAtMs) throw new HttpRefusal(401, '401', 'Token is expired.')
    return token
  }

  /**
   * Answers `POST /oidc/v1/token`: OAuth's client credentials, by HTTP Basic.
   *
   * @param may whether the principal has a right on a table, such as `MODIFY`
   */
  answer(
    authorization: string | undefined,
    body: Buffer,
    may: (privilege: string, table: string) => boolean = () => true,
  ): Reply {
    const form = new URLSearchParams(body.toString('utf8'))
    const basic = `Basic ${Buffer.from(`${this.clientId}:${this.clientSecret}`).toString('base64')}`
    if (authorization !== basic) return refuse(401, 'invalid_client', 'Client authentication failed')
    if (form.get('grant_type') !== 'client_credentials')
      return refuse(400, 'unsupported_grant_type', 'Unknown grant')
    if (form.get('scope') !== 'all-apis') return refuse(400, 'invalid_scope', 'The scope is not all-apis')
    const resource = form.get('resource')
    const table = resource === null ? undefined : zerobusTable(resource, form.get('authorization_details'))
    if (table === null) return refuse(400, 'invalid_request', 'The authorization details are not valid')
    // What is answered then is not documented.
    if (table !== undefined && !['SELECT', 'MODIFY'].every((privilege) => may(privilege, table)))
      return refuse(403, 'access_denied', 'The principal lacks a requested privilege')
    const token = randomBytes(24).toString('base64url')
    if (table !== undefined) this.#tables.set(token, table)
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

/** @returns the table that a token for Zerobus is asked for; null unless exactly the documented rights are asked for */
function zerobusTable(resource: string, details: string | null): string | null {
  if (!/^api:\/\/databricks\/workspaces\/\d+\/zerobusDirectWriteApi$/.test(resource)) return null
  try {
    const entries = JSON.parse(details ?? '') as readonly Readonly<Record<string, unknown>>[]
    const ofType = (type: string) =>
      entries.find((entry) => entry.type === 'unity_catalog_privileges' && entry.object_type === type)
    const wanted = { CATALOG: 'USE CATALOG', SCHEMA: 'USE SCHEMA', TABLE: 'SELECT,MODIFY' }
    const isWhole = Object.entries(wanted).every(
      ([type, privileges]) => String(ofType(type)?.privileges) === privileges,
    )
    return isWhole ? String(ofType('TABLE')?.object_full_path).toLowerCase() : null
  } catch {
    return null
  }
}

/** OAuth has an error shape of its own. */
function refuse(status: number, error: string, description: string): Reply {
  return json(status, { error, error_description: description })
}

function json(status: number, body: object): Reply {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}
