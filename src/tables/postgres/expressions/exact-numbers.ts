import { sqlString } from '../../sql.ts'

/**
 * The engine reads JSON numbers as doubles and 64-bit integers, and writes 1.50 as 1.5. Numbers that have to keep their
 * text are strings with a mark while the engine works on them. A JSON text has no such character unescaped.
 */
const mark = 'chr(1)'
const end = 'chr(2)'

/**
 * In JSON text that the engine writes, the mark is escaped. A text of the record may have the same characters behind a
 * quote; that quote is escaped, so no bracket, colon or comma comes before it.
 */
const markedNumber = sqlString(String.raw`(^|[\[:,])"\\u0001(-?[0-9][0-9.eE+-]*)"`)

/**
 * Numbers are marked only in a text up to this length, in bytes, because each replacement copies it. The values of a longer
 * record, which is a whole transaction, are in `raw`.
 */
export const maxMarkedBytes = 1024 * 1024

/** SQL of a JSON text whose numbers are marked strings. */
export function withMarkedNumbers(json: string): string {
  const tokens = sqlString(String.raw`(?s)("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.eE+-]*)`)
  const found = `regexp_replace(${json}, ${tokens}, '\\1' || ${mark} || '\\2' || ${end}, 'g')`
  const marked = `replace(replace(replace(${found}, ${mark} || ${end}, ''), ${mark}, '"\\u0001'), ${end}, '"')`
  return `CASE WHEN strlen(${json}) <= ${maxMarkedBytes} THEN ${marked} ELSE ${json} END`
}

/** SQL of a JSON text with its numbers as they were. */
export function withNumbers(json: string): string {
  return `regexp_replace(${json}, ${markedNumber}, '\\1\\2', 'g')`
}

/** SQL of a value that may be a marked number, without its mark. */
export function unmarked(value: string): string {
  return `replace(${value}, ${mark}, '')`
}
