import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const subscription = '0b1f6471-1bf0-4dda-aec3-cb9272f09590'
const folder = `resourceId=/SUBSCRIPTIONS/${subscription.toUpperCase()}/RESOURCEGROUPS/LOGS/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/`
const resourceId = `/subscriptions/${subscription}/resourceGroups/logs/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-main`

/** The blob of an hour of a server, `hoursAgo` before now. */
function hourly(server: string, hoursAgo: number): string {
  const hour = new Date(Date.now() - hoursAgo * 3_600_000).toISOString()
  const [year, month, day] = hour.slice(0, 10).split('-')
  return `${folder}${server}/y=${year}/m=${month}/d=${day}/h=${hour.slice(11, 13)}/m=00/PT1H.json`
}

test("a server's hours are found by its resource id, history first and then as they come, and no other server's", {
  timeout: 120_000,
}, async (t) => {
  const storage = await startStorage(t)
  let written = 0
  const append = async (blob: string, lines: number): Promise<void> => {
    const texts = Array.from({ length: lines }, (_, index) => jsonlogLine(written + index))
    written += blob.includes('PG-MAIN/') ? lines : 0
    await storage.append(blob, linesAsBytes(texts))
  }
  for (const hoursAgo of [2_000, 300, 49, 3, 2, 1]) await append(hourly('PG-MAIN', hoursAgo), 5)
  await append(hourly('PG-MAIN-2', 1), 5)
  await storage.append(`${folder}PG-MAIN/readme.txt`, 'no log\n')

  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: { azureMonitor: resourceId }, discoverMs: 300 } },
  })
  const once = await runTailrace(t, ['start', '--once', '--config', project.configPath])
  assert.equal(once.code, 0, once.stderr)
  const { requests, rows } = JSON.parse(once.stdout).pipelines.primary
  assert.equal(rows, written)
  // One folder for each part of the resource id, and one listing of its hours.
  assert.ok(requests.list <= 12, `${requests.list} listings`)

  const running = startTailrace(t, ['start', '--config', project.configPath])
  // The hour that begins, and a late append to the one before.
  await append(hourly('PG-MAIN', 0), 4)
  await append(hourly('PG-MAIN', 1), 3)
  const landed = (): number =>
    running.log.reduce((sum, { msg, rows: some }) => sum + (msg === 'landed' ? Number(some) : 0), 0)
  await running.until(() => landed() === 7, 'what was appended')
  running.kill('SIGTERM')
  await running.exited
  const found = await readTable(project.tableDirectory('primary'))
  assert.equal(found.length, written)
  assert.ok(found.every(({ blob }) => blob.startsWith(`logs/${folder}PG-MAIN/`)))
})
