import { type Environment, logAnalyticsVariables, readVariables } from '../../../config/environment.ts'
import { isTailraceError } from '../../../errors.ts'

/** Where log records go in Azure Monitor. */
export interface LogAnalyticsTarget {
  /** Address of the Logs Ingestion API: that of a data collection endpoint, or of a rule of kind `Direct`. */
  readonly endpoint: string
  /** Immutable id of the data collection rule: `dcr-` and 32 hexadecimal digits. */
  readonly ruleId: string
  /** A stream that the rule declares. */
  readonly stream: string
  /** Whose tokens the cloud of the endpoint accepts. */
  readonly audience: string
}

/** The stream of `deploy/log-analytics/main.bicep`. */
const defaultStream = 'Custom-Tailrace_CL'

/**
 * Reads from the environment where log records go.
 *
 * @returns the target, or why the variables name none, one sentence each; neither when none is set
 */
export function logAnalyticsTarget(environment?: Environment): {
  readonly target?: LogAnalyticsTarget
  readonly mistakes: readonly string[]
} {
  let values: ReturnType<typeof variablesIn>
  try {
    values = variablesIn(environment)
  } catch (error) {
    if (!isTailraceError(error, 'CONFIG_INVALID')) throw error
    return { mistakes: [error.message] }
  }
  const {
    TAILRACE_LOG_ANALYTICS_ENDPOINT: endpoint,
    TAILRACE_LOG_ANALYTICS_RULE: ruleId,
    TAILRACE_LOG_ANALYTICS_STREAM: stream = defaultStream,
  } = values
  if (endpoint === undefined && ruleId === undefined) return { mistakes: [] }
  const mistakes: string[] = []
  // Without TLS, anybody on the way could read the token.
  if (!/^https:\/\/[^\s/?#@]+\/?$/.test(endpoint ?? '') || !URL.canParse(endpoint ?? ''))
    mistakes.push(
      `TAILRACE_LOG_ANALYTICS_ENDPOINT: ${endpoint === undefined ? 'missing' : 'expected https:// and a host'}`,
    )
  if (!/^dcr-[0-9a-f]{32}$/.test(ruleId ?? ''))
    mistakes.push(
      `TAILRACE_LOG_ANALYTICS_RULE: ${ruleId === undefined ? 'missing' : 'expected the immutable id of the rule, dcr- and 32 hexadecimal digits'}`,
    )
  if (!/^(?:Custom|Microsoft)-\w+$/.test(stream))
    mistakes.push('TAILRACE_LOG_ANALYTICS_STREAM: expected a name such as Custom-Tailrace_CL')
  if (endpoint === undefined || ruleId === undefined || mistakes.length > 0) return { mistakes }
  return { target: { endpoint, ruleId, stream, audience: audienceOf(endpoint) }, mistakes }
}

const variablesIn = (environment?: Environment) => readVariables(logAnalyticsVariables, environment)

/** @see https://learn.microsoft.com/javascript/api/overview/azure/monitor-ingestion-readme (read 2026-11-29) */
function audienceOf(endpoint: string): string {
  const topLevel = /\.(cn|us)$/.exec(new URL(endpoint).hostname)?.[1] ?? 'com'
  return `https://monitor.azure.${topLevel}`
}
