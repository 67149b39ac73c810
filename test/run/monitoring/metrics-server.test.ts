import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../../src/reporting/logger.ts'
import { healthCodes, healthReason } from '../../../src/run/monitoring/health.ts'
import { MetricsServer, type MetricsServerOptions } from '../../../src/run/monitoring/metrics-server.ts'

const host = '127.0.0.1'

interface Served {
  readonly server: MetricsServer
  ask(path: string, method?: string): Promise<{ status: number; type: string | null; body: string }>
}

async function serve(t: TestContext, more: Partial<MetricsServerOptions> = {}): Promise<Served> {
  const metrics = { contentType: 'text/plain; version=0.0.4', exposition: async () => 'up 1\n' }
  const server = await MetricsServer.listen({
    port: 0,
    host,
    metrics,
    reasonsAgainst: () => [],
    logger: silentLogger,
    ...more,
  })
  t.after(() => server.close())
  return {
    server,
    ask: async (path, method = 'GET') => {
      const response = await fetch(`http://${host}:${server.port}${path}`, { method })
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        body: await response.text(),
      }
    },
  }
}

// First, because connections of the other tests may still be on their way out. So may those of the files before.
test('neither the server nor a connection that stays open keeps the process alive', async (t) => {
  const holding = (): string[] => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'))
  const before = holding()
  const { server } = await serve(t)
  const client = connect(server.port, host)
  client.write('GET /livez HTTP/1.1\r\nHost: here\r\n\r\n')
  await once(client, 'data')
  client.unref()
  assert.ok(holding().length <= before.length, `${holding()}, before ${before}`)
})

test('only /metrics, the probes and the alias of /readyz are there, by GET and HEAD', async (t) => {
  const { ask } = await serve(t)
  const metrics = { status: 200, type: 'text/plain; version=0.0.4', body: 'up 1\n' }
  assert.deepEqual(await ask('/metrics'), metrics)
  assert.deepEqual(await ask('/metrics?name=up'), metrics)
  const well = { status: 200, type: 'application/json; charset=utf-8', body: '{"ok":true,"reasons":[]}\n' }
  for (const path of ['/livez', '/readyz', '/startupz', '/healthz', '/readyz?verbose']) {
    assert.deepEqual(await ask(path), well)
    assert.deepEqual(await ask(path, 'HEAD'), { ...well, body: '' })
  }
  assert.deepEqual(await ask('/metrics', 'HEAD'), { ...metrics, body: '' })
  for (const path of ['/', '/metrics/', '/livez/x', '//metrics']) assert.equal((await ask(path)).status, 404)
  for (const method of ['POST', 'DELETE']) assert.equal((await ask('/metrics', method)).status, 404)
})

test('a probe is 503 with the reasons against it, and the other probes are not', async (t) => {
  const reason = healthReason('DISK_HELD', Date.UTC(2026, 10, 29), 'the stream is held', 'primary')
  const { ask } = await serve(t, { reasonsAgainst: (probe) => (probe === 'readyz' ? [reason] : []) })
  for (const path of ['/readyz', '/healthz']) {
    const { status, body } = await ask(path)
    assert.equal(status, 503)
    assert.deepEqual(JSON.parse(body), {
      ok: false,
      reasons: [
        {
          pipeline: 'primary',
          code: 'DISK_HELD',
          since: '2026-11-29T00:00:00.000Z',
          reason: 'the stream is held',
          action: healthCodes.DISK_HELD,
        },
      ],
    })
    assert.equal((await ask(path, 'HEAD')).status, 503)
  }
  for (const path of ['/livez', '/startupz']) assert.equal((await ask(path)).status, 200)
})

test('metrics that cannot be collected are a 500 without the reason, and the server goes on', async (t) => {
  const exposition = () => Promise.reject(new Error('AccountKey=abc'))
  const { ask } = await serve(t, { metrics: { contentType: 'text/plain', exposition } })
  const { status, body } = await ask('/metrics')
  assert.equal(status, 500)
  assert.doesNotMatch(body, /AccountKey/)
  assert.equal((await ask('/livez')).status, 200)
})

test('a port in use, and a host that is not here, are mistakes of the config', async (t) => {
  const owner = createServer().listen(0, host)
  t.after(() => owner.close())
  await once(owner, 'listening')
  const { port } = owner.address() as { port: number }
  const options = { metrics: { contentType: '', exposition: async () => '' }, reasonsAgainst: () => [] }
  await assert.rejects(MetricsServer.listen({ ...options, port, host, logger: silentLogger }), {
    code: 'CONFIG_INVALID',
    message: `metrics.port: found ${port}, which is in use on ${host}.`,
  })
  // Reserved for documentation (https://www.rfc-editor.org/rfc/rfc5737), so it is no address of this machine.
  await assert.rejects(MetricsServer.listen({ ...options, port, host: '192.0.2.1', logger: silentLogger }), {
    code: 'CONFIG_INVALID',
    message: `metrics.host: found 192.0.2.1, which cannot serve port ${port} (EADDRNOTAVAIL).`,
  })
})

test('closing ends a connection that stays open, and the port is free', { timeout: 10_000 }, async (t) => {
  const { server } = await serve(t)
  const client = connect(server.port, host)
  client.on('error', () => {}).resume()
  await once(client, 'connect')
  await Promise.all([server.close(), once(client, 'close')])
  const again = createServer().listen(server.port, host)
  t.after(() => again.close())
  await once(again, 'listening')
})
