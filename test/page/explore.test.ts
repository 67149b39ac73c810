import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type {
  Facets,
  Histogram,
  LiveEvents,
  RecordDetails,
  RecordPage,
  RecordRow,
  RejectList,
  TableCatalog,
} from '../../src/page/api.ts'
import { withOlder } from '../../src/page/ui/explore/older-counts.ts'
import { landAll, openBench } from '../commands/command-fixture.ts'
import { linesAsBytes } from '../support/log-lines.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { type ServedPage, servePage } from './served-page.ts'

const start = Date.UTC(2026, 10, 24, 9)
const servers = ['primary', 'replica'] as const
/** Of each server; a prime, so that sessions, users and severities meet in all ways. */
const count = 997

interface Line {
  readonly atMs: number
  readonly message: string
  readonly severity: string
  readonly user: string
  readonly session: string
  readonly number: number
}

const severities = ['LOG', 'LOG', 'LOG', 'ERROR', 'FEHLER', 'WARNING', 'LOG']
const messages = [
  'duration: 1.500 ms  statement: select 1',
  'deadlock detected',
  'fine',
  'Größe <b>100%</b>',
  'a_b',
]

function lineOf(number: number, offsetMs: number): Line {
  return {
    number,
    atMs: start + offsetMs + number * 7_000,
    message: `${messages[number % messages.length]} #${number}`,
    severity: severities[number % severities.length]!,
    user: `user ${number % 3}`,
    session: `s${number % 11}`,
  }
}

function jsonOf({ atMs, message, severity, user, session, number }: Line): string {
  const time = new Date(atMs).toISOString()
  return JSON.stringify({
    timestamp: `${time.slice(0, 10)} ${time.slice(11, 23)} UTC`,
    user,
    dbname: 'shop',
    pid: 7,
    session_id: session,
    line_num: number + 1,
    error_severity: severity,
    message,
    backend_type: 'client backend',
  })
}

const lines = Object.fromEntries(
  servers.map((name, index) => [
    name,
    Array.from({ length: count }, (_, number) => lineOf(number, index * 400)),
  ]),
) as Record<(typeof servers)[number], Line[]>
const all = [...lines.primary, ...lines.replica]

const hooks = sharedHooks()
const bench = await openBench(hooks)
// In two parts, so that each table has several files; and a line that is no record.
for (const part of ['first', 'second'] as const) {
  for (const name of servers) {
    const texts =
      part === 'first'
        ? lines[name].slice(0, 500).map(jsonOf)
        : [...lines[name].slice(500).map(jsonOf), 'no <i>record</i>']
    await bench.storage.append(name, linesAsBytes(texts))
  }
  await landAll(bench.config({ primary: {}, replica: {} }))
}
const page = await servePage(hooks, bench.config({ primary: {}, replica: {}, later: {} }))

const isError = ({ severity }: Line): boolean => severity === 'ERROR' || severity === 'FEHLER'

test('a histogram counts every record of the filter in its bucket, severities of all languages together', async () => {
  const histogram = await wholeHistogram('buckets=30')
  assert.equal(histogram.total, all.length)
  assert.ok(histogram.buckets <= 30)
  assert.deepEqual(
    histogram.series.map(({ name }) => name),
    ['ERROR', 'WARNING', 'LOG'],
  )
  const errors = histogram.series[0]!.counts
  for (const [bucket, counted] of errors.entries()) {
    const fromMs = histogram.fromMs + bucket * histogram.bucketMs
    const expected = all.filter(
      (line) => isError(line) && line.atMs >= fromMs && line.atMs < fromMs + histogram.bucketMs,
    )
    assert.equal(counted, expected.length, `bucket ${bucket}`)
  }
})

test('a histogram of a part reads the files of that part only', async () => {
  const fromMs = start + 600 * 7_000
  const { total, files, filesRead } = await wholeHistogram(`fromMs=${fromMs}`)
  assert.equal(total, all.filter(({ atMs }) => atMs >= fromMs).length)
  assert.ok(filesRead < files, `${filesRead} of ${files}`)
})

/** A histogram with all of its continuations. */
async function wholeHistogram(query: string, served: ServedPage = page): Promise<Histogram> {
  let whole = await served.json<Histogram>(`/api/histogram?${query}`)
  while (whole.next !== undefined)
    whole = withOlder(whole, await served.json(`/api/histogram?${query}&before=${whole.next}`))
  return whole
}

