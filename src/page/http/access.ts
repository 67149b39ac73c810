import { createHmac, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { isLoopback } from '../page-address.ts'
import { RequestFailure } from './failures.ts'

export interface AccessOptions {
  /** The address that the server is bound to. */
  readonly host: string
  /** Names under which the page is reached besides addresses and `localhost`, such as that of a proxy; without ports. */
  readonly hosts: readonly string[]
  /** Undefined: everybody who reaches the server may read. */
  readonly token?: string | undefined
}

/** The headers by which a request is judged. */
export interface RequestHeaders {
  readonly host: string | undefined
  readonly origin: string | undefined
  /** `Sec-Fetch-Site` */
  readonly fetchSite: string | undefined
  readonly authorization: string | undefined
  /** The value of the cookie `tailrace`. */
  readonly cookie: string | undefined
}

/** Decides who may read. Comparisons with secrets take the same time whatever is compared. */
export class Access {
  readonly #options: AccessOptions
  readonly #hosts: ReadonlySet<string>

  constructor(options: AccessOptions) {
    const hosts = options.hosts.map((host) => host.toLowerCase())
    this.#options = { ...options, hosts }
    this.#hosts = new Set(['localhost', ...hosts])
  }

  /**
   * Checks that a request was made for this server. A name that somebody else can make lead here (DNS rebinding) is
   * refused; an address cannot be made to.
   *
   * @throws RequestFailure FORBIDDEN
   */
  checkHost(host: string | undefined): void {
    const name = hostNameOf(host)
    if (name === undefined || !this.#serves(name))
      throw new RequestFailure('FORBIDDEN', `The page is not served as ${JSON.stringify(host ?? '')}.`)
  }

  /**
   * Checks that a request of the API was sent by a page of this server, or by a program. A link elsewhere may lead to the
   * page, but nothing there may send requests.
   *
   * @throws RequestFailure FORBIDDEN
   */
  checkSite({ host, origin, fetchSite }: Omit<RequestHeaders, 'authorization' | 'cookie'>): void {
    const isSameSite = fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none'
    if (!isSameSite || (origin !== undefined && !this.#isOwn(origin, host)))
      throw new RequestFailure('FORBIDDEN', 'Another site sent the request.')
  }

  /** @returns whether a request may read */
  isAllowed({ authorization, cookie }: Pick<RequestHeaders, 'authorization' | 'cookie'>): boolean {
    const { token } = this.#options
    if (token === undefined) return true
    const bearer = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]
    return (
      (bearer !== undefined && isSame(bearer, token)) ||
      (cookie !== undefined && isSame(cookie, this.sessionOf(token)))
    )
  }

  /** @returns the value of the cookie for a token; undefined for a wrong one */
  login(token: string): string | undefined {
    const expected = this.#options.token
    return expected !== undefined && isSame(token, expected) ? this.sessionOf(expected) : undefined
  }

  /** The cookie shows that the token was known, without being it; it stays valid over a restart of the server. */
  sessionOf(token: string): string {
    return createHmac('sha256', token).update('tailrace page').digest('base64url')
  }

  /** Behind a proxy, the origin has the proxy's name and `Host` may have the address of this server. */
  #isOwn(origin: string, host: string | undefined): boolean {
    const [, authority = ''] = /^https?:\/\/(.+)$/.exec(origin) ?? []
    return authority === host || this.#options.hosts.includes(hostNameOf(authority) ?? '')
  }

  #serves(name: string): boolean {
    if (this.#hosts.has(name) || name === this.#options.host.toLowerCase()) return true
    return isIP(name) !== 0 && (!isLoopback(this.#options.host) || isLoopback(name))
  }
}

/** @returns the name or address of a Host header, in lower case and without the port and brackets */
function hostNameOf(host: string | undefined): string | undefined {
  const found = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(host ?? '')
  return (found?.[1] ?? found?.[2])?.toLowerCase()
}

/** Hashes first, so that neither length nor content shows in the time. */
function isSame(given: string, expected: string): boolean {
  const hash = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest()
  return timingSafeEqual(hash(given), hash(expected))
}
