import { isUtf8 } from 'node:buffer'
import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts'

/** First characters of the first keys of the batches that `batchRecords` reads. */
const initials: ReadonlySet<string> = new Set('rsmoepd')
/** These keys, some of which begin other records, too, but with values of another type. */
const firstKey =
  /^\{"(?:(?:resourceLogs|streams|status|messageType|preview)"|owner"(?=.*"logEvents")|(?:events|results|data)" ?: ?\[|result" ?: ?\{)/

/** @returns whether a line may be a batch, from its first key alone: called for every line */
export function mayBeBatch(line: string): boolean {
  return initials.has(line.charAt(2)) && firstKey.test(line)
}

/** The labels of a batch are repeated in each of its records: with more values than this, the batch stays one record. */
const maxRepeatedBytes = 16 * 1024 * 1024

/**
 * The records of a batch of OTLP (the collector's file exporter), of Loki's push API or its answer to a query, of a
 * subscription of CloudWatch, or of the answers of CloudWatch, Splunk and Datadog to a search: each as an object with its
 * text or record, its time, and what the batch states of all its records.
 *
 * @returns undefined for any other object, and for a batch without records
 */
export function batchRecords(value: JsonObject): readonly JsonObject[] | undefined {
  const records =
    otlpRecords(value) ??
    lokiRecords(value) ??
    cloudWatchRecords(value) ??
    cloudWatchAnswer(value) ??
    splunkAnswer(value) ??
    datadogAnswer(value)
  if (records === undefined || records.length === 0) return undefined
  const { log: _log, ...labels } = records[0]!
  const repeated = JSON.stringify(labels, (_key, inner) => (typeof inner === 'bigint' ? 0 : inner)).length
  return repeated * records.length > maxRepeatedBytes ? undefined : records
}

function objectsIn(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

/** https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, read 2026-11 */
function otlpRecords({ resourceLogs, ...batch }: JsonObject): readonly JsonObject[] | undefined {
  if (!Array.isArray(resourceLogs)) return undefined
  return objectsIn(resourceLogs).flatMap(({ resource: from, scopeLogs, ...ofResource }) => {
    const resource = described(from, ofResource)
    const host = ['k8s.pod.name', 'host.name', 'service.instance.id', 'service.name'].find(
      (key) => typeof resource[key] === 'string',
    )
    return objectsIn(scopeLogs).flatMap(({ scope: source, logRecords, ...ofScope }) => {
      const scope = described(source, ofScope)
      return objectsIn(logRecords).map(
        ({ body, timeUnixNano, severityText, attributes, ...others }): JsonObject => {
          const time =
            timeUnixNano === undefined || timeUnixNano === '0' ? others.observedTimeUnixNano : timeUnixNano
          return {
            ...batch,
            ...others,
            ...textOf(body),
            ...(time === undefined ? {} : { time }),
            ...severityOf(severityText, others.severityNumber),
            ...(host === undefined ? {} : { host: resource[host]! }),
            resource,
            ...(Object.keys(scope).length === 0 ? {} : { scope }),
            attributes: plainMembers(attributes),
          }
        },
      )
    })
  })
}

/** Four numbers each (https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber, read 2026-11). */
const numberedLevels = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']

function severityOf(text: JsonValue | undefined, number: JsonValue | undefined): JsonObject {
  if (text !== undefined && text !== '') return { severity: text }
  const word = numberedLevels[Math.ceil(Number(number ?? 0) / 4) - 1]
  return word === undefined ? {} : { severity: word }
}

/** @returns the attributes of a resource or scope, and what else the batch states of it, such as the URL of its schema */
function described(value: JsonValue | undefined, others: JsonObject): JsonObject {
  if (!isJsonObject(value)) return others
  const { attributes, ...own } = value
  return { ...others, ...own, ...plainMembers(attributes) }
}

/** @returns the object of a list of `{ key, value }` */
function plainMembers(list: JsonValue | undefined): JsonObject {
  return Object.fromEntries(objectsIn(list).map(({ key, value }) => [String(key), plainValue(value) ?? null]))
}

/** @returns the text or record of a log record; what a body has besides, against the protocol, stays under `body` */
function textOf(body: JsonValue | undefined): JsonObject {
  if (!isJsonObject(body) || Object.keys(body).length < 2) return { log: plainValue(body) ?? null }
  const [[type, value], ...others] = Object.entries(body) as [[string, JsonValue], ...[string, JsonValue][]]
  return { log: plainValue({ [type]: value }) ?? null, body: Object.fromEntries(others) }
}

/** @returns the value of an object whose only key names its type; integers are strings there */
function plainValue(typed: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(typed)) return undefined
  if (Object.keys(typed).length > 1) return typed
  const { intValue, arrayValue, kvlistValue, bytesValue } = typed
  if (typeof bytesValue === 'string') {
    const bytes = Buffer.from(bytesValue, 'base64')
    return isUtf8(bytes) ? bytes.toString('utf8') : bytesValue
  }
  if (typeof intValue === 'string' && /^-?\d{1,19}$/.test(intValue)) return BigInt(intValue)
  if (isJsonObject(kvlistValue)) return plainMembers(kvlistValue.values)
  if (isJsonObject(arrayValue)) return objectsIn(arrayValue.values).map((one) => plainValue(one) ?? null)
  return Object.values(typed)[0]
}

/** https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs, read 2026-11 */
function lokiRecords({ streams, ...others }: JsonObject): readonly JsonObject[] | undefined {
  if (Array.isArray(streams)) return streamRecords(streams, others)
  // https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time, read 2026-11
  const { data } = others
  return isJsonObject(data) && data.resultType === 'streams' && Array.isArray(data.result)
    ? streamRecords(data.result, {})
    : undefined
}

function streamRecords(streams: JsonValue[], batch: JsonObject): readonly JsonObject[] {
  return objectsIn(streams).flatMap(({ stream, values, ...others }) =>
    (Array.isArray(values) ? values : []).flatMap((one): JsonObject[] => {
      if (!Array.isArray(one)) return []
      const [time = null, log = null, metadata] = one
      return [
        {
          ...batch,
          ...others,
          log,
          time,
          labels: stream ?? null,
          ...(metadata === undefined ? {} : { metadata }),
        },
      ]
    }),
  )
}

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html, read 2026-11 */
function cloudWatchRecords({ logEvents, ...batch }: JsonObject): readonly JsonObject[] | undefined {
  if (!Array.isArray(logEvents)) return undefined
  // Of RDS and Aurora, the group has the name of the instance or cluster.
  const [, name] = /^\/aws\/rds\/(?:instance|cluster)\/([^/]+)\//.exec(String(batch.logGroup)) ?? []
  const host = name ?? batch.logStream ?? null
  return objectsIn(logEvents).map(({ message = null, ...others }) => ({
    log: message,
    host,
    ...others,
    ...batch,
  }))
}

/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html, read 2026-12 */
function cloudWatchAnswer({ events, ...answer }: JsonObject): readonly JsonObject[] | undefined {
  const all = objectsIn(events)
  return all.length > 0 &&
    all.every(({ message, timestamp }) => message !== undefined && timestamp !== undefined)
    ? all.map((event) => ({ ...event, ...answer }))
    : undefined
}

/** https://docs.splunk.com/Documentation/Splunk/latest/RESTREF/RESTsearch, read 2026-12 */
function splunkAnswer({ result, results, ...answer }: JsonObject): readonly JsonObject[] | undefined {
  const all = objectsIn(results ?? (result === undefined ? undefined : [result]))
  return all.length > 0 && all.every((one) => one._raw !== undefined)
    ? all.map((one) => ({ ...answer, ...one }))
    : undefined
}

/** https://docs.datadoghq.com/api/latest/logs/#search-logs, read 2026-12 */
function datadogAnswer({ data, ...answer }: JsonObject): readonly JsonObject[] | undefined {
  const all = objectsIn(data)
  const attributesOf = ({ attributes }: JsonObject): JsonObject =>
    attributes !== undefined && isJsonObject(attributes) ? attributes : {}
  return all.length > 0 && all.every((one) => attributesOf(one).message !== undefined)
    ? all
        .map(({ attributes: _attributes, ...event }) => event)
        .map((event, index) => ({ ...answer, ...event, ...attributesOf(all[index]!) }))
    : undefined
}
