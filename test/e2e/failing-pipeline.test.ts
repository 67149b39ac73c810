import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { errors } from '../../src/errors.ts'
import type { ProbeAnswer } from '../../src/run/monitoring/metrics-server.ts'
import { eventually } from '../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { samplesOf } from '../support/scrape.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const lines = (count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(index)))

/** Two pipelines; the log of the second one's table is not to be read. */
async function setUp(t: TestContext) {
  const storage = await startStorage(t)
  for (const blob of ['primary.json', 'replica.json']) await storage.append(blob, lines(10))
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary.json' }, replica: { blobs: 'replica.json' } },
    metrics: { port: 0 },
    restart: { minPauseMs: 50, maxPauseMs: 200 },
  })
  const log = join(project.tableDirectory('replica'), '_delta_log')
  await mkdir(log, { recursive: true })
  await writeFile(join(log, `${'0'.repeat(20)}.json`), 'not a commit\n')
  const heal = () => rm(project.tableDirectory('replica'), { recursive: true, maxRetries: 5 })
  return { storage, project, heal, config: ['--config', project.configPath] }
}

test('a pipeline that fails stops no other one, shows everywhere why, and runs again once its cause is gone', async (t) => {
  const { project, heal, config } = await setUp(t)
  const running = startTailrace(t, ['start', ...config])
  const landedBy = (name: string) =>
    running.log.some(({ msg, pipeline }) => msg === 'landed' && pipeline === name)
  await running.until(() => landedBy('primary'), 'rows of the healthy pipeline')
  const failures = () => running.log.filter(({ msg }) => msg?.startsWith('the pipeline failed'))
  await running.until(() => failures().length >= 3, 'three failures')
  assert.deepEqual(
    failures()
      .slice(0, 3)
      .map(({ pauseMs }) => pauseMs),
    [50, 100, 200],
  )

  const { port } = running.log.find(({ msg }) => msg?.includes('serving')) as { port?: number }
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  // The one that runs is not named, and the process itself is not to be ended for the other.
  for (const probe of ['/readyz', '/startupz']) {
    const health = await ask(probe)
    const { reasons } = (await health.json()) as ProbeAnswer
    assert.equal(health.status, 503)
    assert.deepEqual(
      reasons.map(({ pipeline, code, action }) => ({ pipeline, code, action })),
      [{ pipeline: 'replica', code: 'TABLE_CORRUPT', action: errors.TABLE_CORRUPT.hint }],
    )
  }
  assert.equal((await ask('/livez')).status, 200)
  const samples = samplesOf(await (await ask('/metrics')).text())
  assert.equal(samples.get('tailrace_pipeline_running{pipeline="primary"}'), 1)
  assert.equal(samples.get('tailrace_pipeline_running{pipeline="replica"}'), 0)
  assert.ok(samples.get('tailrace_pipeline_failures_total{pipeline="replica",code="TABLE_CORRUPT"}')! >= 3)
  // The table is not to be inspected either, so status fails, but not before it has said what is known.
  const status = await runTailrace(t, ['status', ...config])
  assert.equal(status.code, 1)
  assert.match(status.stdout, /^replica: failed \d+ times since .*, next start at .*: TABLE_CORRUPT: /m)
  assert.doesNotMatch(status.stdout, /^primary: failed/m)

  await heal()
  await running.until(() => landedBy('replica'), 'rows of the other one')
  assert.ok(running.logged('the pipeline runs again'))
  await eventually(async () => (await ask('/readyz')).status === 200, 'readiness')
  assert.equal((await ask('/startupz')).status, 200)
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143)
  for (const name of ['primary', 'replica']) {
    assert.equal((await readTable(project.tableDirectory(name))).length, 10)
  }
})

test('a process that is stopped while a pipeline is failed says so, in its code and for the next status', async (t) => {
  const { heal, config } = await setUp(t)
  const running = startTailrace(t, ['start', ...config])
  await running.until(() => running.logged('the pipeline failed'), 'the failure')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 1)
  assert.match(running.stderr, /tailrace: TABLE_CORRUPT/)
  await heal()
  const { stdout } = await runTailrace(t, ['status', '--json', ...config])
  const { failure } = JSON.parse(stdout).pipelines.find(
    (one: { pipeline: string }) => one.pipeline === 'replica',
  )
  assert.equal(failure.code, 'TABLE_CORRUPT')
  assert.equal(failure.untilMs, undefined)
})

test('with --fail-fast and in a drain one failing pipeline ends the process', async (t) => {
  const { config } = await setUp(t)
  for (const flag of ['--fail-fast', '--once']) {
    const { code, stderr } = await runTailrace(t, ['start', flag, ...config])
    assert.equal(code, 1, stderr)
    assert.match(stderr, /tailrace: TABLE_CORRUPT/)
  }
})

test('a process of which no pipeline can be opened ends', async (t) => {
  const { config } = await setUp(t)
  const { code, stderr } = await runTailrace(t, ['start', '--pipeline', 'replica', ...config])
  assert.equal(code, 1, stderr)
})
