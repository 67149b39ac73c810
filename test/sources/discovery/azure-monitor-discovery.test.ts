import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import {
  AzureMonitorDiscovery,
  type AzureMonitorDiscoveryOptions,
} from '../../../src/sources/discovery/azure-monitor-discovery.ts'
import { maxIntervalMs } from '../../../src/sources/discovery/watched-days.ts'
import { VirtualClock } from '../../streams/virtual-clock.ts'
import { ListedContainer, namesOf } from './listed-container.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const interval = 30_000
const watchMs = 48 * hour

const id =
  '/subscriptions/0a0a/resourceGroups/rg-Logs/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-one'
const folder = `resourceId=${id.toUpperCase()}/`

function at(text: string): number {
  return Date.parse(`${text}Z`)
}

function pathOf(ms: number): string {
  const [date = '', time = ''] = new Date(ms).toISOString().split('T')
  const [year, month, dayOfMonth] = date.split('-')
  return `y=${year}/m=${month}/d=${dayOfMonth}/h=${time.slice(0, 2)}/m=00/PT1H.json`
}

const hourName = (ms: number, under = folder): string => under + pathOf(ms)
const dayPrefix = (text: string, under = folder): string => {
  const [year, month, dayOfMonth] = text.split('-')
  return `${under}y=${year}/m=${month}/d=${dayOfMonth}/`
}

function discovery(
  reader: BlobReader,
  options: Partial<AzureMonitorDiscoveryOptions> = {},
): AzureMonitorDiscovery {
  return new AzureMonitorDiscovery(id, { reader, startTimeMs: undefined, watchMs, ...options })
}

/** A container whose server has written every hour from one instant to another. */
function written(from: number, to: number, under = folder): ListedContainer {
  const reader = new ListedContainer()
  for (let start = from; start <= to; start += hour)
    reader.put(hourName(start, under), Math.min(start + hour, to))
  return reader
}

/** The prefixes of one look. */
/** After the longest interval, every day that is kept in memory is due: the scan lists each of them, and no other one. */
async function requireWatchedDays(
  reader: ListedContainer,
  looked: AzureMonitorDiscovery,
  nowMs: number,
): Promise<void> {
  // The scan before may be the daily one of everything.
  await namesOf(looked.scan(nowMs, {}))
  const days = await prefixesOf(reader, looked, nowMs + maxIntervalMs)
  assert.ok(
    days.every((prefix) => /\/d=\d\d\/$/.test(prefix)),
    days.join(),
  )
  assert.ok(days.length >= 2 && days.length <= 4, `${days.length} days`)
}

async function prefixesOf(
  reader: ListedContainer,
  looked: AzureMonitorDiscovery,
  nowMs: number,
): Promise<string[]> {
  reader.takePrefixes()
  await namesOf(looked.scan(nowMs, {}))
  const prefixes = reader.takePrefixes()
  assert.equal(looked.lastScanRequests, prefixes.length)
  return prefixes
}

test('the first look walks to the folder and lists all there is in one go, oldest first', async () => {
  const now = at('2026-11-24T12:10:00')
  const reader = written(now - 100 * day, now)
  reader.put('resourceId=/SUBSCRIPTIONS/0A0A/RESOURCEGROUPS/OTHER/x', now)
  reader.put('unrelated.json', now)
  const looked = discovery(reader)
  const names = await namesOf(looked.scan(now, {}))
  assert.equal(names.length, 100 * 24 + 1)
  assert.deepEqual(names, names.toSorted())
  assert.equal(looked.described, `logs/${folder}`)
  assert.deepEqual(reader.takePrefixes(), [
    'R',
    'r',
    ...Array.from(
      { length: 9 },
      (_, depth) =>
        `${folder
          .split('/')
          .slice(0, depth + 1)
          .join('/')}/`,
    ),
  ])
  assert.equal(looked.lastScanRequests, 11)
})

