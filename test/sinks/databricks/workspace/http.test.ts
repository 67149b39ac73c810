import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../../../src/clock.ts'
import { type WorkspaceAnswer, WorkspaceHttp } from '../../../../src/sinks/databricks/workspace/http.ts'
import { ManualClock } from '../../../doubles/workspace/manual-clock.ts'
import { nothing } from '../../../doubles/workspace/scripted-engine.ts'
import { addressOf, warehouseUnderTest } from '../warehouse-under-test.ts'

test('a certificate that nobody vouches for is refused, and one of the named authority is not', async (t) => {
  const { workspace, clock } = await warehouseUnderTest(t)
  const { customCa, ...unknown } = addressOf(workspace)
  await assert.rejects(asked(t, new WorkspaceHttp({ address: unknown, clock })), {
    code: 'WAREHOUSE_UNAVAILABLE',
    message: /self-signed certificate/,
  })
  assert.ok(customCa !== undefined)
  assert.equal((await asked(t, new WorkspaceHttp({ address: addressOf(workspace), clock }))).status, 401)
})

test('requests and the driver go through the proxy, with its password and the named authority', async (t) => {
  const proxy = await connectProxy(t)
  const { warehouse, workspace, engine, clock } = await warehouseUnderTest(t, {
    way: { proxy: `http://user:p%40ss@127.0.0.1:${proxy.port}` },
  })
  engine.on(/./, () => nothing)
  const address = { ...addressOf(workspace), proxy: `http://user:p%40ss@127.0.0.1:${proxy.port}` }
  assert.equal((await asked(t, new WorkspaceHttp({ address, clock }))).status, 401)
  assert.deepEqual(proxy.targets, [`127.0.0.1:${workspace.port}`])
  await warehouse.execute({ label: 'ask', sql: 'SELECT 1', repeatable: true })
  assert.ok(proxy.targets.length > 1)
  const passwords = new Set(proxy.authorizations)
  assert.deepEqual([...passwords], [`Basic ${Buffer.from('user:p@ss').toString('base64')}`])
})

test('a proxy that refuses the password is reported as a refusal', async (t) => {
  const proxy = await connectProxy(t, 407)
  const { workspace, clock } = await warehouseUnderTest(t)
  const address = { ...addressOf(workspace), proxy: `http://127.0.0.1:${proxy.port}` }
  const answer = await asked(t, new WorkspaceHttp({ address, clock }))
  assert.equal(answer.status, 407)
})

test('a server that accepts the connection and never answers is given up in time', async (t) => {
  const silent = createTcpServer(() => {})
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const { port } = silent.address() as AddressInfo
  const clock = new ManualClock()
  const http = new WorkspaceHttp({
    address: { host: '127.0.0.1', port },
    clock,
  })
  const connected = once(silent, 'connection')
  const answer = asked(t, http)
  await connected
  clock.advance(10_000)
  await assert.rejects(answer, { code: 'WAREHOUSE_UNAVAILABLE', message: /no connection for 10000 ms/ })
})

test('the signal ends a request with its reason, and a body that cannot be read with its own error', async (t) => {
  const { workspace } = await warehouseUnderTest(t)
  const http = new WorkspaceHttp({ address: addressOf(workspace), clock: systemClock })
  t.after(() => http.close())
  const reason = new Error('the pipeline stops')
  await assert.rejects(
    http.request({ method: 'GET', path: '/', signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  )
  const unreadable = new Error('unreadable')
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10)
    throw unreadable
  }
  await assert.rejects(
    http.request({ method: 'PUT', path: '/api/2.0/fs/files/Volumes/a/b/c/d', body: { bytes: 100, open } }),
    (error) => error === unreadable,
  )
})

async function asked(t: TestContext, http: WorkspaceHttp): Promise<WorkspaceAnswer> {
  t.after(() => http.close())
  return await http.request({ method: 'HEAD', path: '/api/2.0/fs/files/Volumes/a/b/c/d' })
}

interface ConnectProxy {
  readonly port: number
  readonly targets: string[]
  readonly authorizations: (string | undefined)[]
}

/** A proxy that makes tunnels, or refuses to. */
async function connectProxy(t: TestContext, refusal?: number): Promise<ConnectProxy> {
  const targets: string[] = []
  const authorizations: (string | undefined)[] = []
  const server: Server = createServer()
  server.on('connect', (request, client) => {
    authorizations.push(request.headers['proxy-authorization'])
    if (refusal !== undefined) {
      client.end(`HTTP/1.1 ${refusal} Refused\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    targets.push(request.url ?? '')
    const [host = '', port] = (request.url ?? '').split(':')
    const target = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.pipe(client).pipe(target)
    })
    for (const socket of [target, client]) socket.on('error', () => target.destroy())
    client.on('close', () => target.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { port: (server.address() as AddressInfo).port, targets, authorizations }
}
