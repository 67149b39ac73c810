import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import type { BlobReader } from '../../../src/sources/blob-reader.ts'
import {
  AzureMonitorDiscovery,
  type AzureMonitorDiscoveryOptions,
} from '../../../src/sources/discovery/azure-monitor-discovery.ts'
import { VirtualClock } from '../../streams/virtual-clock.ts'
import { ListedContainer, namesOf } from './listed-container.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const interval = 30_000
const watchMs = 48 * hour
const listMs = hour

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
  return new AzureMonitorDiscovery([id], { reader, startTimeMs: undefined, watchMs, listMs, ...options })
}

/** A container whose server has written every hour from one instant to another. */
function written(from: number, to: number, under = folder): ListedContainer {
  const reader = new ListedContainer()
  for (let start = from; start <= to; start += hour)
    reader.put(hourName(start, under), Math.min(start + hour, to))
  return reader
}

/** Every day that is kept in memory is due after a pause: the scan lists each of them, and no other one. */
async function requireWatchedDays(
  reader: ListedContainer,
  looked: AzureMonitorDiscovery,
  nowMs: number,
): Promise<void> {
  // The scan before may be the daily one of everything.
  await namesOf(looked.scan(nowMs, {}))
  const days = await prefixesOf(reader, looked, nowMs + listMs)
  assert.ok(
    days.every((prefix) => /\/d=\d\d\/$/.test(prefix)),
    days.join(),
  )
  assert.ok(days.length >= 2 && days.length <= 4, `${days.length} days`)
}

/** The prefixes that one scan lists. */
async function prefixesOf(
  reader: ListedContainer,
  looked: AzureMonitorDiscovery,
  nowMs: number,
): Promise<string[]> {
  return (await requestsOf(reader, looked, nowMs)).prefixes
}

async function requestsOf(
  reader: ListedContainer,
  looked: AzureMonitorDiscovery,
  nowMs: number,
): Promise<{ readonly prefixes: string[]; readonly reads: string[] }> {
  reader.takePrefixes()
  reader.takeReads()
  await namesOf(looked.scan(nowMs, {}))
  const [prefixes, reads] = [reader.takePrefixes(), reader.takeReads()]
  const { listings, reads: counted } = looked.lastScan
  assert.deepEqual([listings, counted], [prefixes.length, reads.length])
  return { prefixes, reads }
}

/** Scans at every interval, from one behind the first instant up to the last one. */
async function scanAt(
  looked: AzureMonitorDiscovery,
  from: number,
  to: number,
  every = interval,
): Promise<Set<string>> {
  const names = new Set<string>()
  for (let now = from + every; now <= to; now += every) {
    for (const name of await namesOf(looked.scan(now, {}))) names.add(name)
  }
  return names
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
  assert.deepEqual(looked.lastScan, { listings: 11, reads: 0, named: 0, isWhole: true })
})

