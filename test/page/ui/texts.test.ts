import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Report } from '../../../src/page/api-report.ts'
import { chartPlot } from '../../../src/page/report/chart-plot.ts'
import { reportHtml } from '../../../src/page/report/report-html.ts'
import { millisecondsOf, numberOf } from '../../../src/page/ui/ask/result-values.ts'
import {
  agoText,
  bytesText,
  instantText,
  lengthText,
  markText,
  rangeText,
  reportValueText,
  shownText,
  timeText,
} from '../../../src/page/ui/state/format.ts'
import {
  exploreParameters,
  filterParameters,
  placeOf,
  placeText,
  timeRangeOf,
} from '../../../src/page/ui/state/record-filter.ts'
import { instantOfClock, offsetMs, timeZone, zoneOf } from '../../../src/page/ui/state/time-zone.ts'

const emptyReport: Report = {
  version: '0',
  atMs: 0,
  fromMs: 0,
  toMs: 1,
  compared: undefined,
  servers: [{ id: 'primary', role: null }],
  sections: [],
  elapsedMs: 1,
}

test('amounts have three digits and a unit, and never one of the next larger unit', () => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [1_023, '1,023 B'],
    [1_023.6, '1 KiB'],
    [5_200, '5.08 KiB'],
    [39_766_990, '37.9 MiB'],
    [2 ** 30 - 1, '1 GiB'],
    [61 * 2 ** 30, '61 GiB'],
  ] as const)
    assert.equal(bytesText(bytes), text)
  for (const [ms, text] of [
    [0, '0 ms'],
    [0.1234, '0.123 ms'],
    [999.4, '999 ms'],
    [1_234, '1.23 s'],
    [59_949, '59.9 s'],
    [60_000, '1 min'],
    [250_000, '4 min 10 s'],
    [3_660_000, '1 h 1 min'],
    [90_000_000, '1 d 1 h'],
    [-90_000, '−1 min 30 s'],
  ] as const)
    assert.equal(lengthText(ms), text)
  assert.equal(agoText(400), 'just now')
  assert.equal(agoText(12_345), '12 s ago')
  assert.equal(reportValueText(null, 'ms'), '–')
  assert.equal(reportValueText(1234567, 'count'), '1,234,567')
})

test('the kB of PostgreSQL are 1,024 bytes, on the page and in the file of a report', () => {
  for (const [kB, text] of [
    [1.5, '1.5 KiB'],
    [16_384, '16 MiB'],
    [1_048_576, '1 GiB'],
  ] as const) {
    assert.equal(reportValueText(kB, 'kB'), text)
    const figure = { id: 'written', label: 'Written', unit: 'kB', values: [kB], before: undefined } as const
    const section = { id: 'checkpoints', title: 'Checkpoints', notes: [], charts: [], tables: [] } as const
    const html = reportHtml({ ...emptyReport, sections: [{ ...section, figures: [figure] }] })
    assert.ok(html.includes(`<td>${text}</td>`), text)
  }
})

test('instants are in UTC, with the date where it changes', () => {
  const midnight = Date.UTC(2026, 10, 25)
  assert.equal(instantText(midnight - 1), '2026-11-24 23:59:59.999 UTC')
  assert.equal(rangeText(midnight - 60_000, midnight - 1_000), '2026-11-24 23:59:00.000 – 23:59:59.000 UTC')
  assert.equal(rangeText(midnight - 60_000, midnight), '2026-11-24 23:59:00 – 2026-11-25 00:00:00 UTC')
  assert.equal(markText(midnight, 3_600_000, false), '25 Nov')
  assert.equal(markText(midnight + 3_600_000, 3_600_000, false), '01:00')
  assert.equal(markText(midnight + 90_000, 30_000, true), '25 Nov 00:01:30')
})

