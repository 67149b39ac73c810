import { sqlString } from '../../sql.ts'
import { type PrefixValue, prefixFields, type Shape, type ValueAt } from './shape.ts'

/** Fields that a text log has only in its prefix. */
export function textLogFields(prefix: PrefixValue): ReturnType<Shape['fields']> {
  const { time: event_time, ...others } = Object.fromEntries(
    prefixFields.map((name) => [name, prefix(name)]),
  ) as Record<(typeof prefixFields)[number], string>
  return { ...others, event_time, severity: prefix('level') }
}

/** Google Cloud SQL: the server's text log in `textPayload`. */
export const cloudSql: Shape = {
  name: 'cloud-sql',
  matches: (at) => `${at('textPayload')} IS NOT NULL AND ${at('logName')} IS NOT NULL`,
  prefixed: (at) => at('textPayload'),
  readsConnectionMessages: true,
  fields: (at, prefix) => ({
    ...textLogFields(prefix),
    event_time_second: at('timestamp'),
    message: `coalesce(${prefix('rest')}, ${prefix('whole')})`,
    server_name: at('resource', 'labels', 'database_id'),
  }),
}

/** SQL of the text inside the envelope of a container runtime or shipper, without its final newline. */
function wrappedText(at: ValueAt): string {
  return `rtrim(coalesce(${at('log')}, ${at('message')}), chr(10) || chr(13))`
}

/** A time at the start of a text with an unknown prefix, with its zone if one follows. In `+02:10.0.0.1` the zone is +02. */
const leadingTime =
  '^(\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?(?: ?(?:[A-Z][A-Za-z]{1,4}|Z|[+-]\\d\\d(?::?\\d\\d)?))?)(?:[^.\\w]|$)'

/** Docker's json-file, Fluent Bit, Vector: the server's text log in `log` or `message`. */
export const logText: Shape = {
  name: 'log-text',
  matches: (at) => `${at('log')} IS NOT NULL OR ${at('message')} IS NOT NULL`,
  prefixed: wrappedText,
  readsConnectionMessages: true,
  fields: (at, prefix) => {
    const own = `coalesce(${prefix('time')}, nullif(regexp_extract(${prefix('head')}, ${sqlString(leadingTime)}, 1), ''))`
    return {
      ...textLogFields(prefix),
      event_time: own,
      // The shipper's time can be hours later than the server's after a backlog, so it is used only for text without a time.
      event_time_second: `CASE WHEN ${own} IS NULL THEN coalesce(${at('time')}, ${at('@timestamp')}, ${at('timestamp')}, ${at('date')}) END`,
      message: `coalesce(${prefix('rest')}, ${prefix('whole')})`,
    }
  },
}
