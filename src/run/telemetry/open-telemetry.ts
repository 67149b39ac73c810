import type { Clock } from '../../clock.ts'
import { type Environment, processEnvironment } from '../../config/environment.ts'
import { isTailraceError } from '../../errors.ts'
import { type OptionalPackage, requireInstalled } from '../../package.ts'
import type { Logger } from '../../reporting/logger.ts'
import { exportedSignals } from './exported-signals.ts'
import { logAnalyticsTarget } from './log-analytics/log-analytics-target.ts'
import { joinTelemetry, type RunTelemetry } from './run-telemetry.ts'

interface Opening {
  readonly environment: Environment
  readonly clock: Clock
  readonly logger: Logger
}

/** Imported by the files that are loaded below. */
const otlpPackages = [
  '@opentelemetry/api',
  '@opentelemetry/otlp-exporter-base',
  '@opentelemetry/otlp-transformer',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
] as const
const logAnalyticsPackages = ['@azure/identity', '@azure/monitor-ingestion'] as const

/**
 * Begins to send telemetry if the environment asks for it: by OTLP, to Log Analytics, or both. A mistake in the variables,
 * or a package that is not installed, is logged: no process fails for lack of telemetry.
 *
 * @returns undefined when nothing is sent
 */
export async function openTelemetry({
  environment = processEnvironment(),
  clock,
  logger,
}: {
  readonly environment?: Environment | undefined
  readonly clock: Clock
  readonly logger: Logger
}): Promise<RunTelemetry | undefined> {
  const opening = { environment, clock, logger }
  const opened = [await openOtlp(opening), await openLogAnalytics(opening)].filter((one) => one !== undefined)
  return opened.length > 1 ? joinTelemetry(opened) : opened[0]
}

async function openOtlp({ environment, clock, logger }: Opening): Promise<RunTelemetry | undefined> {
  const { encodings, mistakes } = exportedSignals(environment)
  for (const mistake of mistakes) logger.warn(`${mistake}; nothing is sent there`)
  if (encodings.size === 0 || !areInstalled(otlpPackages, 'OTEL_EXPORTER_OTLP_ENDPOINT', logger))
    return undefined
  // Loaded only when used: the packages would add a quarter to the time of a start.
  const { OtlpTelemetry } = await import('./otlp-telemetry.ts')
  const telemetry = new OtlpTelemetry({ encodings, environment, clock, logger })
  logger.info({ signals: [...encodings.keys()] }, 'sending telemetry by OTLP')
  return telemetry
}

async function openLogAnalytics({ environment, clock, logger }: Opening): Promise<RunTelemetry | undefined> {
  const { target, mistakes } = logAnalyticsTarget(environment)
  for (const mistake of mistakes) logger.warn(`${mistake}: no log is sent to Log Analytics`)
  if (target === undefined || !areInstalled(logAnalyticsPackages, 'TAILRACE_LOG_ANALYTICS_ENDPOINT', logger))
    return undefined
  const { LogAnalytics } = await import('./log-analytics/log-analytics.ts')
  const { endpoint, ruleId, stream } = target
  const telemetry = await LogAnalytics.open(target, { clock, logger }).catch((error: unknown) => {
    // The identity's library checks its own variables, whether storage needs an identity or not.
    logger.warn({ err: error }, 'no log is sent to Log Analytics')
  })
  if (telemetry === undefined) return undefined
  logger.info({ endpoint, rule: ruleId, stream }, 'sending the log to Log Analytics')
  return telemetry
}

function areInstalled(names: readonly OptionalPackage[], user: string, logger: Logger): boolean {
  try {
    requireInstalled(names, user)
    return true
  } catch (error) {
    if (!isTailraceError(error, 'PACKAGE_MISSING')) throw error
    logger.warn({ err: error }, 'no telemetry is sent')
    return false
  }
}
