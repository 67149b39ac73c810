import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ListedPage, ListRequest } from '../../../src/sources/blob-reader.ts'
import { hourMs, hourPath } from '../../../src/sources/discovery/azure-monitor-layout.ts'
import { Landing, schedule, until, untilWhole } from './lane-fixture.ts'
import { MemoryContainer } from './memory-container.ts'

const subscription = '/subscriptions/0a0a'
const folderOf = (server: string): string =>
  `resourceId=${subscription.toUpperCase()}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/${server}/`

/** Lists folders as well. */
class Servers extends MemoryContainer {
  override async listPage(request: ListRequest): Promise<ListedPage> {
    if (request.folders !== true) return super.listPage(request)
    const folders = new Set<string>()
    for (const name of this.names) {
      const end = name.startsWith(request.prefix) ? name.indexOf('/', request.prefix.length) : -1
      if (end >= 0) folders.add(name.slice(0, end + 1))
    }
    return { blobs: [], folders: [...folders], next: undefined }
  }
}

const hourOf = (server: string, hoursAgo: number): string =>
  `${folderOf(server)}${hourPath(Math.floor(Date.now() / hourMs) * hourMs - hoursAgo * hourMs)}PT1H.json`

test('fifty quiet servers do not wait for the history of a busy one, which is read whole', {
  timeout: 120_000,
}, async () => {
  const reader = new Servers()
  const landing = new Landing()
  const hours = 600
  for (let hour = 0; hour < hours; hour += 1) reader.append(hourOf('A-BUSY', hour + 3), 40)
  const quiet = Array.from({ length: 50 }, (_, index) => hourOf(`QUIET-${String(index).padStart(2, '0')}`, 3))
  for (const name of quiet) reader.append(name, 1)
  // The queue has no place for the busy server's hours alone.
  const lanes = schedule(reader, landing, {
    blobs: { azureMonitor: subscription },
    maxLanes: 8,
    maxQueued: 200,
    blockMs: 5,
  })
  const running = lanes.run()
  const isRead = (name: string): boolean => landing.offsets.of(`logs/${name}`).length > 0
  await until(() => quiet.every(isRead), 'every quiet server is read')
  const busy = [...landing.offsets].filter(({ blob }) => blob.includes('A-BUSY')).length
  assert.ok(busy <= 200, `${busy} hours of the busy server were read before the quiet ones`)
  await untilWhole(reader, landing)
  lanes.stop()
  await running
})

test('the servers with the most bytes that have not landed are known, in order', {
  timeout: 60_000,
}, async () => {
  const reader = new Servers()
  const landing = new Landing()
  landing.isHeld = true
  reader.append(hourOf('PG1', 0), 10)
  reader.append(hourOf('PG2', 0), 30)
  reader.append(hourOf('PG2', 1), 30)
  const lanes = schedule(reader, landing, { blobs: { azureMonitor: '*' } })
  const running = lanes.run()
  const blobsBehind = (): number => lanes.serverLags().reduce((sum, { blobs }) => sum + blobs, 0)
  await until(() => blobsBehind() === 3, 'the blobs of both servers are found')
  const id = (name: string): string =>
    `${subscription}/resourcegroups/rg/providers/microsoft.dbforpostgresql/flexibleservers/${name}`
  const bytes = (name: string): number => reader.content(name).length
  assert.deepEqual(lanes.serverLags(), [
    { server: id('pg2'), lagBytes: bytes(hourOf('PG2', 0)) + bytes(hourOf('PG2', 1)), blobs: 2 },
    { server: id('pg1'), lagBytes: bytes(hourOf('PG1', 0)), blobs: 1 },
  ])
  lanes.stop()
  await running
})