test('in another zone an instant has its offset, so that both times of a repeated hour are told apart', (t) => {
  timeZone.value = zoneOf('Europe/Berlin')
  t.after(() => {
    timeZone.value = 'UTC'
  })
  const change = Date.UTC(2026, 9, 25, 1)
  assert.equal(instantText(change - 1_800_000), '2026-10-25 02:30:00.000 +02:00')
  assert.equal(instantText(change + 1_800_000), '2026-10-25 02:30:00.000 +01:00')
  assert.equal(
    rangeText(change - 1_800_000, change + 1_800_000),
    '2026-10-25 02:30:00 +02:00 – 02:30:00 +01:00',
  )
  assert.equal(rangeText(change, change + 3_600_000), '2026-10-25 02:00:00 – 03:00:00 +01:00')
  // A list is narrow: only near the change its times need the offset.
  assert.equal(timeText(change + 1_800_000, 3_600_000), '02:30:00.000 +01:00')
  assert.equal(timeText(change + 90_000_000, 3_600_000), '03:00:00.000')
  assert.equal(markText(Date.UTC(2026, 9, 25, 23), 3_600_000, false), '26 Oct')
  assert.equal(instantOfClock('2026-10-25T02:30:00'), change - 1_800_000)
  // Clocks skipped this time.
  assert.equal(instantOfClock('2026-03-29T02:30:00'), Date.UTC(2026, 2, 29, 1, 30))
  assert.equal(instantOfClock(''), undefined)
})

test('a time of a zone is found again by what clocks show, whatever the zone', () => {
  const zones = ['UTC', 'Asia/Kathmandu', 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Apia']
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(1990, 0) / 1_000, max: Date.UTC(2037, 0) / 1_000 }),
      (zone, seconds) => {
        const ms = seconds * 1_000
        const clock = new Date(ms + offsetMs(ms, zone)).toISOString().slice(0, 19)
        const found = instantOfClock(clock, zone)!
        assert.equal(new Date(found + offsetMs(found, zone)).toISOString().slice(0, 19), clock)
        assert.ok(found <= ms)
      },
    ),
  )
  for (const name of [null, '', 'UTC', 'Etc/GMT', 'Nowhere/Town', '<script>'])
    assert.equal(zoneOf(name), 'UTC')
})

test('a record is found again by the text that names it in a URL, whatever its blob is called', () => {
  const place = fc.record(
    {
      table: fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/),
      blob: fc.string({ unit: 'binary' }),
      generation: fc.stringMatching(/^[0-9TZ:.-]{1,30}$/),
      offset: fc.nat(),
      index: fc.nat(),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(place, (one) => {
      const parameters = new URLSearchParams({ record: placeText(one) })
      assert.deepEqual(placeOf(new URLSearchParams(parameters.toString()).get('record')), one)
    }),
  )
  for (const text of [null, '', 'a~b', 'a~b~c~d~e', 'a~b~c~1~x']) assert.equal(placeOf(text), undefined)
})

test('the filter of a place goes to the API, and back into a link to the records behind a row', () => {
  const parameters = new URLSearchParams(
    'server=primary&severity=ERROR&severity=FATAL&q=%20dead%20&record=x&by=event',
  )
  const range = timeRangeOf(new URLSearchParams('last=1h'), 10_000_000)
  assert.deepEqual(range, { fromMs: 6_400_000, toMs: 10_000_000 })
  const query = filterParameters(parameters, range)
  assert.equal(
    query.toString(),
    'fromMs=6400000&toMs=10000000&server=primary&severity=ERROR&severity=FATAL&q=dead',
  )
  assert.equal(
    exploreParameters({ severity: ['ERROR'], fromMs: 7_000_000.5 }, range).toString(),
    'fromMs=7000000&toMs=10000000&severity=ERROR',
  )
  assert.deepEqual(timeRangeOf(new URLSearchParams('fromMs=x&toMs='), 5), {
    fromMs: undefined,
    toMs: undefined,
  })
})