test('in the middle of a day a scan requests the current hour by its name, lists nothing, and finds the next one', async () => {
  const now = at('2026-11-24T12:58:10')
  const reader = written(now - 10 * day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  const current = hourName(at('2026-11-24T12:00:00'))
  const next = hourName(at('2026-11-24T13:00:00'))
  const first = await requestsOf(reader, looked, now + interval)
  assert.deepEqual(first.prefixes, [])
  assert.ok(first.reads.includes(current) && !first.reads.includes(next))
  // The service's clock may be ahead of this one.
  assert.ok((await requestsOf(reader, looked, now + 3 * interval)).reads.includes(next))
  reader.put(next, now + 110_000)
  assert.ok((await namesOf(looked.scan(now + 4 * interval, {}))).includes(next))
})

test('growth of the current hour is found by the next scan, and a blob that has not changed is answered without a byte', async () => {
  const now = at('2026-11-24T12:30:00')
  const reader = written(now - day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  const current = hourName(at('2026-11-24T12:00:00'))
  const lengthAt = async (nowMs: number): Promise<number | undefined> => {
    let bytes: number | undefined
    for await (const blob of looked.scan(nowMs, {})) if (blob.name === current) bytes = blob.bytes
    return bytes
  }
  assert.equal(await lengthAt(now + interval), 100)
  assert.equal(await lengthAt(now + 2 * interval), 100)
  reader.put(current, now + 2 * interval, 300)
  assert.equal(await lengthAt(now + 3 * interval), 300)
})

test('a blob that a lane polls is not requested, and is requested once more when the lane has ended', async () => {
  const now = at('2026-11-24T13:30:00')
  const reader = written(now - day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  const current = hourName(at('2026-11-24T13:00:00'))
  const before = hourName(at('2026-11-24T12:00:00'))
  reader.takeReads()
  for (let ms = now + interval; ms < now + 10 * minute; ms += interval) {
    const names = await namesOf(looked.scan(ms, {}, { isPolled: () => true }))
    // Both are among the newest blobs all the same.
    assert.deepEqual(names, [before, current])
    assert.deepEqual(reader.takeReads(), [])
  }
  await namesOf(looked.scan(now + 10 * minute, {}))
  assert.deepEqual(reader.takeReads(), [before, current])
})

test('around midnight, a month and a year change with their hours at hand, and late bytes of the day before are found', async () => {
  for (const midnight of [at('2026-11-24T00:00:00'), at('2026-12-01T00:00:00'), at('2027-01-01T00:00:00')]) {
    const reader = written(midnight - 3 * day, midnight - 20 * minute)
    const looked = discovery(reader)
    await namesOf(looked.scan(midnight - 20 * minute, {}))
    const [last, next] = [hourName(midnight - hour), hourName(midnight)]
    const before = await requestsOf(reader, looked, midnight - 90_000)
    assert.ok(before.reads.includes(last) && !before.reads.includes(next))
    // The server's clock is ahead: its new day begins while ours has half a minute to go.
    reader.put(next, midnight - 30_000)
    assert.ok((await namesOf(looked.scan(midnight - 30_000, {}))).includes(next))
    assert.ok((await requestsOf(reader, looked, midnight + minute)).reads.includes(last))
    reader.put(last, midnight + 2 * minute, 500)
    const seen = []
    for await (const blob of looked.scan(midnight + 2 * minute + interval, {})) seen.push(blob)
    assert.equal(seen.find(({ name }) => name === last)?.bytes, 500)
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

test('a server that was silent for days is found writing again by its hour', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = written(now - 3 * day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  await scanAt(looked, now, now + 4 * day + 2 * hour, 20 * minute)
  // The day of the newest known hour is listed, whatever its age.
  const prefixes: string[] = []
  for (let ms = now + 4 * day + 2 * hour; ms <= now + 4 * day + 4 * hour; ms += 20 * minute)
    prefixes.push(...(await prefixesOf(reader, looked, ms)))
  assert.ok(prefixes.includes(dayPrefix('2026-11-24')), prefixes.join())
  await scanAt(looked, now + 4 * day + 4 * hour, now + 5 * day - 20 * minute, 20 * minute)
  const resumed = now + 5 * day - 20 * minute
  reader.put(hourName(resumed), resumed)
  assert.ok((await namesOf(looked.scan(resumed + interval, {}))).includes(hourName(resumed)))
})

test('a day costs a read for each scan and listing pages for each hour, and memory for no more days than are watched', async () => {
  const begin = at('2026-11-24T12:00:10')
  const end = begin + 60 * day
  const reader = written(begin - 30 * day, begin)
  const looked = discovery(reader)
  const seen = new Set<string>()
  let appended = begin
  const look = async (now: number): Promise<{ listings: number; reads: number }> => {
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
    return looked.lastScan
  }
  for (let now = begin; now < end - day; now += 10 * minute) await look(now)
  const costs: { listings: number; reads: number }[] = []
  for (let now = end - day; now < end; now += interval) costs.push(await look(now))

  assert.equal(seen.size, 90 * 24)
  const sum = (kind: 'listings' | 'reads'): number => costs.reduce((total, one) => total + one[kind], 0)
  assert.equal(costs.length, 2_880)
  // A read for each of 2,880 scans; 48 for the minute before each hour; about 60 for each hour after its end.
  assert.ok(sum('reads') > 3_500 && sum('reads') < 4_700, `${sum('reads')} reads a day`)
  // Three watched days 24 times, the day that begins, and a search and listing of 12.
  assert.ok(sum('listings') > 60 && sum('listings') < 95, `${sum('listings')} listings a day`)
  await requireWatchedDays(reader, looked, end)
})

test('hundreds of servers are requested by name in every scan, and their listings are spread over the scans of an hour', async () => {
  const now = at('2026-11-24T12:10:00')
  const reader = new ListedContainer()
  const folders = Array.from({ length: 400 }, (_, index) => `${folder.slice(0, -1)}-${index}/`)
  for (const one of folders) {
    for (let ms = now - 2 * day; ms <= now; ms += hour) reader.put(hourName(ms, one), ms)
  }
  const looked = new AzureMonitorDiscovery(['/subscriptions/0a0a'], {
    reader,
    startTimeMs: undefined,
    watchMs,
    listMs,
  })
  assert.equal((await namesOf(looked.scan(now, {}))).length, 19_600)
  assert.match(looked.described, / and 397 others$/)
  const listed = new Map<string, number>()
  let max = 0
  for (let ms = now + interval; ms <= now + 100 * minute; ms += interval) {
    reader.takePrefixes()
    const names = new Set(await namesOf(looked.scan(ms, {})))
    for (const one of folders)
      assert.ok(ms >= at('2026-11-24T13:00:00') || names.has(hourName(now, one)), one)
    assert.ok(looked.lastScan.reads >= 400)
    const prefixes = reader.takePrefixes()
    max = Math.max(max, prefixes.length)
    for (const prefix of prefixes) listed.set(prefix, (listed.get(prefix) ?? 0) + 1)
    // The scans would end after the next of them should have begun.
    assert.ok(prefixes.length <= 36, `${prefixes.length} listings in one scan`)
  }
  for (const one of folders) assert.ok((listed.get(dayPrefix('2026-11-24', one)) ?? 0) >= 1, one)
  assert.ok(max > 4, `${max}`)
})

test('an hour that grows for five days is found grown within the pause of listings, and no longer listed two days after', async () => {
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
    if (now < begin + 5 * day && (now - begin) % (9 * hour) === 20 * minute) {
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
  assert.ok(longestGap <= listMs + 2 * minute, `${longestGap / minute} minutes`)
  assert.ok(longestGap > 30 * minute)
  const prefixes = new Map<string, number>()
  for (const { prefix } of reader.requests.slice(-72)) prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1)
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
  assert.ok((await prefixesOf(reader, looked, begin + day + listMs)).includes(dayPrefix('2026-11-01')))
  // It is open again, too.
  reader.put(old, begin + day + listMs, 950)
  await namesOf(looked.scan(begin + day + listMs + minute, {}))
})

test('an hour is requested ever more rarely after its end, and is closed an hour after its last growth', async () => {
  const midnight = at('2026-11-24T00:00:00')
  const reader = written(midnight - day, midnight)
  const looked = discovery(reader)
  const last = hourName(midnight - hour)
  const gaps: [quietMs: number, gapMs: number][] = []
  let requestedAt = midnight
  await namesOf(looked.scan(midnight, {}))
  for (let now = midnight + interval; now < midnight + 3 * hour; now += interval) {
    // It grows once more, half an hour after its end.
    if (now === midnight + 30 * minute) reader.put(last, now, 900)
    if (!(await requestsOf(reader, looked, now)).reads.includes(last)) continue
    const grewAt = requestedAt >= midnight + 30 * minute ? midnight + 30 * minute : midnight
    gaps.push([now - grewAt, now - requestedAt])
    requestedAt = now
  }
  for (const [quietMs, gapMs] of gaps)
    assert.ok(gapMs <= Math.max(interval, quietMs / 24 + 2 * interval), `${quietMs}: ${gapMs}`)
  assert.ok(gaps.length > 60 && gaps.length < 130, `${gaps.length} requests`)
  assert.ok(requestedAt > midnight + 80 * minute && requestedAt <= midnight + 93 * minute)
})

test('an hour whose request fails is listed instead, and a refusal ends the scan', async () => {
  const now = at('2026-11-24T12:30:00')
  const reader = written(now - day, now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  const current = hourName(now)
  reader.put(current, now + interval, 700)
  for (const code of ['SOURCE_UNAVAILABLE', 'SOURCE_UNSUPPORTED'] as const) {
    reader.readFaults.set(current, new TailraceError(code, 'scripted'))
    reader.takePrefixes()
    const seen = []
    for await (const blob of looked.scan(now + interval, {})) seen.push(blob)
    assert.equal(seen.find(({ name }) => name === current)?.bytes, 700)
    assert.deepEqual(reader.takePrefixes(), [dayPrefix('2026-11-24')])
  }
  reader.readFaults.set(current, new TailraceError('SOURCE_DENIED', 'scripted'))
  await assert.rejects(namesOf(looked.scan(now + 2 * interval, {})), (error) =>
    isTailraceError(error, 'SOURCE_DENIED'),
  )
})

test('the resource is found in any case, under both roots, and below folders of other cases', async () => {
  const now = at('2026-11-24T12:00:00')
  const mixed = `ResourceId=${id}/`
  const reader = written(now - hour, now)
  for (const ms of [now - hour, now]) reader.put(hourName(ms, mixed), now)
  // Another server whose name begins alike.
  reader.put(hourName(now, `${folder.slice(0, -1)}2/`), now)
  const looked = new AzureMonitorDiscovery([id.replace('pg-one', 'PG-One')], {
    reader,
    startTimeMs: undefined,
    watchMs,
    listMs,
  })
  const names = await namesOf(looked.scan(now, {}))
  assert.deepEqual(
    names,
    [mixed, folder].flatMap((one) => [hourName(now - hour, one), hourName(now, one)]),
  )
  assert.equal(looked.described, `logs/${mixed} and logs/${folder}`)
  const { reads } = await requestsOf(reader, looked, now + interval)
  for (const one of [mixed, folder]) assert.ok(reads.includes(hourName(now, one)))
})

test('while the container is missing every scan searches anew; then the first hour is requested by name, and found when it is there', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = new ListedContainer()
  reader.exists = false
  const looked = discovery(reader)
  assert.equal(looked.described, `logs/${folder}`)
  for (const ms of [now - interval, now])
    await assert.rejects(namesOf(looked.scan(ms, {})), (error) => isTailraceError(error, 'SOURCE_MISSING'))
  reader.exists = true
  assert.deepEqual(await prefixesOf(reader, looked, now + interval), ['R', 'r'])
  reader.put('resourceId=/SUBSCRIPTIONS/0A0A/RESOURCEGROUPS/OTHER/x', now)
  const { prefixes, reads } = await requestsOf(reader, looked, now + 2 * interval)
  assert.deepEqual(prefixes, [])
  assert.ok(reads.includes(hourName(now)))
  reader.put(hourName(now - day), now - day)
  reader.put(hourName(now), now)
  assert.deepEqual(await namesOf(looked.scan(now + 3 * interval, {})), [hourName(now - day), hourName(now)])
  assert.deepEqual(await prefixesOf(reader, looked, now + 4 * interval), [])
})

test('the first hour of a server whose folder is spelled otherwise is found by a search', async () => {
  const now = at('2026-11-24T12:00:00')
  const reader = new ListedContainer()
  reader.put('unrelated', now)
  const looked = discovery(reader)
  await namesOf(looked.scan(now, {}))
  const name = hourName(now + minute, `ResourceId=${id}/`)
  reader.put(name, now + minute)
  assert.deepEqual([...(await scanAt(looked, now, now + listMs - interval))], [])
  assert.deepEqual(await namesOf(looked.scan(now + listMs, {})), [name])
})

test('every server of a container or a subscription is found, and a new one within the pause of listings', async () => {
  const now = at('2026-11-24T12:00:00')
  const server = (subscription: string, group: string, type: string, name: string): string =>
    `resourceId=/SUBSCRIPTIONS/${subscription}/RESOURCEGROUPS/${group}/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/${type}/${name}/`
  const reader = new ListedContainer()
  const folders = [
    server('0A0A', 'ONE', 'FLEXIBLESERVERS', 'PG1'),
    server('0A0A', 'ONE', 'SERVERS', 'PG1'),
    server('0A0A', 'TWO', 'SERVERGROUPSV2', 'PG2'),
    server('0B0B', 'ONE', 'FLEXIBLESERVERS', 'PG3'),
  ]
  for (const one of folders) reader.put(hourName(now, one), now)
  reader.put(hourName(now, server('0A0A', 'ONE', 'OTHERTHINGS', 'X')), now)
  reader.put(
    hourName(now, 'resourceId=/SUBSCRIPTIONS/0A0A/RESOURCEGROUPS/ONE/PROVIDERS/MICROSOFT.WEB/SERVERS/X/'),
    now,
  )
  const open = (...ids: string[]): AzureMonitorDiscovery =>
    new AzureMonitorDiscovery(ids, { reader, startTimeMs: undefined, watchMs, listMs })
  const foundBy = async (...ids: string[]): Promise<string[]> =>
    (await namesOf(open(...ids).scan(now, {}))).map((name) => name.slice(0, name.indexOf('y=')))
  assert.deepEqual((await foundBy('*')).sort(), folders.toSorted())
  assert.deepEqual((await foundBy('/subscriptions/0a0a')).sort(), folders.slice(0, 3).toSorted())
  assert.deepEqual((await foundBy('/subscriptions/0a0a/resourceGroups/two')).sort(), [folders[2]])
  assert.deepEqual(
    await foundBy('/subscriptions/0a0a', '/subscriptions/0a0a/resourceGroups/two'),
    folders.slice(0, 3),
  )

  const looked = open('*')
  await namesOf(looked.scan(now, {}))
  const added = hourName(now, server('0A0A', 'ONE', 'FLEXIBLESERVERS', 'PG9'))
  reader.put(added, now + minute)
  assert.ok((await scanAt(looked, now, now + listMs)).has(added))
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
  const prefixes = await prefixesOf(reader, looked, now + hour)
  assert.ok(prefixes.includes(dayPrefix('2026-12-31')) && !prefixes.includes(dayPrefix('2026-12-29')))
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
  assert.deepEqual(looked.lastScan, { listings: 14, reads: 0, named: 0, isWhole: true })
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
    assert.ok(looked.lastScan.listings <= 12, `${looked.lastScan.listings} requests`)
  }
  await requireWatchedDays(reader, looked, now + 4 * day)
})
