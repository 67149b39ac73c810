import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import {
  type LogAnalyticsAnswer,
  type LogAnalyticsReceiver,
  startLogAnalytics,
  token,
} from '../support/log-analytics-receiver.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestConfig, writeProject } from '../support/test-project.ts'

async function setUp(
  t: TestContext,
  answerOf?: (request: number) => LogAnalyticsAnswer | undefined,
  more: Partial<TestConfig> = {},
) {
  const receiver = await startLogAnalytics(t, answerOf)
  const storage = await startStorage(t)
  await storage.append(
    'primary.json',
    linesAsBytes(Array.from({ length: 10 }, (_, index) => jsonlogLine(index))),
  )
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary.json' } },
    ...more,
  })
  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    startTailrace(t, ['start', '--config', project.configPath, ...args], {
      env: { ...receiver.environment, ...env },
    })
  return { receiver, project, start }
}

const messages = ({ rows }: LogAnalyticsReceiver): unknown[] => rows.map(({ Message }) => Message)

test('two variables send each line of the log to Log Analytics, in the columns that the shipped rule declares', async (t) => {
  const { receiver, start } = await setUp(t)
  const running = start(['--once'])
  assert.equal((await running.exited).code, 0, running.stderr)
  const landed = receiver.rows.find(({ Message }) => Message === 'landed')!
  assert.deepEqual([landed.Level, landed.Pipeline], ['info', 'primary'])
  const { rows, tableVersion } = landed.Properties as { rows?: number; tableVersion?: number }
  assert.deepEqual([rows, tableVersion], [10, 1])
  assert.match(String(landed.TimeGenerated), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  // The lines from the start of the run to its end, in their order.
  const logged = running.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => (JSON.parse(line) as { msg: string }).msg)
  const from = logged.indexOf('sending the log to Log Analytics') + 1
  assert.deepEqual(messages(receiver), logged.slice(from))

  const bicep = await readFile(join(projectRoot, 'deploy/log-analytics/main.bicep'), 'utf8')
  const declared = [...bicep.matchAll(/\{ name: '(\w+)', type: '(?:datetime|string|dynamic)' \}/g)].map(
    ([, name]) => name!,
  )
  const sent = new Set(receiver.rows.flatMap((row) => Object.keys(row)))
  assert.deepEqual(
    [...sent].filter((name) => !declared.includes(name)),
    [],
  )
  assert.ok(receiver.requests.every(({ headers }) => headers['content-encoding'] === 'gzip'))
})

test('lines that Log Analytics does not accept at once are sent again, and a stop sends the last ones', async (t) => {
  const answers: readonly (LogAnalyticsAnswer | undefined)[] = [
    { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '1' } },
    { status: 503, code: 'ServiceUnavailable' },
  ]
  const { receiver, start } = await setUp(t, (request) => answers[request - 1])
  const running = start([])
  await eventually(async () => messages(receiver).includes('landed'), 'the log')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr)
  assert.equal(messages(receiver).at(-1), 'stopped')
  assert.equal(messages(receiver).filter((message) => message === 'landed').length, 1)
})

for (const [what, answer, expected] of [
  [
    'an identity without the role',
    { status: 403, code: 'OperationFailed' },
    /Grant the identity the role Monitoring Metrics Publisher/,
  ],
  ['a rule that does not exist', { status: 404, code: 'NotFound' }, /Check the id of the rule/],
] as const)
  test(`${what} is told with its remedy, and landing goes on`, async (t) => {
    const { receiver, project, start } = await setUp(t, () => answer)
    const running = start(['--once'])
    assert.equal((await running.exited).code, 0, running.stderr)
    assert.match(running.stderr, expected)
    assert.match(running.stderr, /TELEMETRY_REFUSED/)
    assert.deepEqual(receiver.rows, [])
    assert.equal((await readTable(project.tableDirectory('primary'))).length, 10)
  })

test('a silent Log Analytics does not outlast a stop', async (t) => {
  const { receiver, start } = await setUp(t, () => 'silent', { stopMs: 1_500 })
  const running = start([])
  await eventually(async () => receiver.requests.length > 0 && /landed/.test(running.stderr), 'a request')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr)
})

test('no secret of a log, and no token, is in what is sent or logged', async (t) => {
  const secret = 'dapi0123456789abcdef0123456789abcdef'
  const { receiver, start } = await setUp(t, undefined, {
    transforms: `[() => { throw new Error('password=${secret}') }]`,
    logLevel: 'debug',
  })
  const running = start(['--once'])
  assert.equal((await running.exited).code, 0, running.stderr)
  const sent = receiver.requests.map(({ text }) => text).join('\n')
  assert.ok(receiver.rows.length > 0)
  for (const text of [sent, running.stderr, running.stdout])
    for (const hidden of [secret, token, 'header-SECRET']) assert.ok(!text.includes(hidden))
})

for (const [name, value] of [
  ['TAILRACE_LOG_ANALYTICS_ENDPOINT', 'http://ingest.monitor.azure.com'],
  ['TAILRACE_LOG_ANALYTICS_ENDPOINT', ''],
  ['TAILRACE_LOG_ANALYTICS_ENDPOINT', 'https://<endpoint>'],
  ['AZURE_TOKEN_CREDENTIALS', 'nobody'],
  ['TAILRACE_LOG_ANALYTICS_RULE', 'my-rule'],
  ['TAILRACE_LOG_ANALYTICS_RULE', `dcr-\u0007${'0'.repeat(32)}`],
  ['TAILRACE_LOG_ANALYTICS_STREAM', 'Tailrace_CL'],
] as const)
  test(`${name}=${JSON.stringify(value)} is told by name, and the run goes on without it`, async (t) => {
    const { receiver, start } = await setUp(t)
    const running = start(['--once'], { [name]: value })
    assert.equal((await running.exited).code, 0, running.stderr)
    assert.match(running.stderr, new RegExp(`"level":"warn".*${name}`))
    assert.deepEqual(receiver.requests, [])
  })
