import { redactAudit } from './redact-audit.ts'
import { redactPlan } from './redact-plan.ts'
import { type Quoting, type RedactedSql, redactedSql, redactSql, sqlScanner } from './sql-literals.ts'

/** Facts about a message besides its text. */
export interface MessageOptions {
  readonly replacement: string
  /** The SQLSTATE of its record; unlike the wording it is the same in every language. */
  readonly sqlstate?: string | undefined
  /** Whether it is the DETAIL of a message, which may repeat a whole row. */
  readonly isDetail?: boolean | undefined
  /** Whether its level is written in another language, so that its wording is not known either. */
  readonly isTranslated?: boolean | undefined
}

// Double quotes that enclose a statement, not a name.
const quotedStatement = /(?:SQL (?:statement|expression)|PL\/pgSQL [\w ]{1,40}) "/

// The server's text between two statements.
const betweenStatements = sqlScanner(
  new RegExp(`${quotedStatement.source}|^Process \\d{1,10}: | line \\d{1,10} at (?=[A-Za-z])`),
)

// Where a statement begins in a message: the server's and pgaudit's markers, a word of any language between a duration
// and a statement, or a verb of SQL at the beginning of a line, behind a colon or behind a quote. Numbers are replaced
// only from there on, because the server's own numbers are the reason to keep a message.
// https://www.postgresql.org/docs/current/runtime-config-logging.html
const statementMarks = [
  /(?<plan>ms {2}plan:\s)/,
  /(?<audit>AUDIT: )/,
  /ms {2}[^:\n]{1,200}: /,
  /(?<![\p{L}\d_"])(?:statement|query|(?:parse|bind|execute) [^:\n]{1,200}): {1,2}/u,
  quotedStatement,
  /(?<![\p{L}\d_])\p{L}{1,20} \d{1,10}: /u,
  /Query Text"?: "?/,
  /\$\d{1,5} = /,
  /(?:^|[:"»„“”«「(]\s{0,40}|\n[ \t]{0,40})(?=(?:select|insert|update|delete|merge|with|values|create|alter|call|do|execute|prepare|declare|explain|set|fetch)\b)/,
]
const statementMark = new RegExp(statementMarks.map(({ source }) => source).join('|'), 'iu')

const closingQuotes = ['"', '«', '“', '”', '»', '」', '』', '›']
const anyOpeningQuote = /["»„“”«「『‹]/

/** The server's text before a value, and the texts that may end it. The last end counts: a value may contain any text. */
type ValueRule = readonly [before: RegExp, ends: readonly string[]]

/** Texts that occur in no statement. They are searched for in the whole message. */
const unmistakable: readonly ValueRule[] = [
  [/Failing row contains \(/i, [')']],
  [/\bCOPY [^\n]{1,300}?: ?["»„“«「]/, closingQuotes],
  [/\bline \d+(?:, column [^:"]{1,200})?: "/, closingQuotes],
  [/\bJSON data, line \d+: /, []],
  [/at or near "/, closingQuotes],
]

/** Texts that are searched for only before a statement. */
const beforeStatement: readonly ValueRule[] = [
  // Conflicts of logical replication, and places of rows.
  [/\b(?:tuple|row|replica identity) \(/, [')']],
  // Key (…)=(…) in the violations of unique, foreign key and exclusion constraints, in every language.
  [/\) ?= ?\(/, [')']],
  [/: ?["»„“«「『‹]/, closingQuotes],
  [/(?:\bvalue|numeric field|changed to|Token|found|time zone|unit) "/, closingQuotes],
  [/^"(?=[^"]{1,1000}" is out of range)/, ['" is out of range']],
  [/^(?=[-\d.]{1,40} (?:\w{1,5} )?is outside the valid range)/, [' is outside']],
  [/for encoding "[^"]{1,60}": /, []],
]

/** In a DETAIL of any language: the row in parentheses, and the lines that the XML parser repeats. */
const inDetail: readonly ValueRule[] = [
  [/(?<![\w)"])\(/, [')']],
  [/(?:^|\n)line \d+: [^\n]*\n/, []],
]

const inQuotes: ValueRule = [anyOpeningQuote, closingQuotes]

const aboutConnections =
  /^(?:connection (?:received|authenticated|authorized)|disconnection|replication connection authorized): /

/**
 * Redacts a message of the server: its statement, the parameters, and the values that the server repeats. Durations,
 * counters and names are kept.
 */
export function redactMessage(text: string, options: MessageOptions): RedactedSql {
  if (aboutConnections.test(text)) return { text, isOpen: false }
  const { replacement, sqlstate = '', isDetail = false, isTranslated = false } = options
  // Messages of class 22 (data exceptions) quote values. A syntax error quotes a piece of the statement.
  const quotesValues = sqlstate === syntaxError || sqlstate.startsWith('22')
  const whole = withoutValues(text, unmistakable, replacement)
  const mark = statementMark.exec(whole)
  const start = mark === null ? whole.length : mark.index + mark[0].length
  const rules = quotesValues ? [inQuotes, ...beforeStatement] : beforeStatement
  const known = withoutValues(whole.slice(0, start), rules, replacement)
  const isUnknownDetail = isDetail && mark === null && known === text
  const words = isUnknownDetail ? withoutValues(known, inDetail, replacement) : known
  const rest = whole.slice(start)
  // Numbers are values then, too.
  const redactedWords =
    isTranslated || quotesValues
      ? redactSql(words, { replacement })
      : words.replace(/'[^']*'/g, () => `'${replacement}'`)
  const redactedRest = (): RedactedSql => {
    if (mark?.groups?.plan !== undefined) return { text: redactPlan(rest, replacement), isOpen: false }
    const audit = mark?.groups?.audit === undefined ? undefined : redactAudit(rest, replacement)
    if (audit !== undefined) return { text: audit, isOpen: false }
    return redactedSql(rest, { replacement, quoting: quotingOf(sqlstate), scanner: betweenStatements })
  }
  const { text: redacted, isOpen } = redactedRest()
  return { text: redactedWords + redacted, isOpen }
}

const syntaxError = '42601'

/** @returns whether the quotes of a statement are balanced, by the SQLSTATE of its record */
export function quotingOf(sqlstate: string | undefined): Quoting {
  return sqlstate === syntaxError ? 'broken' : 'sound'
}

function withoutValues(text: string, rules: readonly ValueRule[], replacement: string): string {
  return rules.reduce((current, [before, ends]) => {
    const found = before.exec(current)
    if (found === null) return current
    const start = found.index + found[0].length
    // Searched from the end: one regular expression would try every end for every beginning.
    const end = ends.reduce((last, mark) => Math.max(last, current.lastIndexOf(mark)), -1)
    return current.slice(0, start) + replacement + (end < start ? '' : current.slice(end))
  }, text)
}
