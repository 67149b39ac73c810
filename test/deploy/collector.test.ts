import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { runTool, tools, toolsMissing } from './tools.ts'

const skip = skipUnless(toolsMissing('collector'))
const shipped = readFileSync(join(projectRoot, 'deploy/monitoring/otel-collector.yaml'), 'utf8')

/**
 * The shipped config with a receiver on loopback in place of Application Insights: the exporter for it is in no package
 * registry.
 */
function withExporter(url: string): string {
  const exporter = `  otlp_http:\n    endpoint: ${url}\n    encoding: json\n    compression: none\n\n`
  const changed = shipped
    .replace(/ {2}azuremonitor:\n(?: {4}.*\n)+\n/, exporter)
    .replaceAll('[azuremonitor]', '[otlp_http]')
    .replace('timeout: 5s', 'timeout: 100ms')
  assert.ok(changed.includes(exporter) && !changed.includes('azuremonitor'))
  return changed
}

async function startCollector(t: TestContext, config: string, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const path = join(await temporaryDirectory(t), 'collector.yaml')
  await writeFile(path, config)
  const check = await runTool(tools.collector, ['validate', '--config', path], { env })
  assert.equal(check.code, 0, check.stderr)
  const collector = spawn(tools.collector, ['--config', path], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => collector.kill('SIGKILL'))
  return collector
}

test('a collector with the shipped config takes the logs, metrics and traces of a run, in both encodings', {
  skip,
}, async (t) => {
  const receiver = await startOtlpReceiver(t)
  const listen = `127.0.0.1:${await freePort()}`
  const collector = await startCollector(t, withExporter(receiver.url), { OTLP_LISTEN: listen })
  let output = ''
  collector.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await eventually(async () => output.includes('Everything is ready'), 'the collector').catch(
    (error: Error) => {
      throw new Error(`${error.message}\n${output}`)
    },
  )

  for (const [index, protocol] of ['http/protobuf', 'http/json'].entries()) {
    const storage = await startStorage(t)
    await storage.append(
      'primary.json',
      linesAsBytes(Array.from({ length: 7 }, (_, line) => jsonlogLine(line))),
    )
    const project = await writeProject(await temporaryDirectory(t), {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      pipelines: { primary: { blobs: 'primary.json' } },
    })
    const service = `run-${index}`
    const run = await runTailrace(t, ['start', '--once', '--config', project.configPath], {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://${listen}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_SERVICE_NAME: service,
      },
    })
    assert.equal(run.code, 0, run.stderr)
    assert.ok(!run.process.logged('were not sent'), run.stderr)
    const { length } = await storage.content('primary.json')
    const spans = () => receiver.spans().filter(({ resource }) => resource['service.name'] === service)
    await eventually(async () => spans().length === 4, `spans by ${protocol}`)
    const root = spans().find(({ name }) => name === 'land batch')!
    assert.deepEqual(root.attributes['tailrace.offsets.end'], [length])
    assert.equal(root.attributes['tailrace.batch.rows'], 7)
    const logs = () => receiver.logs().filter(({ resource }) => resource['service.name'] === service)
    await eventually(async () => logs().some(({ body }) => body === 'done'), `logs by ${protocol}`)
    assert.equal(logs().find(({ body }) => body === 'landed')?.traceId, root.traceId)
  }
  // The two runs' metrics may reach the receiver in either order, and the second long after the first.
  const rows = () => receiver.points().filter(({ name }) => name === 'tailrace_rows_total')
  await eventually(async () => rows().length >= 2, 'metrics of both runs')
  assert.deepEqual(
    rows().map(({ kind, value }) => [kind, value]),
    [
      ['sum', 7],
      ['sum', 7],
    ],
  )
  assert.equal(receiver.points().filter(({ kind }) => kind === 'histogram')[0]?.value, 1)
})
