import { meaningOf } from './record-keys.ts'
import { quotingOf, redactMessage } from './redact-message.ts'
import { redactSql } from './sql-literals.ts'

const start = /^(?:ts|time)="?\d{4}-\d\d-\d\d[T ][^\n]{0,60}? level=/
const pair = /([\w.]{1,100})=("(?:[^"\\]|\\.)*"|[^" \n]*)( |$)/y
const code = / (?:sqlstate|state_code)="?([0-9A-Z]{5})/

/**
 * @returns a line of `key=value` pairs, as the extension logfmt and programs in Go write them, with the values of its texts
 *   replaced; `undefined` for other text
 */
export function redactPairs(line: string, replacement: string): string | undefined {
  if (!start.test(line)) return undefined
  const sqlstate = code.exec(line)?.[1]
  let redacted = ''
  for (pair.lastIndex = 0; pair.lastIndex < line.length; ) {
    const at = pair.lastIndex
    const found = pair.exec(line)
    // The rest of the line has no pair, and may be a part of a value.
    if (found === null) return at === 0 ? undefined : redacted + replacement
    const [, key = '', value = '', end = ''] = found
    redacted += `${key}=${redactValue(key, value, sqlstate, replacement)}${end}`
  }
  return redacted
}

function redactValue(key: string, value: string, sqlstate: string | undefined, replacement: string): string {
  const { rule } = meaningOf(key)
  if (rule === 'kept' || value === '') return value
  if (rule === 'values' || rule === 'row') return JSON.stringify(replacement)
  const text = decoded(value)
  if (text === undefined) return JSON.stringify(replacement)
  const rest =
    rule === 'statement'
      ? redactSql(text, { replacement, quoting: quotingOf(sqlstate) })
      : redactMessage(text, { replacement, sqlstate, isDetail: rule === 'detail' }).text
  return rest === text ? value : JSON.stringify(rest)
}

function decoded(value: string): string | undefined {
  if (!value.startsWith('"')) return value
  try {
    return String(JSON.parse(value))
  } catch {
    return undefined
  }
}