test('in the middle of a day a look is one request, and a new hour is found at the next one', async () => {
  const now = at('2026-11-24T12:59:40')
  const reader = written(now - 10 * day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  assert.deepEqual(await prefixesOf(reader, looked, now + interval), [dayPrefix('2026-11-24')])
  reader.put(hourName(at('2026-11-24T13:00:00')), now + 50_000)
  const names = await namesOf(looked.scan(now + 2 * interval, {}))
  assert.ok(names.includes(hourName(at('2026-11-24T13:00:00'))))
  assert.equal(names.length, 14)
})

test('around midnight, a month and a year change with their days at hand, and both days stay watched', async () => {
  for (const midnight of [at('2026-11-24T00:00:00'), at('2026-12-01T00:00:00'), at('2027-01-01T00:00:00')]) {
    const [before = '', after = ''] = [midnight - day, midnight].map((ms) =>
      new Date(ms).toISOString().slice(0, 10),
    )
    const reader = written(midnight - 3 * day, midnight - 20 * minute)
    const looked = discovery(reader)
    await namesOf(looked.scan(midnight - 20 * minute, {}))
    const today = dayPrefix(before)
    const tomorrow = dayPrefix(after)
    assert.deepEqual(await prefixesOf(reader, looked, midnight - 16 * minute), [today])
    assert.deepEqual(await prefixesOf(reader, looked, midnight - 14 * minute), [today, tomorrow])
    // The server's clock is ahead: its new day begins while ours has ten minutes to go.
    reader.put(hourName(midnight), midnight - 10 * minute)
    assert.ok((await namesOf(looked.scan(midnight - 9 * minute, {}))).includes(hourName(midnight)))
    assert.deepEqual(await prefixesOf(reader, looked, midnight + minute), [today, tomorrow])
    // What the last hour of the day before receives after midnight is seen within the interval.
    reader.put(hourName(midnight - hour), midnight + 2 * minute, 500)
    const seen = []
    for await (const blob of looked.scan(midnight + 2 * minute + interval, {})) seen.push(blob)
    assert.equal(seen.find(({ name }) => name === hourName(midnight - hour))?.bytes, 500)
  }
})

test('the last hour of a day without any other is found after midnight, even by a run that begins then', async () => {
  const midnight = at('2026-11-24T00:00:00')
  for (const begin of [midnight - interval, midnight + interval]) {
    const reader = written(midnight - 20 * day, midnight - 10 * day)
    const looked = discovery(reader)
    await namesOf(looked.scan(begin, {}))
    reader.put(hourName(midnight - hour), begin + minute)
    assert.ok((await namesOf(looked.scan(begin + 2 * minute, {}))).includes(hourName(midnight - hour)))
  }
})

test('days after the newest hour are not forgotten while nothing is written', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = written(now - 3 * day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  for (let ms = now + interval; ms < now + 5 * day; ms += hour) await namesOf(looked.scan(ms, {}))
  const resumed = now + 5 * day - 20 * minute
  // The day of the newest known hour stays, whatever its age.
  for (const ms of [resumed, resumed + interval]) {
    assert.ok((await prefixesOf(reader, looked, ms)).includes(dayPrefix('2026-11-24')))
  }
  reader.put(hourName(resumed), resumed)
  assert.ok((await namesOf(looked.scan(resumed + 2 * interval, {}))).includes(hourName(resumed)))
})

test('sixty days cost little more than a request a look, and memory for no more days than are watched', async () => {
  const begin = at('2026-11-24T12:00:10')
  const end = begin + 60 * day
  const reader = written(begin - 30 * day, begin)
  const looked = discovery(reader)
  const seen = new Set<string>()
  let appended = begin
  const look = async (now: number): Promise<number> => {
    // A new hour's blob appears as it begins; the one before receives its rest five minutes later.
    for (; appended < now; appended += interval) {
      const sinceHour = appended % hour
      if (sinceHour < interval) reader.put(hourName(appended), appended)
      else if (sinceHour >= 5 * minute && sinceHour < 5 * minute + interval) {
        reader.put(hourName(appended - hour), appended, 200)
      }
    }
    for await (const { name } of looked.scan(now, {})) seen.add(name)
    assert.ok(seen.has(hourName(now - interval)), `${hourName(now)} is not found within its interval`)
    return looked.lastScanRequests
  }
  for (let now = begin; now < end - day; now += 10 * minute) await look(now)
  const costs = []
  for (let now = end - day; now < end; now += interval) costs.push(await look(now))

  assert.equal(seen.size, 90 * 24)
  // A request for each of 2,880 looks; in that day 60 more around midnight, 200 for older days, a walk of 11.
  const requests = costs.reduce((sum, one) => sum + one)
  assert.equal(costs.length, 2_880)
  assert.ok(requests > 3_000 && requests < 3_200, `${requests} requests a day`)
  assert.ok(Math.max(...costs) <= 12, `${Math.max(...costs)} requests in one look`)
  assert.equal(costs.toSorted((a, b) => a - b)[1_440], 1)
  await requireWatchedDays(reader, looked, end)
})

test('an hour that grows for five days stays watched all the time, and is closed two days after its last growth', async () => {
  const begin = at('2026-11-20T12:00:00')
  const late = hourName(at('2026-11-20T11:00:00'))
  const reader = written(begin - 3 * day, begin)
  const looked = discovery(reader)
  let bytes = 100
  let lastSeen = begin
  let longestGap = 0
  let growth = { atMs: begin, bytes }
  for (let now = begin; now < begin + 10 * day; now += 2 * minute) {
    const start = Math.floor(now / hour) * hour
    if (now === start) reader.put(hourName(start), now)
    // A few appends a day, with up to nine hours between them.
    if (now < begin + 5 * day && (now - begin) % (9 * hour) === 0) {
      bytes += 1
      reader.put(late, now, bytes)
      growth = { atMs: now, bytes }
    }
    for await (const blob of looked.scan(now, {})) {
      if (blob.name !== late) continue
      if (growth.atMs > lastSeen && blob.bytes === growth.bytes)
        longestGap = Math.max(longestGap, now - growth.atMs)
      lastSeen = now
    }
  }
  assert.ok(longestGap <= 32 * minute, `${longestGap / minute} minutes`)
  assert.ok(longestGap > 0)
  const prefixes = new Map<string, number>()
  for (const { prefix } of reader.requests.slice(-2 * 720))
    prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1)
  assert.equal(prefixes.get(dayPrefix('2026-11-20')), undefined)
})

