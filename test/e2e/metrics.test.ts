import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { prometheusMissing } from '../support/prometheus.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { samplesOf } from '../support/scrape.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import type { LogLine } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { startWatched } from '../support/watched-run.ts'

const promtoolSkip = skipUnless(prometheusMissing())

const lines = (count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(index)))

test('a run serves rows and requests of each pipeline while it runs, and logs its requests at the end', async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary/a.json', lines(50))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary/', discoverMs: 100 }, replica: { blobs: 'replica.json' } },
    metrics: { port: 0 },
  })
  const running = startTailrace(t, ['start', '--config', configPath])
  const said = (text: string): LogLine | undefined => running.log.find(({ msg }) => msg?.includes(text))
  await running.until(() => said('serving') !== undefined, 'the port')
  const { host, port } = said('serving')!
  assert.equal(host, '127.0.0.1')
  const ask = (path: string) => fetch(`http://${host}:${port}${path}`)

  let samples = new Map<string, number>()
  const of = (name: string): number => samples.get(`tailrace_${name}`) ?? 0
  await eventually(async () => {
    samples = samplesOf(await (await ask('/metrics')).text())
    return (
      of('rows_total{pipeline="primary"}') === 50 &&
      of('storage_requests_total{pipeline="primary",kind="unchanged"}') > 0 &&
      of('storage_requests_total{pipeline="replica",kind="missing"}') > 0
    )
  }, 'metrics of what was landed')
  assert.equal((await ask('/readyz')).status, 200)
  const requests = (kind: string) => of(`storage_requests_total{pipeline="primary",kind="${kind}"}`)
  assert.ok(requests('read') > 0 && requests('list') > 0)
  assert.equal(requests('failed'), 0)
  const bytes = lines(50).length
  assert.equal(of('source_bytes_total{pipeline="primary"}'), bytes)
  assert.ok(of('storage_bytes_total{pipeline="primary"}') >= bytes)
  assert.equal(samples.get('tailrace_lag_bytes{pipeline="primary"}'), 0)
  assert.ok(samples.get('process_resident_memory_bytes')! > 0)

  running.kill('SIGINT')
  assert.equal((await running.exited).code, 130)
  const { primary, replica } = said('stopped')!.requests as Record<string, Record<string, number>>
  assert.ok(primary!.read! >= requests('read') && primary!.unchanged! >= requests('unchanged'))
  assert.equal(replica!.read, 0)
})

test('promtool finds no mistake in the metrics of a run that has landed and rejected rows', {
  skip: promtoolSkip,
}, async (t) => {
  const run = await startWatched(t)
  await run.storage.append('primary.json', Buffer.concat([lines(5), Buffer.from('no JSON\n')]))
  await run.process.until(() => run.process.logged('landed'), 'the first batch')
  const checked = spawnSync('promtool', ['check', 'metrics'], {
    input: await run.exposition(),
    encoding: 'utf8',
  })
  assert.deepEqual([checked.status, checked.stdout, checked.stderr], [0, '', ''])
  const samples = await run.samples()
  assert.equal(samples.get('tailrace_rejected_rows_total{pipeline="primary",reason="not_json"}'), 1)
  const reads = samples.get('tailrace_storage_requests_total{pipeline="primary",kind="read"}')!
  const price = samples.get('tailrace_storage_cost_usd_total{pipeline="primary",kind="read"}')!
  assert.ok(Math.abs(price - (reads * 0.0044) / 10_000) < 1e-9)
})

test('a pipeline has as many series with 40 blobs as with one, and no name of a blob among them', async (t) => {
  const run = await startWatched(t, { pipelines: { primary: { blobs: 'logs/', discoverMs: 100 } } })
  const seriesOf = async () => [...(await run.samples()).keys()].filter((name) => name.includes('pipeline='))
  const landed = async (rows: number) =>
    (await run.samples()).get('tailrace_rows_total{pipeline="primary"}') === rows
  await run.storage.append('logs/first.json', lines(1))
  await run.process.until(() => run.process.logged('landed'), 'the first batch')
  const before = await seriesOf()
  for (let number = 0; number < 40; number += 1) await run.storage.append(`logs/n${number}.json`, lines(1))
  await eventually(() => landed(41), 'rows of 40 blobs')
  assert.deepEqual(await seriesOf(), before)
  assert.ok(before.length < 110, `${before.length} series`)
  assert.doesNotMatch(await run.exposition(), /\.json/)
})

test('a run whose metrics port is taken ends with 2, names the port, and touches nothing', async (t) => {
  const owner = createServer().listen(0, '127.0.0.1')
  t.after(() => owner.close())
  await once(owner, 'listening')
  const { port } = owner.address() as { port: number }
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: 'UseDevelopmentStorage=true' },
    pipelines: { primary: { blobs: 'primary.json' } },
    metrics: { port },
  })
  const { code, stderr } = await runTailrace(t, ['start', '--once', '--config', project.configPath])
  assert.equal(code, 2)
  assert.ok(stderr.includes(`CONFIG_INVALID: metrics.port: found ${port}, which is in use`), stderr)
  await assert.rejects(access(project.tableDirectory('primary')), { code: 'ENOENT' })
})

test('the summary of a drain counts what it asked of storage', async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary.json', lines(20))
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary.json' } },
  })
  const drained = await runTailrace(t, ['start', '--once', '--config', configPath])
  assert.equal(drained.code, 0, drained.stderr)
  assert.ok(!drained.process.logged('serving'))
  const { primary } = JSON.parse(drained.stdout).pipelines
  const { read, bytes, ...others } = primary.requests
  assert.ok(read > 0)
  assert.ok(bytes >= primary.bytes)
  assert.deepEqual(Object.keys(others), ['unchanged', 'empty', 'missing', 'list', 'failed'])
  assert.deepEqual([others.missing, others.list, others.failed], [0, 0, 0])
  const done = drained.process.log.find(({ msg }) => msg === 'done')
  assert.deepEqual(done?.requests, { primary: primary.requests })
})
