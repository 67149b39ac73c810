import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { prometheusMissing, startPrometheus } from '../support/prometheus.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startWatched } from '../support/watched-run.ts'

const skip = skipUnless(prometheusMissing())
const folder = fileURLToPath(new URL('../../deploy/monitoring/', import.meta.url))
const rules = readFileSync(`${folder}tailrace.rules.yml`, 'utf8')
const alerts = [...rules.matchAll(/- alert: (\w+)\n\s+expr: (.+)\n/g)].map(([, name, expression]) => ({
  name: name!,
  expression: expression!,
}))

interface Panel {
  readonly title: string
  readonly targets: readonly { readonly expr: string }[]
}
const dashboard = JSON.parse(readFileSync(`${folder}tailrace-dashboard.json`, 'utf8')) as {
  readonly panels: readonly Panel[]
}

const lines = (count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(index)))

test('promtool finds no mistake in the rules, and each alert fires on its cause and not on what resembles it', {
  skip,
}, () => {
  for (const args of [
    ['check', 'rules', 'tailrace.rules.yml'],
    ['test', 'rules', 'tailrace.rules.test.yml'],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' })
    assert.equal(status, 0, `${args.join(' ')}:\n${stdout}${stderr}`)
  }
  const tests = readFileSync(`${folder}tailrace.rules.test.yml`, 'utf8')
  const named = [...tests.matchAll(/- name: (.+)\n/g)].map(([, name]) => name)
  assert.deepEqual(
    named,
    alerts.flatMap(({ name }) => [`${name} fires`, `${name} is silent`]),
  )
})

test('docs/operations.md has a runbook for each alert, to which the alert leads', () => {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [, section = ''] = page.split('\n## Alerts\n')
  const headings = [...section.split('\n## ', 1)[0]!.matchAll(/^### (\w+)$/gm)].map(([, name]) => name!)
  assert.ok(alerts.length > 10)
  assert.deepEqual(
    headings,
    alerts.map(({ name }) => name),
  )
  const links = [...rules.matchAll(/runbook: docs\/operations\.md#(\w+)/g)].map(([, anchor]) => anchor)
  assert.deepEqual(
    links,
    alerts.map(({ name }) => name.toLowerCase()),
  )
})

test('every query of the dashboard, and every metric of an alert, has data of a running Tailrace', {
  skip,
}, async (t) => {
  const run = await startWatched(t, { fault: () => 'denied' })
  await run.untilUnready('SOURCE_DENIED')
  run.proxy.plan(() => 'busy')
  const retries = 'tailrace_retries_total{pipeline="primary",code="SOURCE_UNAVAILABLE"}'
  await eventually(async () => (await run.samples()).has(retries), 'a retry')
  run.proxy.plan(() => undefined)
  await run.storage.append('primary.json', Buffer.concat([lines(10), Buffer.from('no JSON\n')]))
  await run.process.until(() => run.process.logged('landed'), 'the first batch')

  const prometheus = await startPrometheus(t, { ports: [run.port], rules })
  const expressions = [
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...alerts.flatMap(({ expression }) => expression.match(/tailrace_\w+/g) ?? []),
    // The variable of the dashboard lists the values of this label.
    'tailrace_pipeline_running{pipeline!=""}',
  ]
  assert.ok(expressions.length > 40)
  for (const expression of expressions) {
    const filled = expression.replaceAll('$pipeline', '.*').replaceAll('$__rate_interval', '10s')
    assert.doesNotMatch(filled, /\$/)
    await eventually(async () => (await prometheus.query(filled)).length > 0, `data of ${filled}`)
  }
})

test('frozen storage, a full disk, a commit that hangs and refused storage each fire their alerts, and no other', {
  skip,
}, async (t) => {
  const named = (name: string) => ({ pipelines: { [name]: { blobs: 'primary.json' } } })
  const [frozen, full, stalled, denied] = await Promise.all([
    startWatched(t, named('frozen')),
    startWatched(t, { ...named('full'), disk: { minFreeBytes: 2 ** 52, checkMs: 100 } }),
    startWatched(t, { ...named('stalled'), tableInStorage: true }),
    startWatched(t, { ...named('denied'), fault: () => 'denied' }),
  ])
  for (const run of [frozen, stalled]) {
    await run.storage.append('primary.json', lines(10))
    await run.process.until(() => run.process.logged('landed'), 'the first batch')
    await run.untilUnready()
  }
  // As shipped, but in seconds where they wait for minutes.
  const hurried = rules
    .replaceAll(/^ +for: .*\n/gm, '')
    .replaceAll(/(_seconds > )(\d+)/g, (_, comparison, seconds) => `${comparison}${Number(seconds) / 100}`)
  assert.match(hurried, /expr: tailrace_lag_seconds > 9 \+ tailrace_batch_age_seconds\n/)
  const ports = [frozen, full, stalled, denied].map(({ port }) => port)
  frozen.proxy.plan(() => 'stalled')
  stalled.proxy.plan(({ method, url }) =>
    method === 'PUT' && url.includes('_delta_log') ? 'stalled' : undefined,
  )
  for (const run of [frozen, full, stalled]) await run.storage.append('primary.json', lines(10))
  const prometheus = await startPrometheus(t, { ports, rules: hurried })

  const expected = {
    frozen: ['TailraceLagging', 'TailraceNotReady', 'TailraceStorageSilent'],
    full: ['TailraceDiskHeld', 'TailraceDiskNearlyShort', 'TailraceLagging', 'TailraceNotReady'],
    stalled: ['TailraceCommitsStalled', 'TailraceLagging', 'TailraceNotReady'],
    denied: ['TailraceLagging', 'TailraceNotReady', 'TailracePipelineFailing', 'TailracePipelineNotRunning'],
  }
  let fired: Record<string, string[]> = {}
  await eventually(async () => {
    fired = { frozen: [], full: [], stalled: [], denied: [] }
    for (const { metric } of await prometheus.query(
      'max by (pipeline, alertname) (max_over_time(ALERTS{alertstate="firing"}[10m]))',
    ))
      fired[String(metric.pipeline)]?.push(String(metric.alertname))
    for (const names of Object.values(fired)) names.sort()
    return JSON.stringify(fired) === JSON.stringify(expected)
  }, 'the alerts').catch(() => assert.deepEqual(fired, expected))
})