test('kept counts and statements give the numbers of the records themselves, for any range, filter and length of buckets', {
  timeout: 120_000,
}, async () => {
  const last = Math.max(...all.map(({ atMs }) => atMs))
  const instant = fc.integer({ min: start - 100_000, max: last + 100_000 })
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(instant, instant).filter(([one, other]) => one !== other),
      fc.integer({ min: 1, max: 200 }),
      fc.constantFrom(...(['severity', 'server', 'event'] as const)),
      fc.subarray(['ERROR', 'WARNING', 'LOG'], { maxLength: 2 }),
      // Counts are kept without users, so such a filter takes another way.
      fc.subarray(['user 1', 'user 2'], { maxLength: 1 }),
      async (ends, buckets, by, levels, users) => {
        const [fromMs, toMs] = ends.toSorted((a, b) => a - b) as [number, number]
        const query = new URLSearchParams([
          ...Object.entries({ fromMs, toMs, buckets, by }).map(([name, value]) => [name, String(value)]),
          ...levels.map((level) => ['severity', level]),
          ...users.map((user) => ['user', user]),
        ])
        const { series, bucketMs, total, ...histogram } = await wholeHistogram(String(query))
        const levelOf = (line: Line): string => (isError(line) ? 'ERROR' : line.severity)
        const expected = all.filter(
          (line) =>
            line.atMs >= fromMs &&
            line.atMs < toMs &&
            (levels.length === 0 || levels.includes(levelOf(line))) &&
            (users.length === 0 || users.includes(line.user)),
        )
        assert.equal(total, expected.length)
        const inBuckets = Array.from({ length: histogram.buckets }, () => 0)
        for (const { atMs } of expected) inBuckets[Math.floor((atMs - histogram.fromMs) / bucketMs)]! += 1
        assert.deepEqual(
          inBuckets.map((_, bucket) => series.reduce((sum, { counts }) => sum + counts[bucket]!, 0)),
          inBuckets,
        )
        if (by !== 'severity') return
        for (const { name, counts } of series)
          assert.equal(
            counts.reduce((sum, one) => sum + one, 0),
            expected.filter((line) => levelOf(line) === name).length,
          )
      },
    ),
    { numRuns: 20 },
  )
})

test('the next process reads no data file for a histogram that an earlier one has counted, unless its counts are damaged', async () => {
  await wholeHistogram('')
  const config = bench.config({ primary: {}, replica: {} })
  const filesRead = async (): Promise<number> => {
    const { filesRead: read, total } = await wholeHistogram('', await servePage(hooks, config))
    assert.equal(total, all.length)
    return read
  }
  assert.equal(await filesRead(), 0)
  const directory = join(config.stateDirectory, 'page-counts')
  for (const name of await readdir(directory)) await writeFile(join(directory, name), 'damaged')
  assert.ok((await filesRead()) > 0)
})

async function everyPage(query: string): Promise<RecordRow[]> {
  const records: RecordRow[] = []
  for (let before: string | undefined; ; ) {
    const cursor: string = before === undefined ? '' : `&before=${before}`
    const reply: RecordPage = await page.json(`/api/records?${query}${cursor}`)
    records.push(...reply.records)
    if (reply.next === undefined) return records
    before = reply.next
  }
}

test('pages of records have every record of the filter once, newest first', async () => {
  const pages = await everyPage('limit=450')
  // Rejected lines have no time, so they come last.
  const records = pages.slice(0, all.length)
  assert.deepEqual(
    pages.slice(all.length).map(({ table, status, atMs }) => [table, status, atMs]),
    servers.map((server) => [server, 'rejected', null]),
  )
  const keys = records.map(({ table, blob, generation, offset, index }) =>
    [table, blob, generation, offset, index].join(' '),
  )
  assert.equal(new Set(keys).size, all.length)
  const times = records.map(({ atMs }) => atMs!)
  assert.deepEqual(
    times,
    times.toSorted((a, b) => b - a),
  )
})

test('records of one instant are divided between pages without a loss', async () => {
  const fromMs = start + 14_000
  const records = await everyPage(`limit=1&fromMs=${fromMs}&toMs=${fromMs + 500}`)
  assert.deepEqual(records.map(({ table }) => table).sort(), ['primary', 'replica'])
})

