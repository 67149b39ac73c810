import { joinedTexts, once, sqlString } from '../../sql.ts'
import { maxMarkedBytes, unmarked, withNumbers } from '../expressions/exact-numbers.ts'
import { jsonObject } from '../expressions/json.ts'
import { joinedKeys, removalPatch, withoutEmptyObjects, withoutKeys } from '../other-keys.ts'
import type { Shape, ValueAt } from './shape.ts'

/** The kind of every record of change data. */
export const change = `'change'`

/** SQL of the row that wal2json writes as a list of `{ name, value }`. Values keep their text: they may exceed a double. */
function namedValues(list: string): string {
  const member = `json_extract(one, '$.name')::VARCHAR || ':' || coalesce(json_extract(one, '$.value')::VARCHAR, 'null')`
  return `CASE WHEN starts_with(${list}, '[') AND strlen(${list}) <= ${maxMarkedBytes}
    THEN coalesce(${jsonObject(`list_transform(json_extract(${list}, '$[*]'), lambda one: ${member})`)}, '{}') END`
}

/** SQL of the members of a list of `{ name, value }` without their values, such as the types; NULL when it has only names. */
function namedOthers(list: string): string {
  return `CASE WHEN starts_with(${list}, '[') AND strlen(${list}) <= ${maxMarkedBytes}
    THEN list_transform(json_extract(${list}, '$[*]'), lambda one: json_merge_patch(one, '{"value":null}')) END`
}

/** wal2json, format version 2: one change per record. */
export const wal2json: Shape = {
  name: 'wal2json',
  matches: (at) => `${at('action')} IN ('B', 'C', 'I', 'U', 'D', 'T', 'M')`,
  hasExactNumbers: true,
  fields: (at) => ({
    record_kind: change,
    event_time: at('timestamp'),
    commit_time: at('timestamp'),
    txid: unmarked(at('xid')),
    lsn: `coalesce(${at('lsn')}, ${at('nextlsn')})`,
    command_tag: `CASE ${at('action')} WHEN 'I' THEN 'INSERT' WHEN 'U' THEN 'UPDATE' WHEN 'D' THEN 'DELETE'
      WHEN 'T' THEN 'TRUNCATE' WHEN 'B' THEN 'BEGIN' WHEN 'C' THEN 'COMMIT' ELSE 'MESSAGE' END`,
    message: `CASE WHEN ${at('action')} = 'M' THEN ${at('content')} END`,
    object_name: `${at('schema')} || '.' || ${at('table')}`,
    old_values: withNumbers(namedValues(at('identity'))),
    new_values: withNumbers(namedValues(at('columns'))),
  }),
  replaced: (at) => [['nextlsn'], `${at('lsn')} IS NOT NULL`],
  partly: (at) => {
    const lists = ['columns', 'identity'].map((key) => {
      const others = namedOthers(at(key))
      // Without types, there is nothing but names.
      return `CASE WHEN contains(${at(key)}, '"type"') OR contains(${at(key)}, '"default"') THEN ${others} END`
    })
    return `json_merge_patch('{}', json_object('columns', ${lists[0]}, 'identity', ${lists[1]}))::VARCHAR`
  },
}

/** SQL of the rows of a transaction: of one change its row, of several an array with a row, or null, for each. */
function rowsOfChanges(changes: string, names: string, values: string): string {
  const listOf = (path: string): string => `json_extract(one, '$.${path}[*]')`
  const member = `pair[1]::VARCHAR || ':' || coalesce(pair[2]::VARCHAR, 'null')`
  const members = `list_transform(list_zip(${listOf(names)}, ${listOf(values)}), lambda pair: ${member})`
  const row = `CASE WHEN len(${listOf(names)}) > 0 THEN ${jsonObject(members)} ELSE 'null' END`
  const rows = `list_transform(json_extract(${changes}, '$[*]'), lambda one: ${row})`
  const ofRows = `CASE WHEN len(list_filter(rows, lambda row: row <> 'null')) = 0 THEN NULL WHEN len(rows) = 1 THEN rows[1]
    ELSE '[' || ${joinedTexts('rows', ',')} || ']' END`
  return `CASE WHEN strlen(${changes}) <= ${maxMarkedBytes} THEN ${once('rows', rows, ofRows)} END`
}

