import { eventHead, eventOf } from '../events.ts'
import { durationOf, phaseOf, planMark, statementHead, statementOf } from './message.ts'

/**
 * The values of `message.ts` for messages as PostgreSQL writes them: one search finds a message's beginning, up to the
 * statement, and both values are read from it. Any other message takes the expressions of `message.ts`.
 */

/** Three decimals, as the server writes them; up to 15 digits are exact as a double. */
const duration = 'duration: [0-9]{1,12}\\.[0-9]{3} ms'

/** The words before a statement, each with another first letter. */
const statementPhases = ['statement', 'execute', 'bind', 'parse'] as const

/** Names of prepared statements are short, so a longer beginning is text with a colon. */
const maxBeginningChars = 400

/** SQL of a message's beginning: its duration, the words before its statement, or both; '' or NULL for other messages. */
export function messageBeginning(message: string): string {
  return `regexp_extract(${message}, '^(?:${duration}(?:  (?:statement|(?:execute|bind|parse) [^:]*): )?|(?:statement|(?:execute|bind|parse) [^:]*): )')`
}

/** SQL of whether a beginning has the words before a statement. */
const hasStatement = `ends_with(beginning, ': ') AND length(beginning) <= ${maxBeginningChars}`

/**
 * Columns from a column `beginning`; `statement_head` only where the beginning does not show the statement, and
 * `phase_letter`, the first one of the word before the statement, only where it does.
 */
export function beginningParts(message: string): string {
  return `length(beginning) AS beginning_chars,
    CASE WHEN starts_with(beginning, 'duration: ') THEN instr(beginning, ' ms') - 11 END AS duration_chars,
    CASE WHEN starts_with(beginning, 'duration: ') THEN substring(beginning, instr(beginning, ' ms') + 5, 1) END AS phase_letter,
    CASE WHEN ${hasStatement} THEN NULL ELSE ${statementHead(message)} END AS statement_head`
}

/** SQL of `duration_ms`. */
export function durationValue(message: string): string {
  return `CASE WHEN duration_chars IS NOT NULL THEN TRY_CAST(substring(beginning, 11, duration_chars) AS DOUBLE)
    WHEN starts_with(${message}, 'duration: ') THEN ${durationOf(message)} END`
}

/** SQL of `duration_phase`. */
export function durationPhase(message: string): string {
  const shown = statementPhases.map((phase) => `WHEN phase_letter = '${phase[0]}' THEN '${phase}'`)
  return `CASE ${shown.join(' ')}
    WHEN duration_chars IS NOT NULL THEN CASE WHEN strlen(${message}) > strlen(beginning) THEN ${phaseOf(`substring(${message}, duration_chars + 16, 16)`)} END
    WHEN starts_with(${message}, 'duration: ') THEN ${phaseOf('statement_head')} END`
}

/** SQL of the statement in a message. */
export function statementValue(message: string): string {
  // Bytes are cut: to count the characters of a text takes twice the time.
  return `CASE WHEN ${hasStatement} THEN decode(encode(${message})[strlen(beginning) + 1:])
    WHEN statement_head IS NOT NULL THEN ${statementOf(message, 'statement_head')} END`
}

/** SQL of whether the duration is that of a plan: no words before a statement follow it, but the word for a plan. */
function isPlan(message: string): string {
  return `beginning_chars = duration_chars + 13 AND substring(${message}, duration_chars + 16, ${planMark.length}) = '${planMark}'`
}

/** SQL of a column `event_head`; messages with a duration need none. */
export function usualEventHead(message: string): string {
  return `CASE WHEN starts_with(beginning, 'duration: ') THEN 'duration: ' ELSE ${eventHead(message)} END`
}

/** SQL of `event`, also from the columns `level` and `s_sqlstate`. */
export function usualEvent(message: string): string {
  const event = eventOf({
    kind: "'server_log'",
    level: 'level',
    sqlstate: 's_sqlstate',
    message,
    head: 'event_head',
  })
  return `CASE WHEN duration_chars IS NOT NULL AND level = 'LOG' AND s_sqlstate = '00000' THEN CASE WHEN ${isPlan(message)} THEN 'plan' ELSE 'duration' END
    ELSE ${event} END`
}

/** SQL of `plan`. */
export function usualPlan(message: string): string {
  return `CASE WHEN ${isPlan(message)} THEN nullif(substring(${message}, duration_chars + ${planMark.length + 17}), '')
    WHEN duration_chars IS NULL AND starts_with(${message}, 'duration: ') AND starts_with(statement_head, '${planMark}')
    THEN nullif(substring(${message}, instr(${message}, ' ms  ') + ${planMark.length + 6}), '') END`
}