test('a search finds a rejected line by its text, as tailrace search does, but not in a range of time', async () => {
  const found = await everyPage('limit=1&q=NO%20<i>RECORD')
  assert.deepEqual(
    found.map(({ table, message }) => [table, message]),
    servers.map((server) => [server, 'no <i>record</i>']),
  )
  assert.deepEqual(await everyPage(`limit=1&q=no%20<i>record&fromMs=${start}`), [])
  // The line of a record that was accepted is not searched: its columns say all of it.
  assert.deepEqual(await everyPage('limit=1&q=error_severity'), [])
})

test('each field of a filter selects, and all of them together', async () => {
  const texts = async (query: string): Promise<(string | null)[]> =>
    (await everyPage(`limit=1000&${query}`)).map(({ message }) => message).sort()
  const expected = (test: (line: Line) => boolean): string[] =>
    all
      .filter(test)
      .map(({ message }) => message)
      .sort()
  assert.deepEqual(await texts('severity=ERROR'), expected(isError))
  assert.deepEqual(
    await texts('severity=FEHLER&user=user%201'),
    expected((one) => one.severity === 'FEHLER' && one.user === 'user 1'),
  )
  assert.deepEqual(
    await texts('user=user%200&user=user%202'),
    expected(({ user }) => user !== 'user 1'),
  )
  assert.deepEqual(
    await texts('session=s4'),
    expected(({ session }) => session === 's4'),
  )
  assert.deepEqual(
    await texts('table=replica&database=shop'),
    lines.replica.map(({ message }) => message).sort(),
  )
  assert.deepEqual(await texts('database=other'), [])
  assert.deepEqual(
    await texts('event=duration'),
    expected(({ message }) => message.startsWith('duration')),
  )
  assert.deepEqual(
    await texts('q=100%25'),
    expected(({ message }) => message.includes('100%')),
  )
  assert.deepEqual(
    await texts('q=A_B'),
    expected(({ message }) => message.includes('a_b')),
  )
  assert.deepEqual(await texts(`q=${encodeURIComponent("it's")}`), [])
})

test('the event of a record is that of the view log_events', async () => {
  // Rejected lines are in no view.
  const records = (await everyPage('limit=1000')).filter(({ status }) => status !== 'rejected')
  const counts = new Map<string, number>()
  for (const { event } of records) counts.set(String(event), (counts.get(String(event)) ?? 0) + 1)
  const response = await page.fetch('/api/sql', {
    method: 'POST',
    body: JSON.stringify({ id: 'events', sql: 'SELECT event, count(*)::INTEGER FROM log_events GROUP BY 1' }),
  })
  const { rows } = (await response.json()) as { rows: [string | null, number][] }
  assert.deepEqual([...counts].sort(), rows.map(([event, n]): [string, number] => [String(event), n]).sort())
})

test('facets count the values of a field without the selection in that field', async () => {
  const facets = await page.json<Facets>('/api/facets?severity=WARNING&user=user%201')
  assert.equal(facets.countedFromMs, undefined)
  const ofUser = all.filter(({ user }) => user === 'user 1')
  assert.deepEqual(
    new Map(facets.severity.map(({ value, count: n }) => [value, n])),
    new Map(
      [...new Set(severities)].map((name) => [
        name,
        ofUser.filter(({ severity }) => severity === name).length,
      ]),
    ),
  )
  const warnings = all.filter(({ severity }) => severity === 'WARNING')
  assert.deepEqual(
    new Map(facets.user.map(({ value, count: n }) => [value, n])),
    new Map([0, 1, 2].map((n) => [`user ${n}`, warnings.filter(({ user }) => user === `user ${n}`).length])),
  )
})

test('a record has all its columns, and its session before and after it in order', async () => {
  const [record] = (await page.json<RecordPage>(`/api/records?table=primary&q=%23500&limit=1`)).records
  const { table, blob, generation, offset, index } = record!
  const place = `table=${table}&blob=${blob}&generation=${generation}&offset=${offset}&index=${index}`
  const details = await page.json<RecordDetails>(`/api/record?${place}&around=2`)
  assert.equal(details.columns.message, lines.primary[500]!.message)
  assert.ok(String(details.columns.raw).includes('client backend'))
  const session = lines.primary.filter((line) => line.session === lines.primary[500]!.session)
  const at = session.findIndex(({ number }) => number === 500)
  const messagesOf = (some: readonly RecordRow[]) => some.map(({ message }) => message)
  assert.deepEqual(
    messagesOf(details.before),
    session.slice(at - 2, at).map(({ message }) => message),
  )
  assert.deepEqual(
    messagesOf(details.after),
    session.slice(at + 1, at + 3).map(({ message }) => message),
  )
  const length = Number(details.columns.source_length)
  assert.equal(
    details.replayCommand,
    `tailrace replay --pipeline primary --blob ${blob} --from ${offset} --to ${offset + length}`,
  )
})

