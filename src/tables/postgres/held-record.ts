import { sqlString } from '../sql.ts'
import { isStatementHead } from './expressions/message.ts'
import { type JsonlogKey, jsonlogKeys } from './shapes/jsonlog.ts'
import type { ValueAt } from './shapes/shape.ts'

/** Rows that have a value in `raw`. */
export type KeepRaw = 'always' | 'unusual'

/** Keys whose texts often have characters to escape. A record with escapes in other texts counts as not whole. */
const textKeys: ReadonlySet<string> = new Set([
  'message',
  'detail',
  'hint',
  'internal_query',
  'context',
  'statement',
])

/** SQL of the column `has_rare`: whether a record has one of the keys that most records lack. */
export function hasRare(at: ValueAt): string {
  const rare = jsonlogKeys.flatMap(({ key, presence }) => (presence === 'rarely' ? [at(key)] : []))
  return `CASE WHEN is_written THEN NULL ELSE concat(${rare.join(', ')}) <> '' END AS has_rare`
}

/**
 * SQL of the column `quote`: the quotes around the texts of `quotedText`. It is empty in a record with escapes, because
 * its texts have their quotes already.
 */
export const textQuote = `CASE WHEN is_written THEN NULL WHEN contains(text, ${sqlString('\\')}) THEN '' ELSE '"' END AS quote`

/**
 * SQL of whether the columns of a usual record hold all of it, so that its text can be left out.
 *
 * The record is not parsed again: its text must be the one that the server writes for the values of the columns, with its
 * keys in its order and nothing between them.
 */
export function isHeldByColumns(at: ValueAt): string {
  // After these words, the column stands for a statement in the message.
  const hasOneStatement = `CASE WHEN ${at('statement')} IS NULL THEN true
      ELSE NOT (starts_with(s_message, 'duration: ') OR ${isStatementHead('s_message')}) END`
  // By its form, such a record has no time that is written otherwise than its instant.
  const isWhole = `ends_with(t_event_time, ' UTC') AND ends_with(t_session_start, ' UTC')
    AND TRY_CAST(t_session_start AS TIMESTAMP) = u_session`
  return `CASE WHEN is_written THEN ${isWhole} ELSE ${isWrittenByColumns(at)} END AND ${hasOneStatement}`
}

/** SQL of whether the values of the columns, written as a record, are the record's text. */
function isWrittenByColumns(at: ValueAt): string {
  const always = jsonlogKeys.filter(({ type, presence }) => type === 'string' && presence === 'always')
  return [
    `text = ${writtenText(at)}`,
    // An empty text is NULL in its column, which stands for a record without the key.
    ...always.map((one) => `${columnOf(one, at)} IS NOT NULL`),
    'raw = text',
    // This value in its column stands for a record without the key.
    `${at('state_code')} IS DISTINCT FROM '00000'`,
    // A time has its canonical form if the engine writes the same one; it leaves out zeros at the end.
    'starts_with(t_event_time, u_event::VARCHAR)',
    'strlen(t_event_time) = 27',
    `ends_with(t_event_time, CASE WHEN epoch_us(u_event) % 1000000 = 0 THEN '.000 UTC' ELSE ' UTC' END)`,
    `t_session_start = u_session::VARCHAR || ' UTC'`,
  ].join('\n AND ')
}

/**
 * SQL of the text of a record with the values of the columns. Without one of the numbers that the server always writes, it
 * is no JSON.
 */
function writtenText(at: ValueAt): string {
  const members = jsonlogKeys.map((one, index) => {
    const member = memberOf(one, index === 0 ? '{' : ',', at)
    if (one.presence === 'always') return member.join(', ')
    const whole = `CASE WHEN ${columnOf(one, at)} IS NOT NULL THEN concat(${member.join(', ')}) END`
    return one.presence === 'rarely' ? `CASE WHEN has_rare THEN ${whole} END` : whole
  })
  return `concat(${members.join(', ')}, '}')`
}

/** SQL of the parts of a key with its value. */
function memberOf(one: JsonlogKey, separator: '{' | ',', at: ValueAt): readonly string[] {
  const key = `${separator}"${one.key}":`
  const value = columnOf(one, at)
  if (one.type === 'number') return [sqlString(key), value]
  if (textKeys.has(one.key)) return [sqlString(key), 'quote', quotedText(value), 'quote']
  return [sqlString(`${key}"`), value, `'"'`]
}

/** SQL of a text, in a record with escapes as a JSON string. */
function quotedText(text: string): string {
  return `CASE WHEN quote = '' THEN to_json(${text})::VARCHAR ELSE ${text} END`
}

function columnOf({ key, field, type }: JsonlogKey, at: ValueAt): string {
  if (type === 'time') return `t_${field}`
  if (type === 'number') return at(key)
  // The column of the code has a value without the key, too.
  return field === 'sqlstate' ? `CASE WHEN ${at(key)} IS NOT NULL THEN s_sqlstate END` : `s_${field}`
}
