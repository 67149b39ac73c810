import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import type { TableDeclaration } from '../../../../src/tables/table.ts'
import { checkEach, rowOf } from '../../../sinks/encoder-harness.ts'

function record(timestamp: string | number, session: object = {}): object {
  return { timestamp, pid: 1, error_severity: 'LOG', message: 'm', ...session }
}

/** By zone: records of one table are encoded together. */
const tables = new Map<string | undefined, TableDeclaration>()

async function timeOf(
  t: TestContext,
  timestamp: string | number,
  session?: object,
  timezone?: string,
): Promise<unknown> {
  const table = tables.get(timezone) ?? postgresLogs('a.b.c', { timezone })
  tables.set(timezone, table)
  const row = await rowOf(t, record(timestamp, session), table)
  // A time that stays unknown is never silent.
  assert.equal(row.parse_status, row.event_time === null ? 'partial' : 'ok', String(timestamp))
  if (row.event_time === null) assert.match(String(row.parse_error), /^bad_value: event_time = /)
  return row.event_time
}

test('a time with a numeric offset, UTC, GMT or Z is that instant', async (t) => {
  await checkEach(
    [
      ['2025-11-30 21:10:20.101 UTC', '2025-11-30 21:10:20.101+00'],
      ['2025-11-30 21:10:20 UTC', '2025-11-30 21:10:20+00'],
      ['2025-11-30 21:10:20,101 UTC', '2025-11-30 21:10:20.101+00'],
      ['2025-11-30 21:10:20,101 +00', '2025-11-30 21:10:20.101+00'],
      ['1850-11-30 21:10:20 +00:53:28', '1850-11-30 20:16:52+00'],
      ['2025-11-30 21:10:20 +15:59', '2025-11-30 05:11:20+00'],
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
    ] as const,
    async ([text, expected]) => {
      assert.equal(await timeOf(t, text), expected, text)
    },
  )
})

test('seconds since the epoch, or thousandths, millionths and billionths of them, are that instant', async (t) => {
  await checkEach(
    [
      [1764321411, '2025-11-28 09:16:51+00'],
      [1764321411.71, '2025-11-28 09:16:51.71+00'],
      [1764321411.7188137, '2025-11-28 09:16:51.718813+00'],
      ['1764321411.946', '2025-11-28 09:16:51.946+00'],
      ['1764321411.9999999999', '2025-11-28 09:16:51.999999+00'],
      ['1764321411.00000000000000000000000000000000000000001', '2025-11-28 09:16:51+00'],
      [1764321411718, '2025-11-28 09:16:51.718+00'],
      ['1764321411718.8137', '2025-11-28 09:16:51.718813+00'],
      ['1764321411718813', '2025-11-28 09:16:51.718813+00'],
      ['1764321411718813700', '2025-11-28 09:16:51.718813+00'],
      [100_000_000, '1973-03-03 09:46:40+00'],
    ] as const,
    async ([time, expected]) => {
      assert.equal(await timeOf(t, time), expected, String(time))
    },
  )
})

test('a number that may be no time of a log is no event time, and stops nothing', async (t) => {
  await checkEach(
    [
      0,
      -1,
      -1764321411,
      99_999_999,
      17643214117,
      '17643214117188137',
      1e20,
      1e21,
      '1e9',
      '99999999999999999999',
    ],
    async (time) => {
      assert.equal(await timeOf(t, time), null, String(time))
    },
  )
})

