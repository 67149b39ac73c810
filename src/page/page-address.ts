import { isIP } from 'node:net'
import { TailraceError } from '../errors.ts'

/** Connections of all browsers together: enough for the windows of a few persons. */
export const maxConnections = 128

/** @returns whether only this machine can reach an address */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** @throws PAGE_UNAVAILABLE for an address that other machines can reach without a token */
export function requireToken({
  host,
  token,
}: {
  readonly host: string
  readonly token?: string | undefined
}): void {
  if (token !== undefined || isLoopback(host)) return
  throw new TailraceError(
    'PAGE_UNAVAILABLE',
    `Other machines can reach the page at ${host}, so it needs a token: set TAILRACE_PAGE_TOKEN, or page.token.`,
  )
}

/** @returns the address of the page for a browser on this machine */
export function pageUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}/`
}

/** @returns the error of an address that cannot be listened on */
export function pageUnavailable(port: number, host: string, error: unknown): TailraceError {
  const { code, message } = error as NodeJS.ErrnoException
  const reason =
    code === 'EADDRINUSE'
      ? `port ${port} is in use on ${host}`
      : code === 'EACCES'
        ? `this user may not serve port ${port} on ${host}`
        : `${host} cannot serve port ${port} (${code ?? message})`
  return new TailraceError('PAGE_UNAVAILABLE', `The page is not served: ${reason}.`, { cause: error })
}
