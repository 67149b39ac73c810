import { sqlString } from '../sql.ts'

/**
 * What may tell the offset of a time's zone.
 *
 * A numeric offset, UTC, GMT or Z decides. An abbreviation such as IST or CET names several offsets, and the hour
 * repeated in autumn is two instants, so neither is ever looked up: the configured zone decides where it is
 * unambiguous, then the session's own start, which the server states both as local time and in UTC.
 */
export interface ZoneEvidence {
  /** IANA name of the server's `log_timezone`, when configured. */
  readonly timezone?: string | undefined
  /** SQL of the session's start as the server wrote it, zone included. */
  readonly sessionStart?: string
  /** SQL of the session's start in UTC, as a TIMESTAMP. */
  readonly sessionInstant?: string
  /** Whether a time without any zone counts as UTC. */
  readonly zonelessIsUtc?: boolean
}

const stamp = '\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?'

/**
 * @param text SQL that is evaluated several times: pass a column
 * @returns SQL of a TIMESTAMP, NULL when `text` is NULL, unreadable or uncertain; `inCalendar` still has to bound it
 */
export function instant(text: string, evidence: ZoneEvidence = {}): string {
  // Most servers log in UTC. DuckDB reads that form directly, and would also take a date without a time.
  return `CASE WHEN ends_with(${text}, ' UTC') AND strlen(${text}) >= 23 THEN TRY_CAST(${text} AS TIMESTAMP)
    WHEN ${text} IS NOT NULL THEN ${rareForm(text, evidence)} END`
}

/** SQL that keeps the years every reader of the table has; it also keeps out 'infinity'. */
export function inCalendar(timestamp: string): string {
  return `CASE WHEN ${timestamp} >= TIMESTAMP '0001-01-01' AND ${timestamp} < TIMESTAMP '10000-01-01' THEN ${timestamp} END`
}

/** SQL of the seconds since the epoch at which a session started: the first half of its id, in hexadecimal. */
export function sessionEpoch(sessionId: string): string {
  return `CASE WHEN ${sessionId} IS NOT NULL THEN TRY_CAST('0x' || split_part(${sessionId}, '.', 1) AS BIGINT) END`
}

/** SQL of a TIMESTAMP of seconds since the epoch, NULL for seconds that no year of four digits has. */
export function epochInstant(seconds: string): string {
  return `CASE WHEN ${seconds} BETWEEN 1 AND 253402300799 THEN make_timestamp(${seconds} * 1000000) END`
}

/** SQL of a Delta timestamp: DuckDB's own cast goes through ICU's calendar and costs three times as much. */
export function asInstant(timestamp: string): string {
  return `make_timestamptz(epoch_us(${timestamp}))`
}

function rareForm(text: string, evidence: ZoneEvidence): string {
  const local = `replace(regexp_extract(${text}, '^(${stamp})', 1), ',', '.')`
  const zone = `regexp_extract(${text}, '^${stamp} ?(.*)$', 1)`
  const offset = `CASE WHEN ${zone} IN ('Z', 'UTC', 'GMT') THEN '+00' ELSE ${zone} END`
  return `CASE
    WHEN regexp_matches(${text}, '^${stamp} ?(?:[+-]\\d\\d(?::?\\d\\d)?|Z|UTC|GMT)$')
      THEN ${fromZoned(`TRY_CAST(${local} || ${offset} AS TIMESTAMPTZ)`)}
    WHEN regexp_matches(${text}, '^[1-9]\\d{8,18}(?:\\.\\d+)?$') THEN ${epochOf(text)}
    WHEN regexp_matches(${text}, '^\\d{1,2}/\\d{1,2}/\\d{4} .*[+-]\\d\\d:\\d\\d$')
      THEN ${fromZoned(`try_strptime(${text}, '%m/%d/%Y %I:%M:%S %p %z')`)}
    WHEN regexp_matches(${text}, '^${stamp}')
      THEN ${unzoned(`TRY_CAST(${local} AS TIMESTAMP)`, zone, evidence)} END`
}

/**
 * The number of digits tells the unit: these are the instants from 1973 to 2286, and no two units share a length.
 * Digits are moved as text, because arithmetic throws where a value is out of range and rounds where it is not.
 */
function epochOf(text: string): string {
  const whole = `regexp_extract(${text}, '^\\d+')`
  const digits = (count: number): string => `rpad(regexp_extract(${text}, '\\.(\\d+)$', 1), ${count}, '0')`
  const micros = `CASE
    WHEN length(${whole}) IN (9, 10) THEN ${whole} || ${digits(6)}
    WHEN length(${whole}) IN (12, 13) THEN ${whole} || ${digits(3)}
    WHEN length(${whole}) IN (15, 16) THEN ${whole}
    WHEN length(${whole}) IN (18, 19) THEN left(${whole}, length(${whole}) - 3) END`
  return `make_timestamp(TRY_CAST(${micros} AS BIGINT))`
}

function fromZoned(timestamptz: string): string {
  return `make_timestamp(epoch_us(${timestamptz}))`
}

function unzoned(local: string, zone: string, evidence: ZoneEvidence): string {
  const candidates: string[] = []
  if (evidence.zonelessIsUtc) candidates.push(`CASE WHEN ${zone} = '' THEN ${local} END`)
  if (evidence.timezone !== undefined) candidates.push(inTimezone(local, evidence.timezone))
  if (evidence.sessionStart !== undefined && evidence.sessionInstant !== undefined) {
    candidates.push(bySession(local, zone, evidence.sessionStart, evidence.sessionInstant))
  }
  return candidates.length === 0 ? 'NULL::TIMESTAMP' : `coalesce(${candidates.join(', ')})`
}

function inTimezone(local: string, timezone: string): string {
  const name = sqlString(timezone)
  const utc = `timezone(${name}, ${local})`
  // Clocks change by an hour, on one island by half of one. What reads the same before or after is two instants,
  // and what does not read back at all was never on the clock.
  const shifts = ['30 MINUTES', '1 HOUR'].flatMap((shift) => [`- INTERVAL ${shift}`, `+ INTERVAL ${shift}`])
  const repeated = shifts.map((shift) => `timezone(${name}, ${utc} ${shift}) = ${local}`).join(' OR ')
  return `CASE WHEN timezone(${name}, ${utc}) = ${local} AND NOT (${repeated}) THEN ${fromZoned(utc)} END`
}

function bySession(local: string, zone: string, sessionStart: string, sessionInstant: string): string {
  const startLocal = `TRY_CAST(regexp_extract(${sessionStart}, '^(${stamp})', 1) AS TIMESTAMP)`
  const startZone = `regexp_extract(${sessionStart}, '^${stamp} ?(.*)$', 1)`
  const offset = `(epoch(${startLocal}) - epoch(${sessionInstant}))`
  // The two starts are the same second of one clock, so a difference that is no zone's offset means neither is one.
  return `CASE WHEN ${zone} <> '' AND ${startZone} = ${zone} AND ${offset} % 900 = 0 AND abs(${offset}) <= 54000
    THEN ${local} - to_seconds(CAST(${offset} AS BIGINT)) END`
}
