import type { HrTime } from '@opentelemetry/api'

/** @returns an instant in OpenTelemetry's form, from milliseconds since the epoch */
export function nanosecondsOf(instantMs: number): HrTime {
  const seconds = Math.floor(instantMs / 1000)
  return [seconds, Math.round((instantMs - seconds * 1000) * 1_000_000)]
}
