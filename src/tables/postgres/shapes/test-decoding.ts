import { once, sqlString } from '../../sql.ts'
import { maxMarkedBytes } from '../expressions/exact-numbers.ts'
import { jsonObject } from '../expressions/json.ts'
import { change } from './change-data.ts'
import { decodedText } from './csvlog-line.ts'
import { hasText } from './envelope.ts'
import { envelopeHost, envelopeTime, outerTime } from './log-text.ts'
import type { Shape } from './shape.ts'

/** A column of test_decoding: name, type in brackets, and a value, which is quoted unless it is a number or a word. */
const decodedColumn = `(?:^| )("(?:[^"]|"")+"|[^\\s"\\[\\]]+)\\[(?:[^\\[\\]]|\\[\\])+\\]:('(?:[^']|'')*'|\\S+)`

/** SQL of the row in a part of test_decoding's text; NULL for a part without columns. */
function decodedRow(part: string): string {
  const unquoted = (quoted: string, quote: string): string =>
    `replace(substring(${quoted}, 2, length(${quoted}) - 2), ${sqlString(quote + quote)}, ${sqlString(quote)})`
  const json = (value: string): string => `to_json(${value})::VARCHAR`
  const [given, stated] = ["pair['name']", "pair['value']"]
  const name = json(`CASE WHEN starts_with(${given}, '"') THEN ${unquoted(given, '"')} ELSE ${given} END`)
  const value = `CASE WHEN starts_with(${stated}, '''') THEN ${json(unquoted(stated, "'"))}
    WHEN regexp_full_match(${stated}, 'null|true|false|-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?') THEN ${stated}
    ELSE ${json(stated)} END`
  const pair = `regexp_extract(one, ${sqlString(decodedColumn)}, ['name', 'value'])`
  const member = once('pair', pair, `${name} || ':' || ${value}`)
  const members = `list_transform(regexp_extract_all(${part}, ${sqlString(decodedColumn)}), lambda one: ${member})`
  return jsonObject(members)
}

/** SQL of the fields of a text of test_decoding. */
function decodedFields(text: string): ReturnType<Shape['fields']> {
  const part = (group: number): string =>
    `nullif(regexp_extract(left(${text}, 1024), '^table (.+?): (INSERT|UPDATE|DELETE|TRUNCATE):', ${group}), '')`
  const command = part(2)
  const transaction = (group: number): string =>
    `nullif(regexp_extract(left(${text}, 256), '^(BEGIN|COMMIT)(?: (\\d+))?(?: [(]at ([^)]+)[)])?', ${group}), '')`
  // Without a replica identity of its own, an update has the new row alone, and no word before it.
  const newRow = `instr(${text}, ' new-tuple: ')`
  const rowIn = (part: string): string =>
    `CASE WHEN strlen(${text}) <= ${maxMarkedBytes} THEN ${decodedRow(part)} END`
  return {
    record_kind: change,
    event_time: transaction(3),
    commit_time: transaction(3),
    txid: transaction(2),
    command_tag: `CASE WHEN starts_with(${text}, 'message: ') THEN 'MESSAGE' ELSE coalesce(${command}, ${transaction(1)}) END`,
    object_name: part(1),
    message: text,
    old_values: rowIn(
      `CASE ${command} WHEN 'DELETE' THEN ${text} WHEN 'UPDATE' THEN left(${text}, ${newRow}) END`,
    ),
    new_values: rowIn(
      `CASE ${command} WHEN 'INSERT' THEN ${text} WHEN 'UPDATE' THEN substring(${text}, ${newRow} + 1) END`,
    ),
  }
}

/** Text of test_decoding, with its position and transaction around it. */
export const testDecoding: Shape = {
  name: 'test-decoding',
  matches: (at) => `${at('lsn')} IS NOT NULL AND ${at('xid')} IS NOT NULL AND ${at('data')} IS NOT NULL`,
  fields: (at) => ({ ...decodedFields(at('data')), txid: at('xid'), lsn: at('lsn') }),
}

/** The same text alone, as pg_recvlogical writes it. */
export const testDecodingText: Shape = {
  name: 'test-decoding-text',
  // The initials are compared first, because that is cheap.
  matches: (at, text) =>
    `${hasText(at)} AND left(${text}, 1) IN ('t', 'B', 'C', 'm') AND regexp_matches(${text}, ${sqlString(decodedText)})`,
  prefixed: (_, line) => line,
  fields: (at, prefix) => ({
    ...decodedFields(prefix('whole')),
    event_time_second: `CASE WHEN starts_with(${prefix('whole')}, 'COMMIT') THEN NULL ELSE coalesce(${envelopeTime(at)}, ${outerTime}) END`,
    server_name: envelopeHost(at),
  }),
}
