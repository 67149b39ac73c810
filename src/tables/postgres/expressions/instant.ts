import { sqlString } from '../../sql.ts'
import { zoneOffsets } from './zone-offsets.ts'

/**
 * Information that determines the UTC offset of a time.
 *
 * A numeric offset, UTC, GMT or Z is unambiguous. An abbreviation such as IST or CST can mean several offsets and is never
 * resolved by a global list. Its meaning in a record comes from the session's start, which the server writes both as local
 * time and in UTC, or from the configured zone if that has the abbreviation.
 */
export interface ZoneEvidence {
  /** IANA name of the server's `log_timezone`, when configured. */
  readonly timezone?: string | undefined
  /** SQL of the session's start as the server wrote it, zone included. */
  readonly sessionStart?: string | undefined
  /** SQL of the session's start in UTC, as a TIMESTAMP. */
  readonly sessionInstant?: string | undefined
  /** Whether a time without a zone counts as UTC. */
  readonly zonelessIsUtc?: boolean | undefined
}

// PostgreSQL allows offsets up to 15:59:59; DuckDB would accept any number of hours and minutes.
const numericOffset = '[+-](?:0\\d|1[0-5])(?::?[0-5]\\d(?::?[0-5]\\d)?)?'
const stamp = '\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?'

/**
 * SQL that parses a time to a TIMESTAMP in UTC; NULL when the text is NULL, not a time, or its zone is uncertain. The result
 * must be limited by `inCalendar`.
 *
 * @param text SQL that is evaluated several times: pass a column
 */
export function instant(text: string, evidence: ZoneEvidence = {}): string {
  // Most servers log in UTC, which DuckDB parses directly, except with a comma before the fraction. The length excludes
  // dates without a time, which DuckDB would accept.
  return `coalesce(
    CASE WHEN ends_with(${text}, ' UTC') AND strlen(${text}) >= 23 THEN TRY_CAST(${text} AS TIMESTAMP) END,
    CASE WHEN ${text} IS NOT NULL THEN ${rareForm(text, evidence)} END)`
}

/** Every reader supports the years 1 to 9999. */
export const firstInstant = `TIMESTAMP '0001-01-01'`
export const afterLastInstant = `TIMESTAMP '10000-01-01'`

/** SQL that limits a time to these years; also excludes 'infinity'. */
export function inCalendar(timestamp: string): string {
  return `CASE WHEN ${timestamp} >= ${firstInstant} AND ${timestamp} < ${afterLastInstant} THEN ${timestamp} END`
}

/** SQL of a session's start in seconds since the epoch: the first half of the session's id, in hexadecimal. */
export function sessionEpoch(sessionId: string): string {
  // Eight digits until the year 2106; a substring is cheaper than a split.
  return `CASE WHEN instr(${sessionId}, '.') = 9 THEN TRY_CAST('0x' || left(${sessionId}, 8) AS BIGINT)
    WHEN ${sessionId} IS NOT NULL THEN TRY_CAST('0x' || split_part(${sessionId}, '.', 1) AS BIGINT) END`
}

/** SQL of a TIMESTAMP from seconds since the epoch; NULL outside of the years 1970 to 9999. */
export function epochInstant(seconds: string): string {
  return `CASE WHEN ${seconds} BETWEEN 1 AND 253402300799 THEN make_timestamp(${seconds} * 1000000) END`
}

/** SQL of a Delta timestamp: DuckDB's own cast goes through ICU's calendar and costs three times as much. */
export function asInstant(timestamp: string): string {
  return `make_timestamptz(epoch_us(${timestamp}))`
}

function rareForm(text: string, evidence: ZoneEvidence): string {
  const local = stampText(text)
  const zone = zoneText(text)
  const offset = `CASE WHEN ${zone} IN ('Z', 'UTC', 'GMT') THEN '+00' ELSE ${zone} END`
  return `CASE
    WHEN regexp_matches(${text}, '^${stamp} ?(?:${numericOffset}|Z|UTC|GMT)$')
      THEN ${fromZoned(`TRY_CAST(${local} || ${offset} AS TIMESTAMPTZ)`)}
    WHEN regexp_matches(${text}, '^[1-9]\\d{8,18}(?:\\.\\d+)?$') THEN ${epochOf(text)}
    WHEN regexp_matches(${text}, '^\\d{1,2}/\\d{1,2}/\\d{4} .*${numericOffset}$')
      THEN ${fromZoned(`try_strptime(${text}, '%m/%d/%Y %I:%M:%S %p %z')`)}
    WHEN regexp_matches(${text}, '^${stamp}')
      THEN ${unzoned(text, localTime(text), zone, evidence)} END`
}

