import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { type ErrorCode, errors, isTailraceError } from '../../errors.ts'
import { redactSecrets } from '../../reporting/redact.ts'
import type { ApiFailure } from '../api.ts'

/** Failures of requests that are no failures of Tailrace, with the status and the remedy of each. */
const requestFailures = {
  BAD_REQUEST: { status: 400, hint: 'Correct the named parameter.' },
  UNAUTHORIZED: { status: 401, hint: 'Log in with the value of TAILRACE_PAGE_TOKEN.' },
  FORBIDDEN: { status: 403, hint: 'Open the page by its own address, or list its host in page.hosts.' },
  NOT_FOUND: { status: 404, hint: 'See the list of requests in docs/page.md.' },
  TOO_LARGE: { status: 413, hint: 'Send a shorter request.' },
  CANCELED: { status: 499, hint: 'Run it again.' },
  BUSY: { status: 503, hint: 'Close other windows of the page, or try again in a moment.' },
  TIMED_OUT: { status: 504, hint: 'Choose a shorter time, or fewer records.' },
} as const satisfies Record<string, { readonly status: ContentfulStatusCode | 499; readonly hint: string }>
export type RequestFailureCode = keyof typeof requestFailures

/** A request that is refused. */
export class RequestFailure extends Error {
  readonly code: RequestFailureCode
  readonly hint: string

  /** @param hint default: that of the code */
  constructor(code: RequestFailureCode, message: string, hint: string = requestFailures[code].hint) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

const statuses: Readonly<Partial<Record<ErrorCode, ContentfulStatusCode>>> = {
  USAGE: 400,
  QUERY_FAILED: 400,
  QUERY_REFUSED: 403,
  QUERY_BUSY: 503,
  STATEMENT_FAILED: 400,
  WAREHOUSE_DENIED: 403,
  WAREHOUSE_UNAVAILABLE: 503,
  TABLE_TOO_LARGE: 413,
}

/** @returns the answer to a request that failed; `isUnexpected`: the log should have it */
export function failureOf(error: unknown): {
  readonly status: ContentfulStatusCode
  readonly body: ApiFailure
  readonly isUnexpected: boolean
} {
  const known = requestFailureOf(error)
  if (known !== undefined) {
    const { code, message, hint } = known
    const { status } = requestFailures[code]
    const body = { error: { code, message, hint } }
    return { status: status as ContentfulStatusCode, body, isUnexpected: false }
  }
  const code = isTailraceError(error) ? error.code : 'UNEXPECTED'
  const message = redactSecrets(error instanceof Error ? error.message : String(error))
  // Statements of the page cannot be allowed more.
  const hint = code === 'QUERY_REFUSED' ? 'Use one statement that only reads the tables.' : errors[code].hint
  const status = statuses[code] ?? 500
  return { status, body: { error: { code, message, hint } }, isUnexpected: status === 500 }
}

/** @returns undefined for an error that is none of a request */
export function requestFailureOf(error: unknown): RequestFailure | undefined {
  if (error instanceof RequestFailure) return error
  const name = error instanceof Error && !isTailraceError(error) ? error.name : ''
  if (name === 'AbortError') return new RequestFailure('CANCELED', 'The request was canceled.')
  if (name === 'TimeoutError')
    return new RequestFailure('TIMED_OUT', 'The request took too long and was ended.')
  return undefined
}