/** wal2json, format version 1: a whole transaction in one object. Its command and table are those of all its changes. */
export const wal2jsonTransaction: Shape = {
  name: 'wal2json-transaction',
  matches: (at) => `starts_with(${at('change')}, '[')`,
  hasExactNumbers: true,
  fields: (at) => {
    const only = (path: string): string => {
      const values = `list_distinct(json_extract_string(${at('change')}, '$[*].${path}'))`
      return once('found', values, 'CASE WHEN len(found) = 1 THEN found[1] END')
    }
    return {
      record_kind: change,
      event_time: at('timestamp'),
      commit_time: at('timestamp'),
      txid: unmarked(at('xid')),
      lsn: at('nextlsn'),
      command_tag: `upper(${only('kind')})`,
      object_name: `${only('schema')} || '.' || ${only('table')}`,
      message: `CASE WHEN ${only('kind')} = 'message' THEN ${only('content')} END`,
      old_values: withNumbers(rowsOfChanges(at('change'), 'oldkeys.keynames', 'oldkeys.keyvalues')),
      new_values: withNumbers(rowsOfChanges(at('change'), 'columnnames', 'columnvalues')),
    }
  },
  partly: (at) => {
    const values = sqlString(
      removalPatch([['columnnames'], ['columnvalues'], ['oldkeys', 'keynames'], ['oldkeys', 'keyvalues']]),
    )
    const change = at('change')
    const others = `list_transform(json_extract(${change}, '$[*]'), lambda one: json_merge_patch(one, ${values}))`
    return `CASE WHEN strlen(${change}) <= ${maxMarkedBytes}
      THEN ${withoutEmptyObjects(`json_object('change', ${others})::VARCHAR`)} END`
  },
}

/** SQL of a position in the WAL as PostgreSQL writes it, also from the number that some producers write. */
function walPosition(position: string): string {
  const fromNumber = once(
    'number',
    'TRY_CAST(place AS UBIGINT)',
    "CASE WHEN number IS NOT NULL THEN format('{:X}/{:X}', number >> 32, number & 4294967295) END",
  )
  return once('place', position, `CASE WHEN contains(place, '/') THEN place ELSE ${fromNumber} END`)
}

function debeziumCommand(operation: string): string {
  const command = `CASE operation WHEN 'c' THEN 'INSERT' WHEN 'u' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
    WHEN 't' THEN 'TRUNCATE' WHEN 'r' THEN 'READ' WHEN 'm' THEN 'MESSAGE' END`
  return once('operation', operation, command)
}

/** Debezium's change events, with or without their schema. */
export const debezium: Shape = {
  name: 'debezium',
  matches: (at) =>
    `(${at('source', 'connector')} = 'postgresql' AND ${at('op')} IS NOT NULL) OR (${at('payload', 'source', 'connector')} = 'postgresql' AND ${at('payload', 'op')} IS NOT NULL)`,
  hasExactNumbers: true,
  fields: (at) => {
    const anyOf = (...keys: string[]): string => `coalesce(${at(...keys)}, ${at('payload', ...keys)})`
    const of: ValueAt = (...keys) => unmarked(anyOf(...keys))
    return {
      record_kind: change,
      event_time: of('source', 'ts_ms'),
      event_time_second: of('ts_ms'),
      commit_time: of('source', 'ts_ms'),
      txid: of('source', 'txId'),
      lsn: walPosition(of('source', 'lsn')),
      command_tag: debeziumCommand(of('op')),
      object_name: tableOf(of('source', 'schema'), of('source', 'table')),
      db_name: of('source', 'db'),
      server_name: of('source', 'name'),
      old_values: withNumbers(anyOf('before')),
      new_values: withNumbers(anyOf('after')),
    }
  },
}

/** Debezium's change events as CloudEvents: what other formats have under `source` are attributes. */
export const debeziumCloudEvent: Shape = {
  name: 'debezium-cloud-event',
  matches: (at) => `${at('iodebeziumconnector')} = 'postgresql' AND ${at('iodebeziumop')} IS NOT NULL`,
  hasExactNumbers: true,
  fields: (at) => {
    const of = (key: string): string => unmarked(at(`iodebezium${key}`))
    const row = (key: string): string =>
      withNumbers(`coalesce(${at('data', key)}, ${at('data', 'payload', key)})`)
    return {
      record_kind: change,
      event_time: of('tsms'),
      event_time_second: at('time'),
      commit_time: of('tsms'),
      txid: of('txId'),
      lsn: walPosition(of('lsn')),
      command_tag: debeziumCommand(of('op')),
      object_name: tableOf(of('schema'), of('table')),
      db_name: of('db'),
      server_name: of('name'),
      old_values: row('before'),
      new_values: row('after'),
    }
  },
}