function stampText(text: string): string {
  return `replace(regexp_extract(${text}, '^(${stamp})', 1), ',', '.')`
}

function localTime(text: string): string {
  return `TRY_CAST(${stampText(text)} AS TIMESTAMP)`
}

function zoneText(text: string): string {
  return `regexp_extract(${text}, '^${stamp} ?(.*)$', 1)`
}

/**
 * SQL that parses a number of seconds, milliseconds, microseconds or nanoseconds since the epoch. The number of digits
 * determines the unit, which is unambiguous for the years 1973 to 2286. Digits are handled as text, because arithmetic
 * fails out of range and rounds otherwise.
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

function unzoned(text: string, local: string, zone: string, evidence: ZoneEvidence): string {
  const { timezone, sessionStart, sessionInstant } = evidence
  const session =
    sessionStart === undefined || sessionInstant === undefined
      ? undefined
      : { local: localTime(sessionStart), zone: zoneText(sessionStart), instant: sessionInstant }
  const candidates: string[] = []
  if (evidence.zonelessIsUtc) candidates.push(`CASE WHEN ${zone} = '' THEN ${local} END`)
  if (session !== undefined) candidates.push(bySession(local, zone, session))
  if (timezone !== undefined) {
    const inZone = inTimezone(text, local, zone, timezone)
    // The configured zone is used only if the session's local start and UTC start agree in it.
    candidates.push(
      session === undefined
        ? inZone
        : `CASE WHEN coalesce(${wallClock(session.instant, timezone)} = ${session.local}, true) THEN ${inZone} END`,
    )
  }
  return candidates.length === 0 ? 'NULL::TIMESTAMP' : `coalesce(${candidates.join(', ')})`
}

/** SQL that resolves a local time with a zone abbreviation, or without a zone, in a configured zone. */
function inTimezone(text: string, local: string, zone: string, timezone: string): string {
  const { all, byAbbreviation } = zoneOffsets(timezone)
  const named = [...byAbbreviation].map(
    ([abbreviation, offsets]) =>
      `WHEN ends_with(${text}, ${sqlString(` ${abbreviation}`)}) THEN ${shownOnce(local, offsets, timezone)}`,
  )
  return `CASE ${named.join(' ')} WHEN ${zone} = '' THEN ${shownOnce(local, all, timezone)} END`
}

/**
 * SQL of the only instant at which a zone's clocks showed a local time at one of the given offsets. NULL for a time that
 * the clocks skipped, and for one that they showed twice, as Moscow's did in 2014 with the same abbreviation.
 */
function shownOnce(local: string, offsets: readonly number[], timezone: string): string {
  const instants = offsets.map((seconds) => {
    const utc = `${local} - to_seconds(${seconds})`
    return `CASE WHEN ${wallClock(utc, timezone)} = ${local} THEN ${utc} END`
  })
  if (instants.length === 1) return instants.join()
  const count = instants.map((instant) => `(${instant} IS NOT NULL)::INTEGER`).join(' + ')
  return `CASE WHEN ${count} = 1 THEN coalesce(${instants.join(', ')}) END`
}

/** SQL of a zone's local time at an instant. @param utc SQL of a TIMESTAMP in UTC */
function wallClock(utc: string, timezone: string): string {
  return `timezone(${sqlString(timezone)}, ${asInstant(utc)})`
}

interface SessionStart {
  /** SQL of the start by the server's clock, as a TIMESTAMP. */
  readonly local: string
  /** SQL of the zone text after it. */
  readonly zone: string
  /** SQL of the same start in UTC, as a TIMESTAMP. */
  readonly instant: string
}

function bySession(local: string, zone: string, start: SessionStart): string {
  const offset = `(epoch(${start.local}) - epoch(${start.instant}))`
  // The two starts are the same second, so their difference is the zone's offset. One that cannot be an offset means that a
  // start is wrong.
  return `CASE WHEN regexp_full_match(${zone}, '[A-Za-z]+') AND ${start.zone} = ${zone}
    AND ${offset} % 900 = 0 AND abs(${offset}) <= 54000
    THEN ${local} - to_seconds(CAST(${offset} AS BIGINT)) END`
}