test('a record of any shape may give its time as seconds since the epoch', async (t) => {
  const text = { log: 'LOG:  no time here\n', stream: 'stderr' }
  await checkEach(
    [
      { level: 'info', ts: 1764321411.5, logger: 'instance-manager', msg: 'ready' },
      { ...text, time: '1764321411.5' },
      { ...text, '@timestamp': 1764321411.5 },
      { action: 'I', timestamp: '1764321411.5', schema: 'public', table: 't', columns: [] },
      {
        category: 'PostgreSQLLogs',
        properties: { message: 'm', errorLevel: 'LOG', timestamp: '1764321411.5' },
      },
      { record: { log_time: '1764321411.5', error_severity: 'LOG' } },
    ],
    async (shape) => {
      const row = await rowOf(t, shape)
      assert.deepEqual(
        [row.event_time, row.parse_status],
        ['2025-11-28 09:16:51.5+00', 'ok'],
        JSON.stringify(shape),
      )
    },
  )
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

test('a text that is no time of this era is no event time', async (t) => {
  await checkEach(
    [
      'infinity',
      'infinity UTC',
      '2025-11-30',
      '2025-11-30 UTC',
      '2025-13-30 21:10:20 UTC',
      'now',
      '2025-11-30 21:10:20 -99',
      '2025-11-30 21:10:20 +16',
      '2025-11-30 21:10:20 +99:99',
      '2025-11-30 21:10:20 +02:60',
      '2025-11-30 21:10:20 UTC UTC',
      '1/9/2007 10:41:00 AM +99:00',
      '44-03-15 10:00:00.000 BC UTC',
      '12025-11-30 21:10:20 UTC',
    ],
    async (text) => {
      assert.equal(await timeOf(t, text), null, text)
    },
  )
})

test('the configured zone resolves what its clocks showed once', async (t) => {
  await checkEach(
    [
      ['Europe/Berlin', '2025-07-01 12:00:00.5 CEST', '2025-07-01 10:00:00.5+00'],
      ['Europe/Berlin', '2025-07-01 12:00:00,5 CEST', '2025-07-01 10:00:00.5+00'],
      ['Europe/Berlin', '2025-01-01 12:00:00.5', '2025-01-01 11:00:00.5+00'],
      ['Europe/Berlin', '2025-10-26 02:30:00.5 CEST', '2025-10-26 00:30:00.5+00'],
      ['Europe/Berlin', '2025-10-26 02:30:00.5 CET', '2025-10-26 01:30:00.5+00'],
      ['Europe/Berlin', '2025-10-26 02:30:00.5', null],
      ['Europe/Berlin', '2025-03-30 02:30:00.5', null],
      ['Europe/Berlin', '2025-03-30 02:30:00.5 CET', null],
      ['Europe/Berlin', '2025-07-01 12:00:00.5 CET', null],
      ['Asia/Kolkata', '2025-07-01 12:00:00 IST', '2025-07-01 06:30:00+00'],
      ['Europe/Dublin', '2025-07-01 12:00:00 IST', '2025-07-01 11:00:00+00'],
      ['Asia/Jerusalem', '2025-01-01 12:00:00 IST', '2025-01-01 10:00:00+00'],
      ['America/Chicago', '2025-11-02 01:30:00 CDT', '2025-11-02 06:30:00+00'],
      ['America/Chicago', '2025-11-02 01:30:00 CST', '2025-11-02 07:30:00+00'],
      ['Europe/Moscow', '2014-10-26 00:30:00 MSK', '2014-10-25 20:30:00+00'],
      ['Europe/Moscow', '2014-10-26 01:30:00 MSK', null],
      ['Europe/Moscow', '2014-10-26 02:30:00 MSK', '2014-10-25 23:30:00+00'],
      ['Antarctica/Troll', '2025-10-26 01:30:00', null],
      ['Australia/Lord_Howe', '2025-04-06 01:45:00', null],
      ['Asia/Dubai', '2025-04-06 01:45:00', '2025-04-05 21:45:00+00'],
    ] as const,
    async ([zone, text, expected]) => {
      assert.equal(await timeOf(t, text, {}, zone), expected, `${text} in ${zone}`)
    },
  )
})

test('an abbreviation that the configured zone never uses is not read by that zone', async (t) => {
  await checkEach(
    ['2025-07-01 12:00:00 IST', '2025-01-01 12:00:00 EST', '2025-01-01 12:00:00 XYZ'],
    async (text) => {
      assert.equal(await timeOf(t, text, {}, 'Europe/Berlin'), null, text)
    },
  )
})

test('the zone that a record proves takes precedence over the configured zone', async (t) => {
  // 0x6b05544b is 2026-11-24 09:09:31 UTC.
  const started = (start: string) => ({ session_id: '6b05544b.20cd', session_start: `2026-11-24 ${start}` })
  await checkEach(
    [
      ['04:09:31.946 EST', '04:09:31 EST', 'Europe/Berlin', '09:09:31.946'],
      ['14:39:31.946 IST', '14:39:31 IST', 'Europe/Berlin', '09:09:31.946'],
      ['17:09:31 CST', '17:09:31 CST', 'America/Chicago', '09:09:31'],
      ['10:09:32 CET', '11:09:31 CEST', 'Europe/Berlin', null],
      ['04:09:31', '04:09:31', 'Europe/Berlin', null],
      ['10:09:31', '10:09:31', 'Europe/Berlin', '09:09:31'],
    ] as const,
    async ([text, start, zone, expected]) => {
      const found = await timeOf(t, `2026-11-24 ${text}`, started(start), zone)
      assert.equal(found, expected === null ? null : `2026-11-24 ${expected}+00`, `${text} in ${zone}`)
    },
  )
  // A session that began before the clocks changed. 0x6ad71170 is 2026-10-20 07:00:00 UTC.
  const before = { session_id: '6ad71170.7', session_start: '2026-10-20 09:00:00 CEST' }
  assert.equal(await timeOf(t, '2026-10-25 02:30:00 CET', before, 'Europe/Berlin'), '2026-10-25 01:30:00+00')
  assert.equal(await timeOf(t, '2026-10-25 02:30:00 CEST', before, 'Europe/Berlin'), '2026-10-25 00:30:00+00')
})

test('a time in wrapped text that is uncertain does not become the time of the shipper', async (t) => {
  const shipped = { stream: 'stderr', time: '2026-06-24T15:20:36.1Z' }
  await checkEach(
    [
      ['2026-06-24 10:54:35.875 CEST [4138] LOG:  x', null],
      ['2026-06-24 10:54:35.875 IST [4138] LOG:  x', null],
      ['2026-06-24 10:54:35.875 CEST:10.0.0.1(4):u@d:[9]:LOG:  x', null],
      // Without a zone, and 4:26 hours are no zone's offset.
      ['2026-06-24 10:54:35.875 P00   INFO: archive-push command begin', '2026-06-24 10:54:35.875+00'],
      ['2026-06-24 10:54:35.875 UTC [4138] LOG:  x', '2026-06-24 10:54:35.875+00'],
      ['2026-06-24 10:54:35 UTC:10.0.0.1(4):u@d:[9]:LOG:  x', '2026-06-24 10:54:35+00'],
      ['2026-06-24 10:54:35 +02:10.0.0.1(4):u@d:[9]:LOG:  x', '2026-06-24 08:54:35+00'],
      ['2026-06-24 10:54:35+02 LOG:  x', '2026-06-24 08:54:35+00'],
      ['LOG:  no time of its own', '2026-06-24 15:20:36.1+00'],
    ] as const,
    async ([text, expected]) => {
      const row = await rowOf(t, { log: `${text}\n`, ...shipped })
      assert.deepEqual(
        [row.event_time, row.parse_status],
        [expected, expected === null ? 'partial' : 'ok'],
        text,
      )
    },
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

test("a program's time without a zone is in the zone of the table, whatever the time of its envelope", async (t) => {
  const table = postgresLogs('a.b.c', { timezone: 'Europe/Berlin' })
  await checkEach(
    [
      ['2026-11-24 09:54:35,875', '2026-11-24T08:54:36.1Z', '2026-11-24 08:54:35.875+00'],
      // By the envelope alone, it would be in UTC, or in another zone.
      ['2026-11-24 09:54:35,875', '2026-11-24T09:54:36.1Z', '2026-11-24 08:54:35.875+00'],
      ['2026-11-24 09:54:35,875', '2026-11-24T11:54:36.1Z', '2026-11-24 08:54:35.875+00'],
      ['2026-11-24 09:54:35', '2026-11-24T08:54:35.9Z', '2026-11-24 08:54:35+00'],
      // Shown twice.
      ['2026-10-25 02:30:00,875', '2026-10-25T00:30:01Z', null],
    ] as const,
    async ([text, time, expected]) => {
      const row = await rowOf(t, { log: `${text} INFO: no action`, time }, table)
      assert.deepEqual(
        [row.event_time, row.parse_status],
        [expected, expected === null ? 'partial' : 'ok'],
        text,
      )
    },
  )
})
