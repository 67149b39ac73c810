import { hostname } from 'node:os'
import { LogsIngestionClient } from '@azure/monitor-ingestion'
import { entraCredential } from '../../../azure/entra-credential.ts'
import { storageFailure } from '../../../azure/failure.ts'
import type { Clock, Deadline } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { ExportQueue } from '../export-queue.ts'
import type { RunTelemetry, TelemetryCounts } from '../run-telemetry.ts'
import { sendInTime } from '../send-in-time.ts'
import { type LogAnalyticsRecord, logAnalyticsRecord } from './log-analytics-record.ts'
import type { LogAnalyticsTarget } from './log-analytics-target.ts'

/** The service answers within seconds, or not at all. */
const requestMs = 10_000

/** No attempt of a request begins later than this after its first one. */
const sendMs = 30_000

/** The queue's limits: those of OpenTelemetry's log records. A request has at most 1 MB; the client divides larger ones. */
const queueLimits = { maxItems: 2_048, maxBatchItems: 512, delayMs: 1_000 }

/**
 * Sends the log to a custom table of a Log Analytics workspace, by the Logs Ingestion API and without a collector.
 *
 * A record whose answer is lost is sent again, and is then in the table twice.
 *
 * @see https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview (read 2026-11-29)
 */
export class LogAnalytics implements RunTelemetry {
  readonly #queue: ExportQueue<LogAnalyticsRecord>
  readonly #clock: Clock
  readonly #host = hostname()

  private constructor(queue: ExportQueue<LogAnalyticsRecord>, clock: Clock) {
    this.#queue = queue
    this.#clock = clock
  }

  /** Creates the client. Sends nothing yet, so that no mistake in the target delays or ends a start. */
  static async open(
    target: LogAnalyticsTarget,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ): Promise<LogAnalytics> {
    const client = new LogsIngestionClient(target.endpoint, await entraCredential({}), {
      audience: target.audience,
      // Repeated here, so that a stop ends it.
      retryOptions: { maxRetries: 0 },
    })
    const queue = new ExportQueue<LogAnalyticsRecord>({
      ...queueLimits,
      name: 'log records for Log Analytics',
      send: async (records, signal) => {
        await send(client, target, records, { signal, clock })
        return 0
      },
      clock,
      logger,
    })
    return new LogAnalytics(queue, clock)
  }

  get counts(): TelemetryCounts {
    return [['log_analytics', this.#queue.counts]]
  }

  write(line: string): void {
    this.#queue.add(logAnalyticsRecord(line, this.#host, this.#clock.now()))
  }

  landed(): void {}

  failed(): void {}

  measure(): void {}

  close(signal: AbortSignal): Promise<void> {
    return this.#queue.close(signal)
  }
}

/**
 * Sends records, and repeats those that were not accepted.
 *
 * @throws TELEMETRY_UNAVAILABLE, TELEMETRY_REFUSED, or the signal's reason
 */
async function send(
  client: LogsIngestionClient,
  { endpoint, ruleId, stream }: LogAnalyticsTarget,
  records: readonly LogAnalyticsRecord[],
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<void> {
  let left: Record<string, unknown>[] = [...records]
  const upload = async (deadline: Deadline): Promise<void> => {
    const failed: Record<string, unknown>[] = []
    let cause: Error | undefined
    const uploading = client.upload(ruleId, stream, left, {
      abortSignal: deadline.signal,
      maxConcurrency: 1,
      onError: (failure) => {
        failed.push(...failure.failedLogs)
        cause ??= failure.cause
      },
    })
    // The error of the whole upload lists those that `onError` has received.
    await deadline.race(uploading.catch((error: Error) => (cause ??= error)))
    if (cause === undefined) return
    if (failed.length > 0) left = failed
    throw failureOf(endpoint, cause, clock.now())
  }
  const late = (expired: Error): TailraceError => failureOf(endpoint, expired, clock.now())
  const limits = { awaited: 'answer of Log Analytics', attemptMs: requestMs, totalMs: sendMs }
  await sendInTime(upload, { ...limits, late, signal, clock })
}

function failureOf(endpoint: string, error: Error, nowMs: number): TailraceError {
  const failure = storageFailure(error, nowMs)
  const { status, retryAfterMs, requestIds } = failure ?? {}
  const details = { context: { status, retryAfterMs, ...requestIds }, cause: error }
  if (failure?.kind === 'passing')
    return new TailraceError(
      'TELEMETRY_UNAVAILABLE',
      `No answer from ${endpoint}: ${failure.summary}.`,
      details,
    )
  const remedy =
    failure?.kind === 'denied'
      ? ' Grant the identity the role Monitoring Metrics Publisher on the data collection rule.'
      : failure?.kind === 'missing'
        ? ' Check the id of the rule and the name of the stream.'
        : ''
  return new TailraceError(
    'TELEMETRY_REFUSED',
    `${endpoint} refused log records: ${failure?.summary ?? error.message}.${remedy}`,
    details,
  )
}
