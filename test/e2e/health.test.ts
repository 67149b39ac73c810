import assert from 'node:assert/strict'
import test from 'node:test'
import { errors } from '../../src/errors.ts'
import { healthCodes } from '../../src/run/monitoring/health.ts'
import { eventually } from '../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { maxSilentMs, maxStallMs, startWatched, type WatchedRun } from '../support/watched-run.ts'

const lines = (count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(index)))

/** Waits until it is ready and has landed so many rows. */
async function untilWell(run: WatchedRun, rows: number): Promise<void> {
  await run.process.until(() => run.process.logged('landed'), 'the first batch')
  await eventually(async () => {
    const samples = await run.samples()
    return samples.get('tailrace_rows_total{pipeline="primary"}') === rows
  }, `${rows} rows`)
  await run.untilUnready()
}

const lagOf = async (run: WatchedRun) =>
  (await run.samples()).get('tailrace_lag_seconds{pipeline="primary"}')!

test('frozen storage: readiness is 503 after the stated time, the lag grows, and both recover with storage', async (t) => {
  const run = await startWatched(t)
  await run.storage.append('primary.json', lines(10))
  await untilWell(run, 10)
  for (const probe of ['livez', 'readyz', 'startupz'] as const)
    assert.equal((await run.probe(probe)).status, 200)
  const well = await run.health()
  assert.deepEqual([well.code, well.stdout], [0, 'ok\n'])
  assert.ok((await lagOf(run)) < 10)

  run.proxy.plan(() => 'stalled')
  await run.storage.append('primary.json', lines(10))
  const frozenAtMs = Date.now()
  const [reason] = await run.untilUnready('STORAGE_UNANSWERED')
  const { pipeline, since, action } = reason!
  assert.deepEqual([pipeline, action], ['primary', healthCodes.STORAGE_UNANSWERED])
  assert.ok(Date.now() - Date.parse(since) >= maxSilentMs)
  assert.equal((await run.probe('livez')).status, 200)
  assert.equal((await run.probe('startupz')).status, 200)
  const sick = await run.health()
  assert.equal(sick.code, 1)
  assert.match(
    sick.stdout,
    /^primary: STORAGE_UNANSWERED since .*: storage has not answered for \d+ s\. Check/,
  )
  const samples = await run.samples()
  assert.equal(samples.get('tailrace_pipeline_ready{pipeline="primary"}'), 0)
  assert.ok(samples.get('tailrace_storage_silent_seconds{pipeline="primary"}')! >= maxSilentMs / 1000)
  // It counts from the last answer, so that it is at least as old as the outage.
  const lag = await lagOf(run)
  assert.ok(lag >= (Date.now() - frozenAtMs - 100) / 1000 - 0.5, `${lag}`)
  await eventually(async () => (await lagOf(run)) > lag + 1, 'growing lag')

  run.proxy.plan(() => undefined)
  run.proxy.breakStalled()
  await untilWell(run, 20)
  await eventually(async () => (await lagOf(run)) < 2, 'a short lag')
  await eventually(
    async () => (await run.samples()).get('tailrace_storage_silent_seconds{pipeline="primary"}') === 0,
    'storage that answers',
  )
})

test('too little disk space: readiness says that the gate holds, how much is free, and since when', async (t) => {
  const run = await startWatched(t, { disk: { minFreeBytes: 2 ** 52, checkMs: 100 } })
  await run.storage.append('primary.json', lines(10))
  const [reason] = await run.untilUnready('DISK_HELD')
  assert.match(reason!.reason, /: \d+ bytes are free, 4503599627370496 are required$/)
  const samples = await run.samples()
  const of = (name: string) => samples.get(`tailrace_${name}{pipeline="primary"}`)!
  assert.equal(of('disk_held'), 1)
  assert.equal(of('disk_holds_total'), 1)
  assert.ok(of('disk_free_bytes') > 0 && of('disk_free_bytes') < of('disk_min_free_bytes'))
  assert.ok(of('disk_held_seconds_total') >= 0)
  assert.equal((await run.probe('livez')).status, 200)
  // What is held has not landed, though storage answers.
  const lag = await lagOf(run)
  await eventually(async () => (await lagOf(run)) > lag + 0.5, 'growing lag')
})

test('a commit that hangs: readiness says how many rows wait, and since when none was committed', async (t) => {
  const run = await startWatched(t, { tableInStorage: true })
  await run.storage.append('primary.json', lines(10))
  await untilWell(run, 10)
  run.proxy.plan(({ method, url }) =>
    method === 'PUT' && url.includes('_delta_log') ? 'stalled' : undefined,
  )
  await run.storage.append('primary.json', lines(7))
  const [reason] = await run.untilUnready('COMMITS_STALLED')
  assert.match(reason!.reason, /^7 rows wait and none was committed for \d+ s/)
  assert.ok(Date.now() - Date.parse(reason!.since) >= maxStallMs)
  assert.equal((await run.samples()).get('tailrace_waiting_rows{pipeline="primary"}'), 7)
  assert.ok((await lagOf(run)) >= maxStallMs / 1000)
  assert.equal((await run.probe('livez')).status, 200)

  run.proxy.plan(({ url }) => (url.includes('_delta_log') ? 'busy' : undefined))
  run.proxy.breakStalled()
  await eventually(async () => {
    const retries = (await run.samples()).get(
      'tailrace_retries_total{pipeline="primary",code="TABLE_UNAVAILABLE"}',
    )
    return (retries ?? 0) >= 2
  }, 'retries')
  run.proxy.plan(() => undefined)
  await untilWell(run, 17)
})

