import { csvFields, rewriteCsvField } from './csv-fields.ts'
import { redactDecodedChange } from './redact-decoded-change.ts'
import { quotingOf, redactMessage } from './redact-message.ts'
import { redactPairs } from './redact-pairs.ts'
import { type RedactedSql, redactedSql, redactSql } from './sql-literals.ts'

export interface LogTextOptions {
  readonly replacement: string
  /** Redacts embedded JSON text; `undefined` for text that is not JSON. */
  readonly json: (text: string) => string | undefined
  /**
   * Whether the text is one line of a log file, as read by a shipper. Such a line may come from the middle of a statement,
   * or of a string in it, so all of it is replaced unless it begins like a line of a log. With `maybe`, only a leading
   * tab is a sign of such a line: the server writes one before every further line of a message.
   */
  readonly isLine: boolean | 'maybe'
  readonly sqlstate?: string | undefined
  readonly isDetail?: boolean
}

// The prefixes of container runtimes: `kubectl logs --timestamps`, CRI. The head of a line in a file of syslog, without the
// server's own number where that is in front of a further line.
const isoTime = '\\d{4}-\\d\\d-\\d\\dT[\\d:.]{8,20}(?:Z|[+-]\\d\\d:\\d\\d) '
const syslogSource =
  '[\\w.:-]{1,255} [\\w./-]{1,255}\\[\\d{1,10}\\]: (?: ?\\[\\d{1,10}-\\d{1,10}\\] {1,3}(?!#011))?'
const runtimePrefix = new RegExp(
  `^(?:${isoTime}(?:std(?:out|err) [FP] |${syslogSource})?|(?:<\\d{1,3}>)?[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d ${syslogSource})?`,
)

/** A SQLSTATE behind the level, with `log_error_verbosity = verbose`. */
const code = /^(?:\d[0-9A-Z]{4}|[A-Z]\d[0-9A-Z]{3}|[A-Z]{2}\d[0-9A-Z]{2}): {1,2}/

const startsWithTime = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d/

// `LEVEL:` and two spaces end a log_line_prefix in every language; Azure and others reduce them to one space.
const level = /(?!AUDIT:)(\p{L}{1,20}[1-5]?(?=: {2})|[A-Z]{3,10}[1-5]?(?=:\s)):\s{1,40}/u
const maxPrefixCharacters = 512
const startsLikePrefix = /^\s*(?:\d|\[|<|[\w.]{1,60}[=@-])/

const levels =
  /^(?:LOG|ERROR|WARNING|NOTICE|INFO|FATAL|PANIC|DEBUG[1-5]?|DETAIL|HINT|CONTEXT|LOCATION|BACKTRACE|STATEMENT|QUERY)$/i
const statementLevels = /^(?:STATEMENT|QUERY)$/i

/** Text that belongs to a message, so that it cannot be part of a prefix. */
const noPrefix = /statement: |(?:parse|bind|execute) [^:]{1,100}: |AUDIT: |ms {2}| "|= '/

// https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG
const csvMessage = new Set([13, 15, 18])
const csvDetail = 14
const csvStatement = new Set([16, 19])
const csvSqlstate = 12
const minCsvFields = 14

/** The same places in Greenplum's csvlog, which writes a letter before the process. */
const greenplumPlaces = {
  messages: new Set([18, 20, 23]),
  detail: 19,
  statements: new Set([21, 24]),
  sqlstate: 17,
}
const csvPlaces = { messages: csvMessage, detail: csvDetail, statements: csvStatement, sqlstate: csvSqlstate }
const greenplumProcess = /^p\d+$/
const processIndex = 3
const startsLikeCsv = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]{0,7} ?[\w+:-]{0,20},/

