import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestConfig, writeProject } from '../support/test-project.ts'

const lines = (count: number, from = 0): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))

async function setUp(t: TestContext, receiver: OtlpReceiver, more: Partial<TestConfig> = {}) {
  const storage = await startStorage(t)
  await storage.append('primary.json', lines(10))
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary.json' } },
    ...more,
  })
  const start = (env: Readonly<Record<string, string>> = {}, ...args: string[]) =>
    startTailrace(t, ['start', '--config', project.configPath, ...args], {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_BSP_SCHEDULE_DELAY: '50',
        OTEL_BLRP_SCHEDULE_DELAY: '50',
        OTEL_METRIC_EXPORT_INTERVAL: '200',
        ...env,
      },
    })
  return { storage, project, start }
}

test('one variable sends logs, metrics and a trace of each batch with its blobs and offsets, all of one service', async (t) => {
  const receiver = await startOtlpReceiver(t)
  const { storage, start } = await setUp(t, receiver)
  const running = start({
    OTEL_SERVICE_NAME: 'pg-logs',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=uat',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=dba',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  })
  const spansOf = (name: string) => receiver.spans().filter((span) => span.name === name)
  await eventually(async () => spansOf('land batch').length === 1, 'the trace of a batch')
  const { length } = await storage.content('primary.json')
  const [root] = spansOf('land batch')
  const { attributes } = root!
  assert.equal(attributes['tailrace.pipeline'], 'primary')
  assert.deepEqual(attributes['tailrace.offsets.start'], [0])
  assert.deepEqual(attributes['tailrace.offsets.end'], [length])
  assert.match(String(attributes['tailrace.blobs']), /^logs\/primary\.json@\d{8}T\d{6}Z$/)
  assert.deepEqual(
    [
      attributes['tailrace.batch.rows'],
      attributes['tailrace.batch.bytes'],
      attributes['tailrace.table.version'],
    ],
    [10, length, 1],
  )
  assert.equal(root!.resource['service.name'], 'pg-logs')
  assert.equal(root!.resource['deployment.environment.name'], 'uat')

  // The steps are inside the batch, one after the other.
  const steps = ['read', 'encode', 'commit'].map((name) => spansOf(name)[0]!)
  for (const step of steps) {
    assert.deepEqual([step.traceId, step.parentSpanId], [root!.traceId, root!.spanId], step.name)
    assert.ok(
      root!.startMs <= step.startMs && step.startMs <= step.endMs && step.endMs <= root!.endMs,
      step.name,
    )
  }
  const [read, encode, commit] = steps
  assert.ok(read!.endMs <= encode!.startMs && encode!.endMs <= commit!.startMs)
  assert.equal(root!.traceId, String(attributes['tailrace.batch.id']).replaceAll('-', ''))

  await eventually(async () => receiver.logs().some(({ body }) => body === 'landed'), 'the log')
  const landed = receiver.logs().find(({ body }) => body === 'landed')!
  assert.deepEqual([landed.severity, landed.severityNumber, landed.traceId], ['info', 9, root!.traceId])
  assert.deepEqual([landed.attributes.rows, landed.attributes.pipeline], [10, 'primary'])

  const value = (name: string) =>
    receiver
      .points()
      .filter((point) => point.name === name && point.attributes.pipeline === 'primary')
      .at(-1)
  await eventually(async () => value('tailrace_rows_total')?.value === 10, 'the metrics')
  assert.equal(value('tailrace_rows_total')?.kind, 'sum')
  assert.deepEqual([value('tailrace_lag_bytes')?.kind, value('tailrace_lag_bytes')?.unit], ['gauge', 'By'])
  assert.equal(value('tailrace_commit_duration_seconds')?.value, 1)
  const sent = receiver.points().filter(({ name }) => name === 'tailrace_telemetry_sent_total')
  assert.ok(sent.some(({ attributes: { signal }, value: count }) => signal === 'logs' && count > 0))

  for (const { headers } of receiver.requests) {
    assert.equal(headers['x-team'], 'dba')
    assert.equal(headers['content-encoding'], 'gzip')
  }
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr)
  // The last records are sent by the stop.
  assert.ok(receiver.logs().some(({ body }) => body === 'stopped'))
  assert.equal(value('tailrace_pipeline_running')?.value, 0)
})