/** Names of Debezium's metadata in a row, without their two underscores; `add.fields.prefix` is `__` by default. */
const rowMetadata = {
  op: ['op'],
  deleted: ['deleted'],
  time: ['source_ts_ms', 'source.ts_ms', 'ts_ms'],
  txid: ['txId', 'source_txId', 'source.txId'],
  lsn: ['lsn', 'source_lsn', 'source.lsn'],
  schema: ['schema', 'source_schema', 'source.schema'],
  table: ['table', 'source_table', 'source.table'],
  db: ['db', 'source_db', 'source.db'],
  server: ['name', 'source_name', 'source.name'],
} as const
const rowMetadataKeys = Object.values(rowMetadata)
  .flat()
  .map((name) => `__${name}`)

/** SQL of the members of an object for which a condition on `one`, the key, is true; NULL without any. */
function membersOf(object: string, condition: string): string {
  const pointer = `'/' || replace(replace(one, '~', '~0'), '/', '~1')`
  const member = `to_json(one)::VARCHAR || ':' || coalesce(json_extract(entity, ${pointer})::VARCHAR, 'null')`
  const members = `list_transform(list_filter(json_keys(entity), lambda one: ${condition}), lambda one: ${member})`
  const short = `CASE WHEN strlen(${object}) <= ${maxMarkedBytes} THEN ${object} END`
  return once('entity', short, jsonObject(members))
}

/**
 * Rows of Debezium's transformation ExtractNewRecordState: the columns, and beside them the metadata that it is set to add
 * (https://debezium.io/documentation/reference/stable/transformations/event-flattening.html, read 2026-11).
 */
export const debeziumRow: Shape = {
  name: 'debezium-row',
  matches: (at) => {
    const isRow = (...outer: string[]): string =>
      `${at(...outer, '__op')} IN ('c', 'u', 'd', 'r', 't') OR ${at(...outer, '__deleted')} IN ('true', 'false')`
    return `(${isRow()} OR ${isRow('payload')})`
  },
  hasExactNumbers: true,
  isRow: true,
  fields: (at) => {
    const of = (name: keyof typeof rowMetadata): string =>
      unmarked(
        `coalesce(${rowMetadata[name].flatMap((key) => [at(`__${key}`), at('payload', `__${key}`)]).join(', ')})`,
      )
    const row = membersOf(rowObject(at), `NOT starts_with(one, '__')`)
    const isDeleted = `coalesce(${of('op')} = 'd' OR ${of('deleted')} = 'true', false)`
    return {
      record_kind: change,
      event_time: of('time'),
      commit_time: of('time'),
      txid: of('txid'),
      lsn: walPosition(of('lsn')),
      command_tag: `CASE WHEN ${isDeleted} THEN 'DELETE' ELSE ${debeziumCommand(of('op'))} END`,
      object_name: tableOf(of('schema'), of('table')),
      db_name: of('db'),
      server_name: of('server'),
      old_values: withNumbers(`CASE WHEN ${isDeleted} THEN ${row} END`),
      new_values: withNumbers(`CASE WHEN ${isDeleted} THEN NULL ELSE ${row} END`),
    }
  },
  partly: (at) => {
    const known = rowMetadataKeys.map(sqlString).join(', ')
    const metadata = membersOf(rowObject(at), `starts_with(one, '__') AND one NOT IN (${known})`)
    const outer = withoutKeys('body', sqlString(removalPatch([['payload']])))
    const joined = once('outer_keys', outer, joinedKeys('outer_keys', 'metadata'))
    return withNumbers(once('metadata', metadata, `CASE WHEN ${isBare(at)} THEN metadata ELSE ${joined} END`))
  },
}

/** SQL of the object that has the columns: the record, or its payload beside a schema. */
function rowObject(at: ValueAt): string {
  return `CASE WHEN ${isBare(at)} THEN body ELSE ${at('payload')} END`
}

function isBare(at: ValueAt): string {
  return `(${at('__op')} IS NOT NULL OR ${at('__deleted')} IS NOT NULL)`
}

/**
 * Supabase's changes, as Realtime gives them to a client and as its webhooks send them
 * (https://supabase.com/docs/guides/realtime/postgres-changes and https://supabase.com/docs/guides/database/webhooks, read
 * 2026-11).
 */