test('a closed hour that grows again is found by the next look at everything, and is watched again', async () => {
  const begin = at('2026-11-24T12:00:00')
  const old = hourName(at('2026-11-01T05:00:00'))
  const reader = written(begin - 30 * day, begin)
  const looked = discovery(reader)
  await namesOf(looked.scan(begin, {}))
  reader.put(old, begin + minute, 900)
  for (let now = begin + interval; now < begin + day; now += hour) {
    assert.ok(!(await namesOf(looked.scan(now, {}))).includes(old))
  }
  assert.ok((await namesOf(looked.scan(begin + day, {}))).includes(old))
  assert.ok((await prefixesOf(reader, looked, begin + day + 30 * minute)).includes(dayPrefix('2026-11-01')))
})

test('older days are looked at ever more rarely: each look waits a 24th of the quiet time, 30 minutes at most', async () => {
  const midnight = at('2026-11-24T00:00:00')
  const reader = written(midnight - day, midnight)
  const looked = discovery(reader)
  const gaps: [quietMs: number, gapMs: number][] = []
  let last = midnight
  await namesOf(looked.scan(midnight, {}))
  for (let now = midnight + interval; now < midnight + 2 * day; now += interval) {
    reader.put(hourName(Math.floor(now / hour) * hour), now)
    const prefixes = await prefixesOf(reader, looked, now)
    if (prefixes.includes(dayPrefix('2026-11-23'))) gaps.push([now - midnight, now - last])
    else if (!prefixes.includes('R')) continue
    last = now
  }
  for (const [quietMs, gapMs] of gaps) {
    assert.ok(
      gapMs <= Math.max(interval, Math.min(30 * minute, quietMs / 24) + interval),
      `${quietMs}: ${gapMs}`,
    )
    if (quietMs > 13 * hour) assert.ok(gapMs >= 29 * minute, `${quietMs}: ${gapMs}`)
  }
  assert.ok(gaps.length > 150 && gaps.length < 260, `${gaps.length} looks`)
  assert.ok(!(await prefixesOf(reader, looked, midnight + 2 * day)).includes(dayPrefix('2026-11-23')))
})

test('the resource is found in any case, under both roots, and below folders of other cases', async () => {
  const now = at('2026-11-24T12:00:00')
  const mixed = `ResourceId=${id}/`
  const reader = written(now - hour, now)
  for (const ms of [now - hour, now]) reader.put(hourName(ms, mixed), now)
  // Another server whose name begins alike.
  reader.put(hourName(now, `${folder.slice(0, -1)}2/`), now)
  const looked = new AzureMonitorDiscovery(id.replace('pg-one', 'PG-One'), {
    reader,
    startTimeMs: undefined,
    watchMs,
  })
  const names = await namesOf(looked.scan(now, {}))
  assert.deepEqual(
    names,
    [mixed, folder].flatMap((one) => [hourName(now - hour, one), hourName(now, one)]),
  )
  assert.equal(looked.described, `logs/${mixed} and logs/${folder}`)
  assert.deepEqual(await prefixesOf(reader, looked, now + interval), [
    dayPrefix('2026-11-24', mixed),
    dayPrefix('2026-11-24', folder),
  ])
})

test('while the container or the resource is missing every look searches anew, and finds it when it is there', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = new ListedContainer()
  reader.exists = false
  const looked = discovery(reader)
  assert.equal(looked.described, `logs/${folder}`)
  await assert.rejects(namesOf(looked.scan(now, {})), (error) => isTailraceError(error, 'SOURCE_MISSING'))
  reader.exists = true
  assert.deepEqual(await prefixesOf(reader, looked, now + interval), ['R', 'r'])
  reader.put('resourceId=/SUBSCRIPTIONS/0A0A/RESOURCEGROUPS/OTHER/x', now)
  assert.equal((await prefixesOf(reader, looked, now + 2 * interval)).length, 6)
  reader.put(hourName(now), now)
  assert.deepEqual(await namesOf(looked.scan(now + 3 * interval, {})), [hourName(now)])
  assert.deepEqual(await prefixesOf(reader, looked, now + 4 * interval), [dayPrefix('2026-11-24')])
})

