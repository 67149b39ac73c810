import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { selfSigned } from '../sources/self-signed.ts'
import { misbehavingServer } from '../sources/storage-fixture.ts'

/** A row as it was received. */
export type LogAnalyticsRow = Readonly<Record<string, unknown>>

/** An answer in place of 204. `silent` never answers. */
export type LogAnalyticsAnswer =
  | 'silent'
  | { readonly status: number; readonly code: string; readonly headers?: Readonly<Record<string, string>> }

/** A server that speaks the Logs Ingestion API over TLS, and the endpoint of a managed identity. */
export interface LogAnalyticsReceiver {
  /** The environment of a process that sends its log here. */
  readonly environment: Readonly<Record<string, string>>
  /** Rows of accepted requests. */
  readonly rows: readonly LogAnalyticsRow[]
  readonly requests: readonly { readonly headers: IncomingHttpHeaders; readonly text: string }[]
}

export const ruleId = 'dcr-00000000000000000000000000000001'
export const token = 'token-SECRET'

/** Limit of the API for a request, before compression: https://learn.microsoft.com/azure/azure-monitor/service-limits */
const maxBodyBytes = 1024 * 1024

/** @param answerOf what the n-th request gets, counted from 1; undefined to accept it */
export async function startLogAnalytics(
  t: TestContext,
  answerOf: (request: number) => LogAnalyticsAnswer | undefined = () => undefined,
): Promise<LogAnalyticsReceiver> {
  const rows: LogAnalyticsRow[] = []
  const requests: { headers: IncomingHttpHeaders; text: string }[] = []
  const certificate = await selfSigned(t, ['IP:127.0.0.1'])
  const server = createServer(certificate, async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const url = new URL(request.url ?? '', 'https://ingest')
    const refuse = (status: number, code: string, headers = {}): void => {
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify({ error: { code, message: `${code} by the rule` } }))
    }
    const path = `/dataCollectionRules/${ruleId}/streams/Custom-Tailrace_CL`
    if (request.method !== 'POST' || url.pathname !== path) return refuse(404, 'NotFound')
    if (url.searchParams.get('api-version') !== '2023-01-01') return refuse(400, 'InvalidApiVersion')
    if (request.headers.authorization !== `Bearer ${token}`) return refuse(401, 'InvalidToken')
    const body = Buffer.concat(pieces)
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
    requests.push({ headers: request.headers, text })
    const answer = answerOf(requests.length)
    if (answer === 'silent') return
    if (answer !== undefined) return refuse(answer.status, answer.code, answer.headers)
    if (Buffer.byteLength(text) > maxBodyBytes) return refuse(413, 'ContentLengthLimitExceeded')
    rows.push(...(JSON.parse(text) as LogAnalyticsRow[]))
    response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const identity = await misbehavingServer(t, (_request, response) => {
    const expires = { expires_on: String(Math.floor(Date.now() / 1000) + 86_400) }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ access_token: token, token_type: 'Bearer', ...expires }))
  })
  return {
    environment: {
      TAILRACE_LOG_ANALYTICS_ENDPOINT: `https://127.0.0.1:${port}`,
      TAILRACE_LOG_ANALYTICS_RULE: ruleId,
      NODE_EXTRA_CA_CERTS: certificate.file,
      IDENTITY_ENDPOINT: `${identity}/token`,
      IDENTITY_HEADER: 'header-SECRET',
    },
    rows,
    requests,
  }
}