export const supabaseChange: Shape = {
  name: 'supabase-change',
  matches: (at) => {
    const isChange = (key: string): string => `${at(key)} IN ('INSERT', 'UPDATE', 'DELETE')`
    return `(${at('table')} IS NOT NULL AND ${at('schema')} IS NOT NULL AND ((${isChange('eventType')} AND ${at('commit_timestamp')} IS NOT NULL)
      OR (${isChange('type')} AND (${at('record')} IS NOT NULL OR ${at('old_record')} IS NOT NULL))))`
  },
  hasExactNumbers: true,
  fields: (at) => {
    const operation = `coalesce(${at('eventType')}, ${at('type')})`
    const row = (...keys: string[]): string =>
      withNumbers(`nullif(coalesce(${keys.map((key) => at(key)).join(', ')}), '{}')`)
    return {
      record_kind: change,
      event_time: at('commit_timestamp'),
      commit_time: at('commit_timestamp'),
      command_tag: operation,
      object_name: tableOf(at('schema'), at('table')),
      old_values: row('old', 'old_record'),
      new_values: row('new', 'record'),
    }
  },
}

/** The beginning and the end of a transaction, of Debezium's connectors with `provide.transaction.metadata`. */
export const debeziumTransaction: Shape = {
  name: 'debezium-transaction',
  // The transaction's number, and since version 1.5 also the position of its commit.
  matches: (at) => {
    const isBoundary = (...outer: string[]): string =>
      `(${at(...outer, 'status')} IN ('BEGIN', 'END') AND regexp_full_match(${at(...outer, 'id')}, '\\d+(?::\\d+)?'))`
    return `${isBoundary()} OR ${isBoundary('payload')}`
  },
  fields: (at) => {
    const of = (key: string): string => `coalesce(${at(key)}, ${at('payload', key)})`
    return {
      record_kind: change,
      event_time: of('ts_ms'),
      commit_time: `CASE WHEN ${of('status')} = 'END' THEN ${of('ts_ms')} END`,
      txid: `split_part(${of('id')}, ':', 1)`,
      lsn: walPosition(`nullif(split_part(${of('id')}, ':', 2), '')`),
      command_tag: `CASE ${of('status')} WHEN 'BEGIN' THEN 'BEGIN' ELSE 'COMMIT' END`,
    }
  },
}

/** Records that AWS DMS writes to a stream. */
export const dms: Shape = {
  name: 'dms',
  matches: (at) =>
    `${at('metadata', 'record-type')} IS NOT NULL AND ${at('metadata', 'operation')} IS NOT NULL`,
  hasExactNumbers: true,
  fields: (at) => {
    const of = (key: string): string => unmarked(at('metadata', key))
    const isDelete = `${of('operation')} = 'delete'`
    return {
      record_kind: change,
      event_time: of('commit-timestamp'),
      event_time_second: `CASE WHEN ${of('commit-timestamp')} IS NULL THEN ${of('timestamp')} END`,
      commit_time: of('commit-timestamp'),
      txid: of('transaction-id'),
      lsn: of('stream-position'),
      command_tag: `CASE ${of('operation')} WHEN 'load' THEN 'READ' ELSE upper(${of('operation')}) END`,
      object_name: tableOf(of('schema-name'), of('table-name')),
      old_values: withNumbers(
        `coalesce(${at('before-image')}, CASE WHEN ${isDelete} THEN ${at('data')} END)`,
      ),
      new_values: withNumbers(`CASE WHEN ${isDelete} THEN NULL ELSE ${at('data')} END`),
    }
  },
}

/** Sequin's messages. `changes` has the old values of the changed columns. */
export const sequin: Shape = {
  name: 'sequin',
  matches: (at) =>
    `${at('action')} IN ('insert', 'update', 'delete', 'read') AND ${at('metadata', 'table_name')} IS NOT NULL`,
  hasExactNumbers: true,
  fields: (at) => {
    const of = (key: string): string => unmarked(at('metadata', key))
    const isDelete = `${at('action')} = 'delete'`
    return {
      record_kind: change,
      event_time: of('commit_timestamp'),
      commit_time: of('commit_timestamp'),
      lsn: walPosition(of('commit_lsn')),
      command_tag: `upper(${at('action')})`,
      object_name: tableOf(of('table_schema'), of('table_name')),
      db_name: of('database_name'),
      old_values: withNumbers(`CASE WHEN ${isDelete} THEN ${at('record')} ELSE ${at('changes')} END`),
      new_values: withNumbers(`CASE WHEN ${isDelete} THEN NULL ELSE ${at('record')} END`),
    }
  },
}

/** SQL of a table's name; NULL when both parts are. */
function tableOf(schema: string, table: string): string {
  const present = `list_filter([${schema}, ${table}], lambda part: part <> '')`
  return joinedTexts(present, '.')
}