test('no secret of a log or of a header is in what is sent', async (t) => {
  const receiver = await startOtlpReceiver(t)
  const secret = 'dapi0123456789abcdef0123456789abcdef'
  const { start } = await setUp(t, receiver, {
    transforms: `[() => { throw new Error('password=${secret}') }]`,
    logLevel: 'debug',
  })
  const running = start({ OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${secret}` }, '--once')
  assert.equal((await running.exited).code, 0, running.stderr)
  const sent = receiver.requests.map(({ text }) => text).join('\n')
  assert.ok(receiver.spans().length > 0)
  assert.ok(!sent.includes(secret))
  assert.equal(receiver.requests[0]!.headers.authorization, `Bearer ${secret}`)
})

test('records that a collector accepts the request of and refuses are counted as dropped, and the log says why once', async (t) => {
  const receiver = await startOtlpReceiver(t)
  const { start } = await setUp(t, receiver)
  // A number of 64 bits is a text in the JSON of protobuf; its writers also accept a number.
  const refused = { logs: { rejectedLogRecords: '1' }, traces: { rejectedSpans: 2 } }
  receiver.answer((response, path) => {
    const signal = path.split('/').at(-1) as keyof typeof refused
    const partialSuccess = refused[signal] && {
      ...refused[signal],
      errorMessage: `the ${signal} are too old`,
    }
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ partialSuccess }))
  })
  const running = start()
  const dropped = (signal: string): number =>
    receiver
      .points()
      .findLast(
        ({ name, attributes }) =>
          name === 'tailrace_telemetry_dropped_total' &&
          attributes.signal === signal &&
          attributes.reason === 'not_accepted',
      )?.value ?? 0
  await eventually(async () => dropped('logs') > 1 && dropped('traces') >= 2, 'the counts')
  const words = running.log.filter(({ msg }) => msg?.includes('refused by the collector'))
  assert.deepEqual(words.map(({ reason }) => reason).sort(), [
    'the logs are too old',
    'the traces are too old',
  ])
})

test('a sampler, an excluded signal and an unknown protocol of the environment count', async (t) => {
  const receiver = await startOtlpReceiver(t)
  const { start } = await setUp(t, receiver)
  const running = start(
    {
      OTEL_TRACES_SAMPLER: 'always_off',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc',
    },
    '--once',
  )
  assert.equal((await running.exited).code, 0)
  assert.deepEqual(receiver.requests, [])
  assert.ok(running.logged('OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: found grpc'), running.stderr)
})

test('a collector that refuses, hangs or is gone loses telemetry and nothing else, and a stop stays within its time', async (t) => {
  const receiver = await startOtlpReceiver(t)
  const stopMs = 4_000
  const { storage, project, start } = await setUp(t, receiver, { stopMs })
  const rows = async () => (await readTable(project.tableDirectory('primary')).catch(() => [])).length
  let count = 10
  for (const answer of ['refuses', 'hangs', 'is gone'] as const) {
    receiver.answer((response) => {
      if (answer === 'refuses') response.writeHead(403).end()
      if (answer === 'is gone') response.destroy()
    })
    const running = start()
    await storage.append('primary.json', lines(10, count))
    count += 10
    await eventually(async () => (await rows()) === count, `${count} rows while the collector ${answer}`)
    if (answer === 'refuses') {
      await running.until(() => running.logged('were not sent'), 'a word about it')
      const { err } = running.log.find(({ msg }) => msg?.includes('were not sent'))!
      assert.equal((err as { code: string }).code, 'TELEMETRY_REFUSED')
    }
    const stoppedAtMs = Date.now()
    running.kill('SIGTERM')
    assert.equal((await running.exited).code, 143, running.stderr)
    assert.ok(Date.now() - stoppedAtMs < stopMs, `${answer}: ${Date.now() - stoppedAtMs} ms`)
  }
})
