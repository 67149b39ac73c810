import { sqlString } from '../../sql.ts'
import { removalPatch } from '../other-keys.ts'
import type { ValueAt } from './shape.ts'

/** Keys of the text in envelopes: Vector, Beats and Logstash; Azure's container logs; journald; others. Docker has `log`. */
const textKeys = ['message', 'LogMessage', 'LogEntry', 'MESSAGE', 'msg', 'short_message'] as const

/** Keys of a record that what forwards it has parsed: Filebeat; Fluent Bit with Merge_Log_Key; Google Cloud. */
const recordKeys = ['json', 'log_processed', 'log_parsed', 'jsonPayload'] as const

/** Keys of a text that may be a record of its own. */
const recordTextKeys = ['log', 'message', 'LogMessage', 'LogEntry', 'MESSAGE'] as const

/** A key that may hold what an envelope wraps, and SQL of whether it does. The first such key counts. */
type Source = readonly [key: string, condition: string]

/** SQL of whether a record may be a text log: it has a text under one of the usual keys. */
export function hasText(at: ValueAt): string {
  const keys = ['log', ...textKeys, ...recordKeys].map((key) => `${at(key)} IS NOT NULL`)
  return `(${keys.join(' OR ')} OR ${isLoki(at)})`
}

/** SQL of whether a record is a line of Loki's export. Without labels, its key `line` can mean anything. */
function isLoki(at: ValueAt): string {
  return `(${at('labels')} IS NOT NULL AND ${at('line')} IS NOT NULL)`
}

function textSources(at: ValueAt): readonly Source[] {
  return [
    // Beats and Logstash have an object of their own under `log`.
    ['log', `${at('log')} IS NOT NULL AND NOT starts_with(${at('log')}, '{')`],
    ...textKeys.map((key): Source => [key, `${at(key)} IS NOT NULL`]),
    ['line', isLoki(at)],
  ]
}

function recordSources(at: ValueAt): readonly Source[] {
  return [
    ...recordKeys.map((key): Source => [key, `starts_with(${at(key)}, '{')`]),
    // Beats and Logstash have an object of their own under `log`, beside the text or the decoded record.
    ['message', `${at('message')} IS NOT NULL AND starts_with(${at('log')}, '{')`],
    ...recordTextKeys.map((key): Source => [key, `${at(key)} IS NOT NULL`]),
  ]
}

function first(sources: readonly Source[], sqlOf: (key: string) => string, otherwise: string): string {
  const branches = sources.map(([key, condition]) => `WHEN ${condition} THEN ${sqlOf(key)}`)
  return `CASE ${branches.join(' ')} ELSE ${otherwise} END`
}

/** SQL of the text inside the envelope of a shipper, as it is. */
export function envelopeText(at: ValueAt): string {
  return first(textSources(at), (key) => at(key), at('log'))
}

/** SQL of the text inside an envelope that may be a record of its own. */
export function envelopeRecord(at: ValueAt): string {
  return first(recordSources(at), (key) => at(key), 'NULL')
}

/** SQL of `removalPatch` the key that `envelopeText` reads. */
export function textRemoval(at: ValueAt): string {
  return first(textSources(at), removal, removal('log'))
}

/** SQL of `removalPatch` the key that `envelopeRecord` reads. */
export function recordRemoval(at: ValueAt): string {
  return first(recordSources(at), removal, 'NULL')
}

function removal(key: string): string {
  return sqlString(removalPatch([[key]]))
}
