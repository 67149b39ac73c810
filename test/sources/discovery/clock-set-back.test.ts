import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureMonitorDiscovery } from '../../../src/sources/discovery/azure-monitor-discovery.ts'
import { dayMs, hourMs, hourPath } from '../../../src/sources/discovery/azure-monitor-layout.ts'
import { ListedContainer, namesOf } from './listed-container.ts'

const intervalMs = 30_000
const nowMs = Date.UTC(2026, 10, 24, 12, 10)
const currentMs = Date.UTC(2026, 10, 24, 12)
const resourceGroup = '/subscriptions/0a0a/resourceGroups/rg'
const folderOf = (server: string): string =>
  `resourceId=${resourceGroup}/providers/Microsoft.DBforPostgreSQL/flexibleServers/${server}/`.toUpperCase()

function hourName(server: string, startMs: number): string {
  return `${folderOf(server).replace('RESOURCEID', 'resourceId')}${hourPath(startMs)}PT1H.json`
}

test('after a clock that was a day ahead is set back, the next scans find growth, late hours and new servers', async () => {
  const reader = new ListedContainer()
  const current = hourName('pg-one', currentMs)
  reader.put(current, nowMs)
  const discovery = new AzureMonitorDiscovery([resourceGroup], {
    reader,
    startTimeMs: undefined,
    watchMs: 2 * dayMs,
    listMs: hourMs,
  })
  const aheadMs = nowMs + dayMs - 2 * hourMs
  await namesOf(discovery.scan(aheadMs, {}))
  await namesOf(discovery.scan(aheadMs + intervalMs, {}))

  const late = hourName('pg-one', currentMs - 20 * hourMs)
  const closed = hourName('pg-one', currentMs - 20 * dayMs)
  const other = hourName('pg-two', currentMs)
  for (const name of [current, late, closed, other]) reader.put(name, nowMs, 200)
  const found = new Set<string>()
  for (const scan of [1, 2]) {
    const scanMs = nowMs + scan * intervalMs
    for await (const { name, bytes } of discovery.scan(scanMs, {})) if (bytes === 200) found.add(name)
  }
  assert.deepEqual([...found].sort(), [closed, late, current, other].sort())
})

test('a watched day and an open hour are due again in the scan after the clock is set back', async () => {
  const reader = new ListedContainer()
  const ended = hourName('pg-one', currentMs - hourMs)
  reader.put(ended, currentMs - 1)
  const discovery = new AzureMonitorDiscovery([resourceGroup], {
    reader,
    startTimeMs: undefined,
    watchMs: 2 * dayMs,
    listMs: hourMs,
  })
  await namesOf(discovery.scan(nowMs, {}))
  await namesOf(discovery.scan(nowMs + hourMs / 2, {}))
  reader.takePrefixes()
  reader.takeReads()
  // By more than the hour's pause between requests, and less than the pause between listings.
  await namesOf(discovery.scan(nowMs + hourMs / 4, {}))
  assert.ok(reader.takeReads().includes(ended))
  assert.equal(reader.takePrefixes().length, 0)
  // To before the last listing.
  await namesOf(discovery.scan(nowMs - intervalMs, {}))
  assert.ok(reader.takePrefixes().some((prefix) => prefix.startsWith('resourceId=')))
})
