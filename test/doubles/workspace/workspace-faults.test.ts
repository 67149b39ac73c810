import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FaultPlan } from '../../../doubles/workspace/faults.ts'
import { SqlFailure } from '../../../doubles/workspace/warehouse-engine.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { nothing, oneRow } from './scripted-engine.ts'
import { ask, type WorkspaceUnderTest, workspaceUnderTest } from './workspace-under-test.ts'

const volume = '/Volumes/c/s/v'
const file = `/api/2.0/fs/files${volume}/a`

test('a refused statement throws at once with its Retry-After, and was not executed', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  for (const [status, code] of [
    [429, 'REQUEST_LIMIT_EXCEEDED'],
    [503, 'TEMPORARILY_UNAVAILABLE'],
  ] as const) {
    workspace.faults.add({ statement: /^COPY/, fault: { kind: 'status', status, retryAfterSeconds: 30 } })
    await assert.rejects(
      session.executeStatement('COPY'),
      (error: { statusCode: number; response: Response }) => {
        assert.equal(error.statusCode, status)
        assert.equal(error.response.headers.get('retry-after'), '30')
        assert.ok(error.response.headers.get('x-thriftserver-error-message')!.startsWith(`${code}: `))
        return true
      },
    )
  }
  await (await session.executeStatement('COPY')).finished()
  assert.equal(workspace.log.statements.length, 1)
})

test('the driver retries the RPCs that change nothing by itself, and no other', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  const operation = await session.executeStatement('COPY')
  workspace.faults.add({ rpc: 'GetOperationStatus', fault: { kind: 'status', status: 503 }, times: 2 })
  workspace.faults.add({ rpc: 'GetOperationStatus', fault: { kind: 'drop-before' } })
  await operation.finished()
  assert.equal(workspace.log.count('GetOperationStatus'), 4)
  const refused = workspace.faults.add({
    rpc: 'OpenSession',
    fault: { kind: 'status', status: 503 },
    times: 9,
  })
  await assert.rejects(client.openSession(), { statusCode: 503 })
  assert.equal(refused.strikes, 1)
})

test('a statement dropped before its execution never ran', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  workspace.faults.add({ statement: /^COPY/, fault: { kind: 'drop-before' } })
  await assert.rejects(session.executeStatement('COPY'), { name: 'FetchError', code: 'ECONNRESET' })
  assert.deepEqual(workspace.log.statements, [])
})

test('a statement whose reply is lost ran to its end', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  workspace.faults.add({ statement: /^COPY/, fault: { kind: 'drop-after' } })
  await assert.rejects(session.executeStatement('COPY'), { name: 'FetchError', code: 'ECONNRESET' })
  assert.equal(workspace.log.statements[0]!.wasExecuted, true)
  assert.equal(workspace.log.statements[0]!.state, 'FINISHED')
})

test('a statement continues after its reply is lost', async (t) => {
  const { client, workspace, engine } = await workspaceUnderTest(t)
  let end = (): void => {}
  const held = new Promise<void>((resolve) => {
    end = resolve
  })
  engine.on(/^COPY/, async ({ signal }) => {
    await held
    assert.equal(signal.aborted, false)
    return nothing
  })
  const session = await client.openSession()
  workspace.faults.add({ statement: /^COPY/, fault: { kind: 'orphan' } })
  await assert.rejects(session.executeStatement('COPY'), { code: 'ECONNRESET' })
  const [orphan] = workspace.log.statements
  assert.deepEqual([orphan!.state, orphan!.wasExecuted], ['RUNNING', false])
  end()
  await eventually(async () => orphan!.state === 'FINISHED', 'end of the orphan')
})

test('an expired session says so by a status or by HTTP, and takes its statements with it', async (t) => {
  const { client, workspace } = await withCopy(t)
  for (const saidBy of [undefined, 'http'] as const) {
    const session = await client.openSession()
    const hold = workspace.faults.add({ statement: /^COPY 1/, fault: { kind: 'slow' } })
    const running = await session.executeStatement('COPY 1')
    await hold.struck
    const fault = { kind: 'session-expired', ...(saidBy ? { saidBy } : {}) } as const
    workspace.faults.add({ statement: /^COPY 2/, fault })
    await assert.rejects(session.executeStatement('COPY 2'), (error: Record<string, unknown>) => {
      const response = error.response as Response | undefined
      const said = response?.headers.get('x-thriftserver-error-message') ?? error.message
      assert.match(String(said), saidBy ? /^BAD_REQUEST: Invalid SessionHandle: Session \[/ : expired)
      // The driver's StatusError is no Error.
      assert.equal(error instanceof Error, saidBy === 'http')
      return true
    })
    await assert.rejects(session.executeStatement('COPY 3'), { name: 'Status Error', message: expired })
    await assert.rejects(running.finished(), { message: /^Invalid OperationHandle: / })
    assert.equal(workspace.log.statements.at(-1)!.state, 'CLOSED')
    assert.equal(workspace.openSessions, 0)
  }
})

test('a slow statement is seen running for some polls', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  workspace.faults.add({ statement: /^COPY/, fault: { kind: 'slow', polls: 2 } })
  const operation = await session.executeStatement('COPY')
  const states: unknown[] = []
  await operation.finished({ callback: ({ operationState }) => states.push(operationState) })
  assert.deepEqual(states, [1, 1, 2])
})