test('storage that refuses: readiness has the error code of the failed pipeline and what to do, until it runs again', async (t) => {
  const run = await startWatched(t, { fault: () => 'denied' })
  const [reason] = await run.untilUnready('SOURCE_DENIED')
  assert.equal(reason!.action, errors.SOURCE_DENIED.hint)
  assert.match(reason!.reason, /^failed \(\d+ in a row, started again at /)
  assert.equal((await run.probe('livez')).status, 200)
  assert.equal((await run.probe('startupz')).status, 200)
  // Restarts do not hide that nothing has landed since.
  await run.process.until(
    () => run.process.log.filter(({ msg }) => msg?.startsWith('the pipeline failed')).length >= 4,
    'restarts',
  )
  assert.ok((await lagOf(run)) >= 1)
  run.proxy.plan(() => undefined)
  await run.storage.append('primary.json', lines(5))
  await untilWell(run, 5)
})

test('storage that refuses what it granted before: readiness has the error of the last request', async (t) => {
  const run = await startWatched(t)
  await run.storage.append('primary.json', lines(10))
  await untilWell(run, 10)
  run.proxy.plan(() => 'denied')
  const [reason] = await run.untilUnready('STORAGE_UNANSWERED')
  assert.match(reason!.reason, /; the last request failed: SOURCE_UNAVAILABLE: Storage refused .*403/)
  run.proxy.plan(() => undefined)
  await run.untilUnready()
})

test('a table that cannot be opened: the start is not over, and the pipeline is starting or failing', async (t) => {
  const run = await startWatched(t, { tableInStorage: true, stopMs: 1_000 })
  run.proxy.plan(({ url }) => (url.includes('/lake') ? 'stalled' : undefined))
  await run.untilUnready('PIPELINE_STARTING')
  const { status, reasons } = await run.probe('startupz')
  assert.equal(status, 503)
  assert.deepEqual(
    reasons.map(({ pipeline, code }) => ({ pipeline, code })),
    [{ pipeline: 'primary', code: 'PIPELINE_STARTING' }],
  )
  assert.equal((await run.probe('livez')).status, 200)
  run.proxy.plan(() => undefined)
  run.proxy.breakStalled()
  await run.untilUnready()
  assert.equal((await run.probe('startupz')).status, 200)
})

test('a blocked event loop answers no probe, and the health command says so within its limit', async (t) => {
  const busy = '[(record) => { for (const end = Date.now() + 60_000; Date.now() < end; ); return record }]'
  const run = await startWatched(t, { transforms: busy })
  await run.untilUnready()
  await run.storage.append('primary.json', lines(1))
  await eventually(
    () =>
      fetch(`http://127.0.0.1:${run.port}/livez`, { signal: AbortSignal.timeout(2_000) }).then(
        () => false,
        () => true,
      ),
    'a probe without an answer',
  )
  const stuck = await run.health('--probe', 'livez', '--json')
  assert.equal(stuck.code, 1)
  const { ok, reasons } = JSON.parse(stuck.stdout)
  assert.deepEqual([ok, reasons[0].code], [false, 'PROCESS_UNANSWERED'])
  assert.match(reasons[0].reason, /\/livez did not answer \(TimeoutError\)$/)
})

test('rows stuck in a transform count as rows that wait, though storage answers and shows no more', async (t) => {
  const stuck =
    "[{ stream: () => new (process.getBuiltinModule('node:stream').Transform)({ objectMode: true, transform() {} }) }]"
  const run = await startWatched(t, { transforms: stuck })
  await run.storage.append('primary.json', lines(3))
  const [reason] = await run.untilUnready('COMMITS_STALLED')
  assert.ok(Date.now() - Date.parse(reason!.since) >= maxStallMs)
  const lag = await lagOf(run)
  await eventually(async () => (await lagOf(run)) > lag + 0.5, 'growing lag')
})

test('health of a process that does not run is 1, and without a fixed port it is a mistake', async (t) => {
  const run = await startWatched(t)
  await run.untilUnready()
  run.process.kill('SIGTERM')
  await run.process.exited
  const gone = await run.health()
  assert.equal(gone.code, 1)
  assert.match(gone.stdout, /^PROCESS_UNANSWERED since .*did not answer \(ECONNREFUSED\)/)

  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'embedded' },
    pipelines: { primary: { blobs: 'primary.json' } },
    metrics: { port: 0 },
  })
  const anyPort = await runTailrace(t, ['health', '--config', configPath])
  assert.equal(anyPort.code, 2)
  assert.match(anyPort.stderr, /USAGE: health needs a fixed metrics\.port/)
})

test('under a prefix the lag is short while listings answer, also beside a finished blob, and grows while they do not', async (t) => {
  const run = await startWatched(t, { pipelines: { primary: { blobs: 'logs/', discoverMs: 200 } } })
  // A last line without its end is no lag: it is no line yet.
  await run.storage.append('logs/a.json', Buffer.concat([lines(5), Buffer.from('{"unfinished":')]))
  await run.storage.append('logs/b.json', lines(5))
  await untilWell(run, 10)
  await eventually(async () => (await lagOf(run)) < 2, 'a short lag')
  run.proxy.plan(() => 'stalled')
  const frozenAtMs = Date.now()
  await run.untilUnready('STORAGE_UNANSWERED')
  await eventually(async () => (await lagOf(run)) > 4, 'growing lag')
  // It is no longer than the outage and the pauses before it.
  assert.ok((await lagOf(run)) < (Date.now() - frozenAtMs) / 1000 + 3)
  run.proxy.plan(() => undefined)
  run.proxy.breakStalled()
  await run.storage.append('logs/b.json', lines(5))
  await untilWell(run, 15)
  await eventually(async () => (await lagOf(run)) < 2, 'a short lag')
})