test('names of another layout are left out and told once, with their count', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = written(now - hour, now)
  const deeper = `${folder}y=2026/m=11/d=24/h=11/m=00/macAddress=00224F/PT1H.json`
  const others = [
    `${folder}y=2026/m=02/d=31/h=11/m=00/PT1H.json`,
    `${folder}y=2026/m=11/d=24/h=11/m=00/PT1H.json.gz`,
    `${folder}y=2026/m=11/d=24/h=11/m=05/PT1H.json`,
    `${folder}y=2026/m=11/d=24/h=24/m=00/PT1H.json`,
    `${folder}notes.txt`,
  ]
  for (const name of [deeper, ...others]) reader.put(name, now)
  const told: unknown[] = []
  const looked = discovery(reader, { onSkipped: (skipped) => told.push(skipped) })
  for (const ms of [now, now + interval, now + day, now + 2 * day]) {
    assert.deepEqual(
      (await namesOf(looked.scan(ms, {}))).filter((name) => others.includes(name)),
      [],
    )
  }
  assert.ok((await namesOf(looked.scan(now + 3 * day, {}))).includes(deeper))
  assert.deepEqual(told, [{ count: 5, firstName: `${folder}notes.txt` }])
})

test('a start leaves out the hours before its hour, and lists only the years from its own on', async () => {
  const now = at('2027-01-02T12:00:00')
  const start = at('2026-12-30T22:40:00')
  const reader = new ListedContainer()
  for (let ms = at('2025-12-30T00:00:00'); ms <= now; ms += hour) reader.put(hourName(ms), now)
  const looked = discovery(reader, { startTimeMs: start })
  const names = await namesOf(looked.scan(now, {}))
  assert.equal(names[0], hourName(at('2026-12-30T22:00:00')))
  assert.equal(names.length, 2 + 24 + 24 + 13)
  assert.deepEqual(reader.takePrefixes().slice(10), [
    folder,
    `${folder}y=2026/`,
    `${folder}y=2026/`,
    `${folder}y=2027/`,
  ])
  for (const later of [now + interval, now + hour]) {
    const prefixes = await prefixesOf(reader, looked, later)
    assert.ok(prefixes.includes(dayPrefix('2026-12-31')) && !prefixes.includes(dayPrefix('2026-12-29')))
  }
})

test('a look that fails or is left half-way has not taken place', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = written(now - 300 * day, now)
  const looked = discovery(reader)
  const denied = new TailraceError('SOURCE_DENIED', 'scripted')
  reader.faults.push(...Array.from({ length: 11 }, () => undefined), denied)
  const names: string[] = []
  await assert.rejects(
    (async () => {
      for await (const { name } of looked.scan(now, {})) names.push(name)
    })(),
    denied,
  )
  assert.equal(names.length, 5_000)
  assert.equal((await namesOf(looked.scan(now + interval, {}))).length, 300 * 24 + 1)
  // The day before is due; a look that ends before it leaves it due.
  const later = now + interval + hour
  for await (const _blob of looked.scan(later, {})) break
  assert.ok((await prefixesOf(reader, looked, later)).includes(dayPrefix('2026-11-23')))
})

test('a page that fails for now is asked for again', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = written(now - day, now)
  const unavailable = new TailraceError('SOURCE_UNAVAILABLE', 'scripted')
  reader.faults.push(unavailable, undefined, unavailable, unavailable)
  const looked = discovery(reader)
  assert.equal((await namesOf(looked.scan(now, { clock: new VirtualClock() }))).length, 25)
  assert.equal(looked.lastScanRequests, 14)
})

test('hours of a long downtime are all told by the look that follows it', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = written(now - day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  await namesOf(looked.scan(now + interval, {}))
  const back = now + 6 * day
  const missed: string[] = []
  for (let ms = now + hour; ms <= back; ms += hour) {
    missed.push(hourName(ms))
    reader.put(hourName(ms), ms)
  }
  const names = new Set(await namesOf(looked.scan(back, {})))
  assert.deepEqual(
    missed.filter((name) => !names.has(name)),
    [],
  )
})

test('a history that was copied to the account today is watched in few requests', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = new ListedContainer()
  for (let ms = now - 365 * day; ms <= now; ms += hour) reader.put(hourName(ms), now - minute)
  const looked = discovery(reader)
  for (let ms = now; ms < now + 4 * day; ms += 3 * hour) {
    await namesOf(looked.scan(ms, {}))
    assert.ok(looked.lastScanRequests <= 12, `${looked.lastScanRequests} requests`)
  }
  await requireWatchedDays(reader, looked, now + 4 * day)
})
