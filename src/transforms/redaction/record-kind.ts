import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts'
import { meaningOf } from './record-keys.ts'

/**
 * The kind of a record: a `server` record has its texts under known keys; an `envelope` contains lines of a log file, as text
 * or as records; a `message` alone may be either; an `unknown` record has no known structure.
 */
export type RecordKind = 'server' | 'envelope' | 'message' | 'unknown'

const actions = new Set(['B', 'C', 'I', 'U', 'D', 'T', 'M'])

/** @returns whether the value of a key is a row of a table, whose own keys are names of columns and so mean nothing here */
export type RowTest = (key: string) => boolean

const isNoRow: RowTest = () => false
const isDmsRow: RowTest = (key) => key === 'data' || key === 'before-image'
const isSequinRow: RowTest = (key) => key === 'record' || key === 'changes'
const sequinActions = new Set(['insert', 'update', 'delete', 'read'])
const isSupabaseRow: RowTest = (key) => ['record', 'old_record', 'new', 'old'].includes(key)
const isDataRow: RowTest = (key) => key === 'data' || key === 'old'
// Debezium can write a row without an object around it. Its own keys begin with two underscores.
const isFlattenedColumn: RowTest = (key) => !key.startsWith('__')

// Keys are compared by their plain names: exports spell them `errorLevel_s`, `Query` or `audit.statement`.

/** Keys of structured records. One of them is enough: jsonlog, csvlog, Azure, pgaudit, CloudNativePG. */
const serverKeys = new Set(
  'errorseverity logtime errorlevel sqlerrcode metricname auditclass audittype audit statement query internalquery parameter detail hint context logger'.split(
    ' ',
  ),
)

/** Keys next to a message, of services that log JSON, such as Patroni. */
const levelKeys = ['level', 'levelname', 'severity']

const envelopeKeys =
  'log message msg logmessage logentry textpayload jsonpayload protopayload resourcelogs scopelogs logrecords logevents fullmessage shortmessage raw'.split(
    ' ',
  )

/** Keys of a text or record that are one only beside another key: of Loki, and of Splunk's collector. */
const pairedKeys = [
  ['line', 'labels'],
  ['event', 'sourcetype'],
] as const

/** @returns the kind of an object that is nested in an object of the kind `outer` */
export function knownKind(record: JsonObject, outer: RecordKind): RecordKind {
  const own = recordKindOf(record)
  if (own !== 'unknown') return own
  // Filebeat puts a decoded record under `json`, Kafka Connect under `payload`.
  return outer === 'unknown' && Object.values(record).some(holdsRecord) ? 'envelope' : outer
}

function recordKindOf(record: JsonObject): RecordKind {
  const names = new Set<string>()
  for (const key of Object.keys(record)) {
    const { name } = meaningOf(key)
    if (serverKeys.has(name)) return 'server'
    names.add(name)
  }
  const has = (name: string): boolean => names.has(name)
  if (has('category') && has('properties')) return 'server'
  if (rowTestOf(record) !== isNoRow || has('iodebeziumop')) return 'server'
  if (typeof record.action === 'string' && actions.has(record.action)) return 'server'
  if (Array.isArray(record.change)) return 'server'
  if (typeof record.op === 'string' && (has('after') || has('before') || has('source'))) return 'server'
  if (isTransactionEnd(record) || isExportedStatistics(record)) return 'server'
  if (has('data') && (has('lsn') || has('xid'))) return 'server'
  if ((has('msg') || has('message')) && levelKeys.some(has)) return 'server'
  if (typeof record.message === 'string' && names.size === 1) return 'message'
  const isEnvelope = envelopeKeys.some(has) || pairedKeys.some((keys) => keys.every(has))
  return isEnvelope ? 'envelope' : 'unknown'
}

/** @returns whether a record is the beginning or end of a transaction, as Debezium's connectors write it */
function isTransactionEnd({ status, id }: JsonObject): boolean {
  return (status === 'BEGIN' || status === 'END') && typeof id === 'string' && /^\d+(?::\d+)?$/.test(id)
}

/** @returns whether a record is a row of Azure's statistics in the export of a Log Analytics workspace */
function isExportedStatistics({ TimeGenerated, Type, Category }: JsonObject): boolean {
  return (
    TimeGenerated !== undefined &&
    (/^PGSQL/.test(String(Type)) || /^(?:PostgreSQL|QueryStore)/.test(String(Category)))
  )
}

/** @returns the test for rows among the values of a record of change data, which is false for all of any other record */
export function rowTestOf(record: JsonObject): RowTest {
  if ('__op' in record || '__deleted' in record) return isFlattenedColumn
  const { action, metadata, table, schema, type, eventType, data, lsn, xid } = record
  if (isObject(metadata)) {
    if (typeof metadata['record-type'] === 'string' && typeof metadata.operation === 'string') return isDmsRow
    if (typeof action === 'string' && sequinActions.has(action) && 'table_name' in metadata)
      return isSequinRow
  }
  if (typeof table === 'string') {
    if (typeof schema === 'string' && typeof (eventType ?? type) === 'string') return isSupabaseRow
    // Maxwell and Canal.
    if (typeof type === 'string' && isObject(data)) return isDataRow
  }
  return isObject(data) && (lsn !== undefined || xid !== undefined) ? isDataRow : isNoRow
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return value !== undefined && isJsonObject(value)
}

function holdsRecord(value: JsonValue): boolean {
  const inner = Array.isArray(value) ? value[0] : value
  return isJsonObject(inner) && recordKindOf(inner) !== 'unknown'
}

/** @returns the SQLSTATE that a record states */
export function sqlstateOf(record: JsonObject): string | undefined {
  const state = record.state_code ?? record.sqlerrcode ?? record.sql_state_code
  return typeof state === 'string' ? state : undefined
}

/** @returns whether a record is a later chunk of an audited statement that Google has split, so that it may begin anywhere */
export function isLaterChunk({ chunkIndex }: JsonObject): boolean {
  return chunkIndex !== undefined && String(chunkIndex) !== '1'
}

/** @returns a copy with every value rewritten */
export function mapped(
  record: JsonObject,
  rewrite: (value: JsonValue, key: string) => JsonValue,
): JsonObject {
  const copy: JsonObject = {}
  for (const key of Object.keys(record)) {
    const value = rewrite(record[key] as JsonValue, key)
    // An assignment to this key would set the prototype.
    if (key === '__proto__') Object.defineProperty(copy, key, { value, enumerable: true, writable: true })
    else copy[key] = value
  }
  return copy
}

/**
 * @returns the key that determines the treatment of a value: for a pair `{"key": …, "value": …}`, as in OpenTelemetry
 *   attributes, the pair's key; for the values of change data, the key of a parameter
 */
export function keyOf(record: JsonObject, key: string): string {
  if (key !== 'value' && key !== 'default') return key
  if (typeof record.key === 'string') return record.key
  return 'name' in record ? 'columnvalues' : key
}

/** @returns whether an object is an OpenTelemetry value, whose only key names its type */
export function isTypedValue(record: JsonObject): boolean {
  const [key = '', ...others] = Object.keys(record)
  return others.length === 0 && /^(?:string|int|double|bool|bytes|array|kvlist)Value$/.test(key)
}
