import type { Clock } from '../../clock.ts'
import { type Environment, processEnvironment } from '../../config/environment.ts'
import { isTailraceError } from '../../errors.ts'
import { requireInstalled } from '../../package.ts'
import type { Logger } from '../../reporting/logger.ts'
import { exportedSignals } from './exported-signals.ts'
import type { RunTelemetry } from './run-telemetry.ts'

/** Imported by the files that are loaded below. */
const packages = [
  '@opentelemetry/api',
  '@opentelemetry/otlp-exporter-base',
  '@opentelemetry/otlp-transformer',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
] as const

/**
 * Begins to send telemetry by OTLP if OpenTelemetry's variables ask for it. A mistake in them, or a package that is not
 * installed, is logged: no process fails for lack of telemetry.
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
  const { encodings, mistakes } = exportedSignals(environment)
  for (const mistake of mistakes) logger.warn(`${mistake}; nothing is sent there`)
  if (encodings.size === 0) return undefined
  try {
    requireInstalled(packages, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  } catch (error) {
    if (!isTailraceError(error, 'PACKAGE_MISSING')) throw error
    logger.warn({ err: error }, 'no telemetry is sent')
    return undefined
  }
  // Loaded only when used: the packages would add a quarter to the time of a start.
  const { OtlpTelemetry } = await import('./otlp-telemetry.ts')
  const telemetry = new OtlpTelemetry({ encodings, environment, clock, logger })
  logger.info({ signals: [...encodings.keys()] }, 'sending telemetry by OTLP')
  return telemetry
}
