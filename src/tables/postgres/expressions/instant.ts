import { sqlString } from '../../sql.ts'
import { zoneOffsets } from './zone-offsets.ts'

/**
 * What may tell the offset of a time's zone.
 *
 * A numeric offset, UTC, GMT or Z decides. An abbreviation such as IST or CST names several offsets, and is never looked
 * up in the world's: the session's own start, which the server states both as local time and in UTC, decides what it
 * means in this record; else the configured zone does, where it has that abbreviation.
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

// PostgreSQL takes offsets up to 15:59:59; DuckDB any number of hours and minutes.
const numericOffset = '[+-](?:0\\d|1[0-5])(?::?[0-5]\\d(?::?[0-5]\\d)?)?'
const stamp = '\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?'

/**
 * @param text SQL that is evaluated several times: pass a column
 * @returns SQL of a TIMESTAMP, NULL when `text` is NULL, unreadable or uncertain; `inCalendar` still has to bound it
 */
export function instant(text: string, evidence: ZoneEvidence = {}): string {
  // Most servers log in UTC. DuckDB reads that form directly, but for a comma before the fraction, and would also take
  // a date without a time.
  return `coalesce(
    CASE WHEN ends_with(${text}, ' UTC') AND strlen(${text}) >= 23 THEN TRY_CAST(${text} AS TIMESTAMP) END,
    CASE WHEN ${text} IS NOT NULL THEN ${rareForm(text, evidence)} END)`
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
    // A zone in which the session's two starts are not the same instant is not this server's.
    candidates.push(
      session === undefined
        ? inZone
        : `CASE WHEN coalesce(${wallClock(session.instant, timezone)} = ${session.local}, true) THEN ${inZone} END`,
    )
  }
  return candidates.length === 0 ? 'NULL::TIMESTAMP' : `coalesce(${candidates.join(', ')})`
}

/** Reads a local time, and an abbreviation or none behind it, by the clocks of a zone. */
function inTimezone(text: string, local: string, zone: string, timezone: string): string {
  const { all, byAbbreviation } = zoneOffsets(timezone)
  const named = [...byAbbreviation].map(
    ([abbreviation, offsets]) =>
      `WHEN ends_with(${text}, ${sqlString(` ${abbreviation}`)}) THEN ${shownOnce(local, offsets, timezone)}`,
  )
  return `CASE ${named.join(' ')} WHEN ${zone} = '' THEN ${shownOnce(local, all, timezone)} END`
}

/**
 * The one instant at which the clocks of a zone showed a time at one of the given offsets. None is a time that they
 * skipped; two are an hour that they showed twice, as Moscow's did in 2014 under the same abbreviation.
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

/** What a zone's clocks show at an instant, given as a TIMESTAMP in UTC. */
function wallClock(utc: string, timezone: string): string {
  return `timezone(${sqlString(timezone)}, ${asInstant(utc)})`
}

interface SessionStart {
  /** SQL of the start by the server's clock, as a TIMESTAMP. */
  readonly local: string
  /** SQL of the zone behind it. */
  readonly zone: string
  /** SQL of the same start in UTC, as a TIMESTAMP. */
  readonly instant: string
}

function bySession(local: string, zone: string, start: SessionStart): string {
  const offset = `(epoch(${start.local}) - epoch(${start.instant}))`
  // The two starts are the same second of one clock, so a difference that is no zone's offset means neither is one.
  return `CASE WHEN regexp_full_match(${zone}, '[A-Za-z]+') AND ${start.zone} = ${zone}
    AND ${offset} % 900 = 0 AND abs(${offset}) <= 54000
    THEN ${local} - to_seconds(CAST(${offset} AS BIGINT)) END`
}