test('rejected rows are listed with their raw line, place and command', async () => {
  const { rejects } = await page.json<RejectList>('/api/rejects')
  assert.deepEqual(
    rejects.map(({ raw }) => raw),
    ['no <i>record</i>', 'no <i>record</i>'],
  )
  assert.deepEqual(rejects.map(({ table }) => table).sort(), ['primary', 'replica'])
  assert.match(rejects[0]!.replayCommand, /^tailrace replay --pipeline \w+ --blob \S+ --from \d+ --to \d+$/)
})

test('the catalog has tables that exist and that do not, views, columns and functions', async () => {
  const { logs, relations, functions } = await page.json<TableCatalog>('/api/tables')
  assert.deepEqual(
    logs.map(({ id, exists, rows }) => [id, exists, rows]),
    [
      ['primary', true, count + 1],
      ['replica', true, count + 1],
      ['later', false, undefined],
    ],
  )
  const views = relations.filter(({ kind }) => kind === 'view').map(({ name }) => name)
  assert.ok(views.includes('statements') && views.includes('log_events'))
  assert.ok(relations.find(({ name }) => name === 'test.logs.primary')!.columns.length > 20)
  assert.ok(functions.includes('normalize_sql') && functions.includes('date_trunc'))
})

test('wrong parameters are refused with the parameter, the value found and the expected one', async () => {
  for (const [path, message] of [
    ['/api/histogram?buckets=0', 'buckets: found "0", expected a whole number from 1 to 500.'],
    ['/api/histogram?by=color', 'by: found "color", expected one of severity, server, event.'],
    ['/api/records?fromMs=5&toMs=4', 'toMs: found 4, expected more than fromMs, 5.'],
    ['/api/records?table=nowhere', 'No table "nowhere"; there are: primary, replica, later.'],
    ['/api/records?before=e30', 'before: found no cursor of an earlier page.'],
    ['/api/histogram?before=e30', 'before: found no cursor of an earlier histogram.'],
    ['/api/record?table=primary', 'offset: found nothing, expected a value.'],
    ['/api/sql/export?sql=select+1', 'format: found nothing, expected one of csv, json, parquet.'],
  ] as const) {
    const response = await page.fetch(path)
    const { error } = (await response.json()) as { error: { message: string; hint: string } }
    assert.equal(error.message, message)
    assert.equal(response.status, 400)
    assert.notEqual(error.hint, '')
  }
})

test('records that land are sent to those who follow their filter', { timeout: 60_000 }, async () => {
  const ending = new AbortController()
  const response = await page.fetch('/api/live?records=1&severity=FATAL', { signal: ending.signal })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  let text = ''
  let hasWritten = false
  let found: LiveEvents['records'] | undefined
  for await (const part of response.body!) {
    text += Buffer.from(part).toString()
    const events = text.split('\n\n')
    // The first look only notes what is there.
    if (events.filter((one) => one.startsWith('event: operate')).length >= 3 && !hasWritten) {
      hasWritten = true
      const fresh = [
        lineOf(2_000, 0),
        { ...lineOf(2_001, 0), severity: 'FATAL', message: 'the end <script>' },
      ]
      await bench.storage.append('primary', linesAsBytes(fresh.map(jsonOf)))
      await landAll(bench.config({ primary: {} }))
    }
    // The first event has no records: it only tells that the following has begun.
    const [, records] = events.filter((one) => one.startsWith('event: records') && one.includes('\ndata: '))
    if (records !== undefined && events.indexOf(records) < events.length - 1) {
      found = JSON.parse(records.slice(records.indexOf('data: ') + 6)) as LiveEvents['records']
      break
    }
  }
  ending.abort()
  assert.deepEqual(
    found?.records.map(({ message }) => message),
    ['the end <script>'],
  )
})
