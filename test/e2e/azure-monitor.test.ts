import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { readTable, selectFrom } from '../support/table-rows.ts'
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

/** Appends lines to blobs, each with a text of its own, and counts those of some blobs. @param isCounted default: all */
function writerOf(storage: TestStorage, isCounted: (blob: string) => boolean = () => true) {
  let written = 0
  return {
    append: async (blob: string, lines: number): Promise<void> => {
      const texts = Array.from({ length: lines }, (_, index) => jsonlogLine(written + index))
      if (isCounted(blob)) written += lines
      await storage.append(blob, linesAsBytes(texts))
    },
    written: () => written,
  }
}

test("a server's hours are found by its resource id, history first and then as they come, and no other server's", {
  timeout: 120_000,
}, async (t) => {
  const storage = await startStorage(t)
  const { append, written } = writerOf(storage, (blob) => blob.includes('PG-MAIN/'))
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
  assert.equal(rows, written())
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
  assert.equal(found.length, written())
  assert.ok(found.every(({ blob }) => blob.startsWith(`logs/${folder}PG-MAIN/`)))
})

test('all servers of a subscription land in one table, a new one is found, and status shows the lag of each', {
  timeout: 120_000,
}, async (t) => {
  const storage = await startStorage(t)
  const { append, written } = writerOf(storage)
  for (const server of ['PG-A', 'PG-B', 'PG-C']) {
    for (const hoursAgo of [300, 3, 1]) await append(hourly(server, hoursAgo), 4)
  }
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: {
      fleet: { blobs: { azureMonitor: `/subscriptions/${subscription}` }, discoverMs: 300, listMs: 30_000 },
    },
  })
  const started = await runTailrace(t, ['start', '--once', '--config', project.configPath])
  assert.equal(started.code, 0, started.stderr)
  assert.equal(JSON.parse(started.stdout).pipelines.fleet.rows, written())

  await append(hourly('PG-B', 1), 2)
  await append(hourly('PG-D', 1), 3)
  const { stdout } = await runTailrace(t, ['status', '--json', '--config', project.configPath])
  const { pipelines } = JSON.parse(stdout)
  const names = pipelines[0].servers.map(({ server, blobs }: { server: string; blobs: number }) => [
    server.slice(server.lastIndexOf('/') + 1),
    blobs,
  ])
  assert.deepEqual(names.slice(0, 2), [
    ['pg-d', 1],
    ['pg-b', 1],
  ])
  assert.deepEqual(names.slice(2).toSorted(), [
    ['pg-a', 0],
    ['pg-c', 0],
  ])
  const { stdout: text } = await runTailrace(t, ['status', '--config', project.configPath])
  assert.match(text, /fleet: 2 of 4 servers have bytes that have not landed/)
  assert.match(text, /flexibleservers\/pg-d: \d+ bytes in 1 blobs/)

  const running = startTailrace(t, ['start', '--config', project.configPath])
  await append(hourly('PG-C', 0), 4)
  const landed = (): number =>
    running.log.reduce((sum, { msg, rows: some }) => sum + (msg === 'landed' ? Number(some) : 0), 0)
  await running.until(() => landed() === 9, 'what was appended')
  running.kill('SIGTERM')
  await running.exited
  assert.equal((await readTable(project.tableDirectory('fleet'))).length, written())
  const servers = await selectFrom(
    project.tableDirectory('fleet'),
    (from) => `SELECT server_name, count(*) AS n FROM ${from} GROUP BY 1 ORDER BY 1`,
  )
  assert.deepEqual(
    servers.map(({ server_name, n }) => [server_name, Number(n)]),
    [
      ['pg-a', 12],
      ['pg-b', 14],
      ['pg-c', 16],
      ['pg-d', 3],
    ],
  )
})
