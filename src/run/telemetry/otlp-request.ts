import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { convertLegacyHttpOptions } from '@opentelemetry/otlp-exporter-base/node-http'
import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { retryAfterMs } from '../../retry.ts'
import type { OtlpEncoding, Signal } from './exported-signals.ts'
import { sendInTime } from './send-in-time.ts'

/** Where and how one signal is sent, by OpenTelemetry's variables: URL, headers, time limit, compression, certificates. */
export type OtlpTarget = ReturnType<typeof convertLegacyHttpOptions>

/** Statuses after which the same request may succeed: https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes */
const passingStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** An answer has counts of refused records; collectors send no more. */
const maxAnswerBytes = 1024 * 1024

/** @returns the target of a signal that has an endpoint */
export function otlpTarget(signal: Signal, encoding: OtlpEncoding): OtlpTarget {
  const type = encoding === 'json' ? 'application/json' : 'application/x-protobuf'
  return convertLegacyHttpOptions({}, signal.toUpperCase(), `v1/${signal}`, { 'Content-Type': type })
}

/**
 * Sends one request, and repeats it for the time limit of the target.
 *
 * The library's own exporters are not used: a request of theirs, and its repetitions, cannot be ended, so that a collector
 * that hangs would delay the end of the process.
 *
 * @returns the body of the answer
 * @throws TELEMETRY_UNAVAILABLE, TELEMETRY_REFUSED, or the signal's reason
 */
export async function sendOtlp(
  target: OtlpTarget,
  body: Uint8Array,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<Buffer> {
  const url = new URL(target.url)
  const sent = target.compression === 'gzip' ? await promisify(gzip)(body) : body
  const headers: Record<string, string> = {
    ...(await target.headers()),
    'Content-Length': String(sent.length),
    ...(target.compression === 'gzip' ? { 'Content-Encoding': 'gzip' } : undefined),
  }
  const agent = await target.agentFactory(url.protocol)
  return sendInTime(
    ({ signal: aborted }) => answer(url, { method: 'POST', headers, agent, signal: aborted }, sent, clock),
    {
      awaited: 'answer of the collector',
      attemptMs: target.timeoutMillis,
      totalMs: target.timeoutMillis,
      late: (expired) => unavailable(url, expired),
      signal,
      clock,
    },
  )
}

function answer(
  url: URL,
  options: Parameters<typeof requestHttps>[1],
  body: Uint8Array,
  clock: Clock,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(error.name === 'AbortError' ? error : unavailable(url, error))
    const request = url.protocol === 'https:' ? requestHttps : requestHttp
    const sending = request(url, options, (response) => {
      const { statusCode: status = 0, headers } = response
      const pieces: Buffer[] = []
      let bytes = 0
      response.on('error', fail)
      response.on('data', (piece: Buffer) => {
        bytes += piece.length
        if (bytes <= maxAnswerBytes) pieces.push(piece)
      })
      response.on('end', () => {
        if (status >= 200 && status < 300) resolve(Buffer.concat(pieces))
        else reject(refused(url, status, retryAfterMs(headers['retry-after'], clock.now())))
      })
    })
    sending.on('error', fail)
    sending.end(body)
  })
}

function unavailable({ origin, pathname }: URL, error: Error): TailraceError {
  const message = `No answer from ${origin}${pathname}: ${error.message}.`
  return new TailraceError('TELEMETRY_UNAVAILABLE', message, { cause: error })
}

function refused({ origin, pathname }: URL, status: number, pauseMs: number | undefined): TailraceError {
  const isPassing = passingStatuses.has(status)
  return new TailraceError(
    isPassing ? 'TELEMETRY_UNAVAILABLE' : 'TELEMETRY_REFUSED',
    `${origin}${pathname} answered ${status}.`,
    { context: { status, retryAfterMs: pauseMs } },
  )
}
