import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { postgresLogs } from '../../src/tables/postgres-logs.ts'
import { rowOf } from '../sinks/encoder-harness.ts'

function record(timestamp: string, session: object = {}): object {
  return { timestamp, pid: 1, error_severity: 'LOG', message: 'm', ...session }
}

async function timeOf(
  t: TestContext,
  timestamp: string,
  session?: object,
  timezone?: string,
): Promise<unknown> {
  const declaration = postgresLogs('a.b.c', timezone === undefined ? {} : { timezone })
  const row = await rowOf(t, record(timestamp, session), declaration)
  // A time that stays unknown is never silent.
  assert.equal(row.parse_status, row.event_time === null ? 'partial' : 'ok', timestamp)
  if (row.event_time === null) assert.match(String(row.parse_error), /^bad_value: event_time = /)
  return row.event_time
}

test('a time with a numeric offset, UTC, GMT or Z is that instant', async (t) => {
  for (const [text, expected] of [
    ['2025-11-30 21:10:20.101 UTC', '2025-11-30 21:10:20.101+00'],
    ['2025-11-30 21:10:20 UTC', '2025-11-30 21:10:20+00'],
    ['2025-11-30 21:10:20.101 GMT', '2025-11-30 21:10:20.101+00'],
    ['2025-11-30 21:10:20.101 +03', '2025-11-30 18:10:20.101+00'],
    ['2025-11-30 21:10:20.101 -03', '2025-12-01 00:10:20.101+00'],
    ['2025-11-30 21:10:20.101 +0530', '2025-11-30 15:40:20.101+00'],
    ['2025-11-30 21:10:20.101+05:30', '2025-11-30 15:40:20.101+00'],
    ['2025-11-30T21:10:20Z', '2025-11-30 21:10:20+00'],
    ['2025-11-30T21:10:20.1234567Z', '2025-11-30 21:10:20.123456+00'],
    ['2025-11-30T21:10:20.123456999+01:00', '2025-11-30 20:10:20.123456+00'],
    ['1969-12-31 23:59:59.999999999 UTC', '1969-12-31 23:59:59.999999+00'],
    ['1/9/2007 10:41:00 AM +01:00', '2007-01-09 09:41:00+00'],
  ] as const) {
    assert.equal(await timeOf(t, text), expected, text)
  }
})

test('a zone abbreviation is resolved by the session that states its start twice', async (t) => {
  // 0x692ca2bc is 2025-11-30 20:02:04 UTC.
  const session = { session_id: '692ca2bc.7', session_start: '2025-11-30 22:02:04 CEST' }
  assert.equal(await timeOf(t, '2025-11-30 23:10:20.101 CEST', session), '2025-11-30 21:10:20.101+00')
  const west = { session_id: '692ca2bc.7', session_start: '2025-11-30 15:02:04 EST' }
  assert.equal(await timeOf(t, '2025-11-30 16:10:20.101 EST', west), '2025-11-30 21:10:20.101+00')
})

test('a zone abbreviation that nothing resolves is never guessed', async (t) => {
  assert.equal(await timeOf(t, '2025-11-30 21:10:20.101 IST'), null, 'no session')
  assert.equal(
    await timeOf(t, '2025-11-30 21:10:20.101 CET', {
      session_id: '692ca2bc.7',
      session_start: '2025-11-30 22:02:04 CEST',
    }),
    null,
    'another abbreviation',
  )
  assert.equal(
    await timeOf(t, '2025-11-30 21:10:20.101 CEST', {
      session_id: '692ca2bc.7',
      session_start: '2025-11-30 22:02:11 CEST',
    }),
    null,
    'no zone has that offset',
  )
  assert.equal(await timeOf(t, '2025-11-30 21:10:20.101'), null, 'no zone')
})

test('what is no time of this era is no event time', async (t) => {
  for (const text of [
    'infinity',
    'infinity UTC',
    '2025-11-30',
    '2025-11-30 UTC',
    '2025-13-30 21:10:20 UTC',
    'now',
    '44-03-15 10:00:00.000 BC UTC',
    '12025-11-30 21:10:20 UTC',
  ]) {
    assert.equal(await timeOf(t, text), null, text)
  }
})

test('the configured zone resolves a time that its clocks showed once', async (t) => {
  assert.equal(await timeOf(t, '2025-07-01 12:00:00.5 CEST', {}, 'Europe/Berlin'), '2025-07-01 10:00:00.5+00')
  assert.equal(await timeOf(t, '2025-01-01 12:00:00.5', {}, 'Europe/Berlin'), '2025-01-01 11:00:00.5+00')
  assert.equal(await timeOf(t, '2025-10-26 02:30:00.5 CET', {}, 'Europe/Berlin'), null, 'shown twice')
  assert.equal(await timeOf(t, '2025-03-30 02:30:00.5 CET', {}, 'Europe/Berlin'), null, 'never shown')
  // 0x68fd5c80 is 2025-10-25 23:25:52 UTC.
  const session = { session_id: '68fd5c80.7', session_start: '2025-10-26 01:25:52 CEST' }
  assert.equal(
    await timeOf(t, '2025-10-26 02:30:00.5 CEST', session, 'Europe/Berlin'),
    '2025-10-26 00:30:00.5+00',
    'the session knows',
  )
})

test('a session starts when its id says, else when its record does', async (t) => {
  const byId = await rowOf(
    t,
    record('2025-11-30 21:10:20 UTC', {
      session_id: '692ca2bc.7',
      session_start: '2025-11-30 22:02:04 CEST',
    }),
  )
  assert.equal(byId.session_start, '2025-11-30 20:02:04+00')
  const stated = await rowOf(
    t,
    record('2025-11-30 21:10:20 UTC', { session_id: 'odd', session_start: '2025-11-30 20:02:04 UTC' }),
  )
  assert.equal(stated.session_start, '2025-11-30 20:02:04+00')
  const unknown = await rowOf(
    t,
    record('2025-11-30 21:10:20 UTC', { session_id: 'odd', session_start: '2025-11-30 20:02:04 IST' }),
  )
  assert.deepEqual(
    [unknown.session_start, unknown.parse_status, unknown.parse_error],
    [null, 'partial', 'bad_value: session_start = 2025-11-30 20:02:04 IST'],
  )
})