// The server writes a tab before each further line of a message, which syslog escapes behind a number of its own.
const furtherLine = /^(?:\t|(?: ?\[\d{1,10}-\d{1,10}\] {1,3})?#011)/

// A shipper may join the lines of several messages. In the server's text, each further line of a message begins with a tab.
const nextMessage = /\n(?=(?:(?:\d|\[|<|[\w.]{1,60}[=@-])[^\n]{0,300}?)?\p{Lu}{2,20}[1-5]?: {1,2})/u

/**
 * Redacts text of a server's log: one or several lines with prefix and level, a line of csvlog, JSON, or a message alone.
 *
 * The prefix is kept, because columns are read from it.
 */
export function redactLogText(text: string, options: LogTextOptions): string {
  const end = text.trimEnd().length
  if (end === 0) return text
  const start = runtimePrefix.exec(text)?.[0].length ?? 0
  return text.slice(0, start) + redactLines(text.slice(start, end), options) + text.slice(end)
}

function redactLines(text: string, options: LogTextOptions): string {
  const { replacement, isLine } = options
  if (text.startsWith('{') || text.startsWith('[')) {
    const json = options.json(text)
    if (json !== undefined) return json
    // Any part of an object that does not parse, such as a truncated one, may be a value.
    if (text.startsWith('{')) return replacement
  }
  if (startsLikeCsv.test(text)) {
    const fields = csvFields(text)
    if (fields.length >= minCsvFields) return redactCsv(fields, replacement)
  }
  // The tab stays, because it says what the line is.
  const tab = isLine === false ? null : furtherLine.exec(text)
  if (tab !== null) return tab[0] + replacement
  const change = isLine === false ? undefined : redactDecodedChange(text, replacement, true)
  if (change !== undefined) return change
  const pairs = isLine === false ? undefined : redactPairs(text, replacement)
  if (pairs !== undefined) return pairs
  const [first = '', ...others] = isLine === false ? [text] : text.split(nextMessage)
  const redacted = [redactLine(first, options)]
  for (const other of others) {
    // Within a literal, a line that begins like a message is part of the literal.
    const isInside = redacted.at(-1)?.isOpen === true
    redacted.push(
      isInside ? { text: replacement, isOpen: true } : redactLine(other, { ...options, isLine: false }),
    )
  }
  return redacted.map((line) => line.text).join('\n')
}

function redactLine(line: string, options: LogTextOptions): RedactedSql {
  const { replacement, sqlstate } = options
  const found = level.exec(line.slice(0, maxPrefixCharacters))
  const prefix = found === null ? '' : line.slice(0, found.index)
  const hasLevel =
    found !== null && (prefix === '' || startsLikePrefix.test(prefix)) && !noPrefix.test(prefix)
  if (options.isLine === true && !hasLevel && !startsWithTime.test(line))
    return { text: replacement, isOpen: true }
  if (!hasLevel) return redactMessage(line, options)
  const name = found[1] ?? ''
  const afterLevel = found.index + found[0].length
  const start = afterLevel + (code.exec(line.slice(afterLevel, afterLevel + 10))?.[0].length ?? 0)
  const isKnown = levels.test(name)
  const { text, isOpen } = statementLevels.test(name)
    ? redactedSql(line.slice(start), {
        replacement,
        quoting: sqlstate === undefined ? 'doubtful' : quotingOf(sqlstate),
      })
    : redactMessage(line.slice(start), {
        replacement,
        sqlstate,
        isDetail: /^DETAIL$/i.test(name) || options.isDetail === true || !isKnown,
        isTranslated: !isKnown,
      })
  return { text: line.slice(0, start) + text, isOpen }
}

function redactCsv(fields: readonly string[], replacement: string): string {
  const places = greenplumProcess.test(fields[processIndex] ?? '') ? greenplumPlaces : csvPlaces
  const sqlstate = fields[places.sqlstate]?.replaceAll('"', '')
  return fields
    .map((field, index) => {
      if (places.statements.has(index))
        return rewriteCsvField(field, (sql) => redactSql(sql, { replacement, quoting: quotingOf(sqlstate) }))
      if (!places.messages.has(index) && index !== places.detail) return field
      return rewriteCsvField(
        field,
        (text) => redactMessage(text, { replacement, sqlstate, isDetail: index === places.detail }).text,
      )
    })
    .join(',')
}