test('cancelling a statement that ended unheard has no effect', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  workspace.faults.add({ statement: /^COPY/, fault: { kind: 'slow', holds: 'end' } })
  const operation = await session.executeStatement('COPY')
  await eventually(async () => workspace.log.statements[0]!.wasExecuted, 'end of the execution')
  assert.equal((await operation.status()).operationState, 1)
  await operation.cancel()
  assert.deepEqual(
    [workspace.log.statements[0]!.state, workspace.log.statements[0]!.wasExecuted],
    ['CANCELED', true],
  )
})

test('a statement fails as the test requests', async (t) => {
  const { client, workspace } = await withCopy(t)
  const session = await client.openSession()
  const failure = new SqlFailure('PATH_NOT_FOUND', '42K03', 'Path does not exist.')
  workspace.faults.add({ statement: /^COPY/, fault: { kind: 'fail', failure } })
  const operation = await session.executeStatement('COPY')
  await assert.rejects(operation.finished(), {
    message: '[PATH_NOT_FOUND] Path does not exist. SQLSTATE: 42K03',
  })
  assert.equal(workspace.log.statements[0]!.wasExecuted, false)
})

test('a cold warehouse lets statements wait until it is up', async (t) => {
  const { client, workspace } = await withCopy(t)
  const cold = workspace.faults.coldStart('waits')
  const session = await client.openSession()
  const operation = await session.executeStatement('COPY')
  assert.equal((await operation.status()).operationState, 1)
  cold.release()
  await operation.finished()
})

test('a cold warehouse refuses sessions until it is up', async (t) => {
  const { client, workspace } = await withCopy(t)
  const cold = workspace.faults.coldStart('refuses')
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await assert.rejects(client.openSession(), { statusCode: 503 })
  }
  cold.release()
  await client.openSession()
})

test('an upload is refused, cut short, or stored with its reply lost', async (t) => {
  const { client, workspace, files } = await workspaceUnderTest(t)
  const stagingAllowedLocalPath = await temporaryDirectory(t)
  const local = join(stagingAllowedLocalPath, 'a')
  await writeFile(local, Buffer.alloc(3_000_000, 1))
  const session = await client.openSession()
  const put = () => session.executeStatement(`PUT '${local}' INTO '${volume}/a'`, { stagingAllowedLocalPath })
  const route = /^PUT \/staging\//
  workspace.faults.add({ route, fault: { kind: 'status', status: 403 } })
  await assert.rejects(put(), { message: 'HTTP error 403 Forbidden' })
  workspace.faults.add({ route, fault: { kind: 'cut-upload', afterBytes: 1_000_000 } })
  await assert.rejects(put(), { name: 'FetchError' })
  assert.equal(await files.read(`${volume}/a`), undefined)
  workspace.faults.add({ route, fault: { kind: 'drop-after' } })
  await assert.rejects(put(), { name: 'FetchError', code: 'ECONNRESET' })
  assert.equal((await files.read(`${volume}/a`))!.length, 3_000_000)
  assert.equal(workspace.log.uploads.length, 1)
  assert.deepEqual(workspace.log.failures, [])
})

test('the Files API is refused, dropped and cut as well', async (t) => {
  const { workspace, files } = await workspaceUnderTest(t)
  const route = /^PUT \/api\/2\.0\/fs\/files/
  workspace.faults.add({ route, fault: { kind: 'status', status: 429, retryAfterSeconds: 1 } })
  workspace.faults.add({ route, fault: { kind: 'drop-before' } })
  workspace.faults.add({ route, fault: { kind: 'cut-upload', afterBytes: 10 } })
  const put = () => ask(workspace, 'PUT', file, { body: Buffer.alloc(100) })
  const refused = await put()
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '1'])
  assert.equal(JSON.parse(refused.body.toString()).error_code, 'REQUEST_LIMIT_EXCEEDED')
  await assert.rejects(put(), { code: 'ECONNRESET' })
  await assert.rejects(put(), { code: 'ECONNRESET' })
  assert.equal(await files.read(`${volume}/a`), undefined)
  assert.equal((await put()).status, 204)
})

test('faults with a probability come again with their seed', () => {
  const struck = (seed: number): readonly boolean[] => {
    const plan = new FaultPlan(seed)
    plan.add({ rpc: 'FetchResults', fault: { kind: 'drop-before' }, probability: 0.3 })
    return Array.from({ length: 1_000 }, () => plan.strike({ rpc: 'FetchResults' }) !== undefined)
  }
  const count = struck(7).filter(Boolean).length
  assert.ok(count > 250 && count < 350, `${count} of 1,000`)
  assert.deepEqual(struck(7), struck(7))
  assert.notDeepEqual(struck(7), struck(8))
})

const expired = /^Invalid SessionHandle: SessionHandle \[[0-9a-f-]{36}\]$/

/** A workspace whose engine knows COPY. */
async function withCopy(t: TestContext): Promise<WorkspaceUnderTest> {
  const underTest = await workspaceUnderTest(t)
  underTest.engine.on(/^COPY/, async () => {
    // Longer than a statement's reply takes to leave, where that does not wait for the statement.
    for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve))
    return oneRow('num_affected_rows', 'BIGINT', 3n)
  })
  return underTest
}
