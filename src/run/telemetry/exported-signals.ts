import type { Environment } from '../../config/environment.ts'

/** The kinds of telemetry, as OTLP names them. */
export const signals = ['traces', 'metrics', 'logs'] as const
export type Signal = (typeof signals)[number]

/** How bodies of requests are encoded. */
export type OtlpEncoding = 'protobuf' | 'json'

export interface ExportedSignals {
  /** The signals to send, with their encoding. */
  readonly encodings: ReadonlyMap<Signal, OtlpEncoding>
  /** Why signals that have an endpoint are not sent, one sentence each. */
  readonly mistakes: readonly string[]
}

const encodingOf: Readonly<Record<string, OtlpEncoding>> = {
  'http/protobuf': 'protobuf',
  'http/json': 'json',
}

/**
 * Decides by OpenTelemetry's variables which signals are sent. It loads no package, because most processes send none.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ (read 2026-11-29)
 */
export function exportedSignals(environment: Environment): ExportedSignals {
  const variable = (name: string): string | undefined => environment[name]?.trim() || undefined
  const encodings = new Map<Signal, OtlpEncoding>()
  const mistakes = new Set<string>()
  if (variable('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return { encodings, mistakes: [] }
  for (const signal of signals) {
    const exporters = (variable(`OTEL_${signal.toUpperCase()}_EXPORTER`) ?? 'otlp').split(/\s*,\s*/)
    const ofSignal = (name: string) =>
      [`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`, `OTEL_EXPORTER_OTLP_${name}`].find(
        (full) => variable(full) !== undefined,
      )
    const endpoint = ofSignal('ENDPOINT')
    if (endpoint === undefined || !exporters.includes('otlp')) continue
    const protocolName = ofSignal('PROTOCOL')
    const protocol = protocolName === undefined ? 'http/protobuf' : variable(protocolName)!
    const encoding = encodingOf[protocol]
    // The values stay out of the messages: a URL may have a password.
    if (!isHttp(variable(endpoint)!))
      mistakes.add(`${endpoint}: expected a URL that begins with http:// or https://`)
    else if (encoding === undefined)
      mistakes.add(`${protocolName}: found ${protocol}, expected http/protobuf or http/json`)
    else encodings.set(signal, encoding)
  }
  return { encodings, mistakes: [...mistakes] }
}

function isHttp(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
}
