import { textLogFields } from './log-text.ts'
import type { Shape } from './shape.ts'

/**
 * Log records in the envelope of Azure's diagnostic settings, of the flexible server, the retired single server and
 * Citus.
 */
export const azureDiagnostics: Shape = {
  name: 'azure-diagnostics',
  matches: (at) => `${at('category')} IS NOT NULL AND starts_with(${at('properties')}, '{')`,
  // The single server writes the prefix to a separate key.
  prefixed: (at) => `CASE WHEN ${at('properties', 'prefix')} IS NULL THEN ${at('properties', 'message')}
    ELSE ${at('properties', 'prefix')} || ${at('properties', 'message')} END`,
  readsConnectionMessages: true,
  fields: (at, prefix) => {
    const stated = (key: string): string => `nullif(${at('properties', key)}, '')`
    const role = `lower(${at('ReplicaRole')})`
    return {
      ...textLogFields(prefix),
      event_time_second: `coalesce(${stated('timestamp')}, nullif(${at('time')}, ''))`,
      severity: `coalesce(${stated('errorLevel')}, ${prefix('level')})`,
      sqlstate: `coalesce(${stated('sqlerrcode')}, ${prefix('sqlstate')})`,
      message: `coalesce(${prefix('rest')}, ${at('properties', 'message')})`,
      detail: at('properties', 'detail'),
      hint: at('properties', 'hint'),
      context: at('properties', 'context'),
      backend_type: `coalesce(${stated('backend_type')}, ${prefix('backend_type')})`,
      pid: `coalesce(${stated('processId')}, ${prefix('pid')})`,
      source_role: `CASE WHEN ${role} = 'primary' THEN 'primary'
        WHEN contains(${role}, 'replica') OR contains(${role}, 'standby') THEN 'replica' END`,
      server_name: `coalesce(nullif(${at('LogicalServerName')}, ''),
        nullif(lower(regexp_extract(${at('resourceId')}, '([^/]+)/*$', 1)), ''))`,
    }
  },
}

/** Azure platform metrics, which share containers with logs. Kept as raw text. */
export const azureMetric: Shape = {
  name: 'azure-metric',
  matches: (at) => `${at('metricName')} IS NOT NULL AND ${at('timeGrain')} IS NOT NULL`,
  fields: () => ({}),
}
