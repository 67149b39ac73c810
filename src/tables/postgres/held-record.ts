import { sqlString } from '../sql.ts'
import { jsonPath } from './expressions/json.ts'
import { isStatementHead } from './expressions/message.ts'
import { type JsonlogKey, jsonlogKeys } from './shapes/jsonlog.ts'
import type { ValueAt } from './shapes/shape.ts'

/** Rows that have a value in `raw`. */
export type KeepRaw = 'always' | 'unusual'

/** Bytes of a key with its quotes, its colon and a comma. */
const aroundKey = 4
const quotes = 2
// There is one comma less than keys, and two braces.
const aroundRecord = 1
const timeChars: Readonly<Record<string, number>> = { timestamp: 27, session_start: 23 }

const values = jsonlogKeys.filter(({ type }) => type !== 'time')
const strings = values.filter(({ type }) => type === 'string')

/** SQL of the column `has_rare`: whether a record has one of the keys that most records lack. */
export function hasRare(at: ValueAt): string {
  return `concat(${values.flatMap(({ key, presence }) => (presence === 'rarely' ? [at(key)] : [])).join(', ')}) <> '' AS has_rare`
}

/**
 * SQL of the column `shortest_bytes`: the length of the shortest JSON text with a usual record's values, if none of them
 * needs an escape. NULL for a record without one of the keys that the server always writes, because NULL in the columns
 * of `txid` and `query_id` stands for 0.
 */
export function shortestBytes(at: ValueAt): string {
  const times = jsonlogKeys
    .filter(({ type }) => type === 'time')
    .reduce((sum, { key }) => sum + key.length + aroundKey + quotes + timeChars[key]!, aroundRecord)
  const length = (one: JsonlogKey): string =>
    `strlen(${columnOf(one, at)}) + ${one.key.length + aroundKey + (one.type === 'string' ? quotes : 0)}`
  const present = values.filter(({ presence }) => presence === 'always').map(length)
  const often = values.filter(({ presence }) => presence === undefined || presence === 'often')
  const rare = values.filter(({ presence }) => presence === 'rarely')
  const ifPresent = (one: JsonlogKey): string => `coalesce(${length(one)}, 0)`
  return `${[times, ...present, ...often.map(ifPresent)].join(' + ')}
    + CASE WHEN has_rare THEN ${rare.map(ifPresent).join(' + ')} ELSE 0 END
    AS shortest_bytes`
}

/**
 * SQL of the column `escaped`: the texts that may have characters to escape, for a record that is longer than its
 * shortest text. A record with escapes in other texts counts as not whole.
 */
export function escapedTexts(at: ValueAt): string {
  const rare = strings.filter(({ presence }) => presence === 'rarely').map((one) => columnOf(one, at))
  return `CASE WHEN shortest_bytes < strlen(text) THEN
    CASE WHEN has_rare THEN concat(s_message, s_detail, ${rare.join(', ')}) ELSE concat(s_message, s_detail) END END AS escaped`
}

/**
 * SQL of whether the columns of a usual record hold all of it, so that its text can be left out.
 *
 * The record is not parsed again. A text of exactly the shortest length has these keys and values and nothing else. There
 * is one exception: a number or a boolean in place of a string is shorter than computed, so it could hide other text.
 * Therefore the JSON type of each string that could be a number or a boolean is read.
 */
export function isHeldByColumns(at: ValueAt): string {
  const paths = strings.map(({ key }) => sqlString(jsonPath([key])))
  return [
    `CASE WHEN escaped IS NULL THEN shortest_bytes = strlen(text)
      ELSE shortest_bytes + strlen(to_json(escaped)) - ${quotes} - strlen(escaped) = strlen(text) END`,
    'raw = text',
    // This value in its column stands for a record without the key.
    `${at('state_code')} IS DISTINCT FROM '00000'`,
    // A time has its canonical form if the engine writes the same one; it leaves out zeros at the end.
    'starts_with(t_event_time, u_event::VARCHAR)',
    'strlen(t_event_time) = 27',
    `ends_with(t_event_time, CASE WHEN epoch_us(u_event) % 1000000 = 0 THEN '.000 UTC' ELSE ' UTC' END)`,
    `t_session_start = u_session::VARCHAR || ' UTC'`,
    // After these words, the column stands for a statement in the message.
    `CASE WHEN ${at('statement')} IS NULL THEN true
      ELSE NOT (starts_with(s_message, 'duration: ') OR ${isStatementHead('s_message')}) END`,
    `CASE WHEN ${mayHaveLiteral(at)}
      THEN NOT list_has_any(json_type(text, [${paths.join(', ')}]), ['BOOLEAN', 'BIGINT', 'UBIGINT', 'DOUBLE'])
      ELSE true END`,
  ].join('\n AND ')
}

function columnOf({ key, field, type }: JsonlogKey, at: ValueAt): string {
  if (type === 'number') return at(key)
  // The column of the code has a value without the key, too.
  return field === 'sqlstate' ? `CASE WHEN ${at(key)} IS NOT NULL THEN s_sqlstate END` : `s_${field}`
}

/** SQL of a cheap test that is true for every record with a number or boolean in place of a string. */
function mayHaveLiteral(at: ValueAt): string {
  const usualStrings = strings.filter(({ presence }) => presence !== 'rarely')
  // These begin with digits, and have what no number has.
  const distinct = ['vxid', 'session_id', 'remote_host']
  const others = usualStrings.filter(({ key }) => !distinct.includes(key)).map((one) => columnOf(one, at))
  const all = usualStrings.map((one) => columnOf(one, at)).join(', ')
  return `has_rare OR least(${others.join(', ')}) < ':' OR 'true' IN (${all}) OR 'false' IN (${all})
    OR NOT contains(s_vxid, '/') OR NOT regexp_matches(s_session_id, '[a-df-z]')
    OR CASE WHEN s_client_addr < ':' THEN s_client_addr NOT LIKE '%.%.%' ELSE false END`
}