test('no text of a log hides, reorders or ends what is around it', () => {
  assert.equal(shownText('a\u202eb\u001b[31m\u200bc'), 'a\\u202eb\\u001b[31m\\u200bc')
  assert.equal(shownText('größer 📚\n\tzwei'), 'größer 📚\n\tzwei')
})

test('values of a result are instants and numbers as the engine writes them', () => {
  const instant = Date.UTC(2026, 10, 24, 10, 0, 0, 500)
  for (const text of ['2026-11-24 10:00:00.5+00', '2026-11-24 10:00:00.5', '2026-11-24T12:00:00.500+02:00'])
    assert.equal(millisecondsOf(text), instant, text)
  assert.equal(millisecondsOf('2026-11-24'), Date.UTC(2026, 10, 24))
  assert.equal(millisecondsOf('yesterday'), undefined)
  assert.equal(numberOf('9007199254740993'), 9007199254740992)
  assert.equal(numberOf(null), undefined)
  assert.equal(numberOf('NaN'), undefined)
})

test('marks of a chart in the file of a report have the date of each day that they stand in', () => {
  const [minuteMs, hourMs] = [60_000, 3_600_000]
  const fromMs = Date.UTC(2026, 10, 24)
  for (const [bucketMs, count, marks] of [
    [minuteMs, 60, ['24 Nov 00:00', '00:15', '00:30', '00:45']],
    [hourMs, 24, ['24 Nov 00:00', '06:00', '12:00', '18:00']],
    [3 * hourMs, 56, ['24 Nov 00:00', '25 Nov 18:00', '27 Nov 12:00', '29 Nov 06:00']],
    // Marks are at quarters of the time, also between buckets.
    [24 * hourMs, 30, ['24 Nov 00:00', '1 Dec 12:00', '9 Dec 00:00', '16 Dec 12:00']],
  ] as const) {
    const chart = { title: 'Records', kind: 'bars', fromMs, bucketMs } as const
    const series = { name: 'LOG', color: 'LOG', isDashed: false, values: Array<number>(count).fill(1) }
    const times = chartPlot(chart, [series], String).split('<div class="times">')[1]!
    assert.deepEqual(
      Array.from(times.matchAll(/<span>(.*?)<\/span>/g), ([, text]) => text),
      marks,
    )
  }
})

test('a section with nothing but what was before is no section in which nothing was logged', () => {
  const section = { id: 'errors', title: 'Errors', notes: [], tables: [] } as const
  const figure = { id: 'errors', label: 'Errors', unit: 'count', values: [0], before: [400] } as const
  const series = [{ name: 'ERROR', server: 'primary', values: [0, 0], before: [150, 250] }]
  const chart = {
    id: 'errors',
    title: 'By severity',
    unit: 'count',
    kind: 'bars',
    fromMs: 0,
    bucketMs: 1,
    series,
  } as const
  for (const [figures, charts, shown] of [
    [[figure], [], '<td class="before">400</td>'],
    [[], [chart], 'ERROR, before'],
  ] as const) {
    const html = reportHtml({ ...emptyReport, sections: [{ ...section, figures, charts }] })
    assert.ok(html.includes(shown), shown)
    assert.doesNotMatch(html, /Nothing of this was logged/)
  }
  const nothing = { ...figure, before: [0] }
  const html = reportHtml({ ...emptyReport, sections: [{ ...section, figures: [nothing], charts: [] }] })
  assert.match(html, /Nothing of this was logged/)
})

test('the report as a file has the colors of the page', () => {
  const tokens = readFileSync(new URL('../../../src/page/ui/styles/tokens.css', import.meta.url), 'utf8')
  const html = reportHtml(emptyReport)
  const pairs = [...tokens.matchAll(/--(?:series-[1-8]|level-\w+): (light-dark\(.*\));/g)]
  assert.equal(pairs.length, 16)
  for (const [line, pair] of pairs) assert.ok(html.includes(pair!), line)
})
