import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  SqlFailure,
  type StatementContext,
  type StatementRows,
} from '../../../doubles/workspace/warehouse-engine.ts'
import { ManualClock } from './manual-clock.ts'
import { nothing, oneRow } from './scripted-engine.ts'
import { workspaceUnderTest } from './workspace-under-test.ts'

const everyType: StatementRows = {
  kind: 'rows',
  columns: [
    { name: 'boolean', type: 'BOOLEAN' },
    { name: 'int', type: 'INT' },
    { name: 'bigint', type: 'BIGINT' },
    { name: 'double', type: 'DOUBLE' },
    { name: 'string', type: 'STRING' },
    { name: 'binary', type: 'BINARY' },
    { name: 'timestamp', type: 'TIMESTAMP' },
    { name: 'date', type: 'DATE' },
    { name: 'decimal', type: 'DECIMAL' },
  ],
  rows: [
    [true, -7, -9_007_199_254_740_991n, 0.5, 'žluť', 'AAH/', '2026-11-24 10:00:00', '2026-11-24', '12.34'],
    [null, null, null, null, null, null, null, null, null],
    // The driver's bitmap has eight rows a byte: the ninth is in the next one.
    ...Array.from({ length: 6 }, () => [false, 1, 2n, 3, '', '', '', '', '4'] as const),
    [null, 2_147_483_647, null, -1e300, null, null, null, null, null],
  ],
}

for (const directResultsWaitMs of [0, 5_000]) {
  const how = directResultsWaitMs === 0 ? 'asked for' : 'in the reply'

  test(`values of all types and nulls arrive, ${how}`, async (t) => {
    const { client, engine } = await workspaceUnderTest(t, { directResultsWaitMs })
    engine.on(/^SELECT/, () => everyType)
    const session = await client.openSession()
    const operation = await session.executeStatement('SELECT everything')
    const rows = (await operation.fetchAll()) as Record<string, unknown>[]
    assert.equal(rows.length, 9)
    assert.deepEqual(Object.values(rows[0]!), [
      true,
      -7,
      -9_007_199_254_740_991,
      0.5,
      'žluť',
      Buffer.from([0, 1, 255]),
      '2026-11-24 10:00:00',
      '2026-11-24',
      12.34,
    ])
    assert.ok(Object.values(rows[1]!).every((value) => value === null))
    assert.equal(rows[7]!.string, '')
    assert.deepEqual(Object.values(rows[8]!).slice(0, 4), [null, 2_147_483_647, null, -1e300])
    await operation.close()
    await session.close()
  })

  test(`many rows come in pages, ${how}`, async (t) => {
    const { client, engine, workspace } = await workspaceUnderTest(t, { directResultsWaitMs })
    const rows = Array.from({ length: 250 }, (_, index) => [index])
    engine.on(/^SELECT/, () => ({ kind: 'rows', columns: [{ name: 'n', type: 'INT' }], rows }))
    const session = await client.openSession()
    const operation = await session.executeStatement('SELECT n', { maxRows: 100 })
    const fetched = (await operation.fetchAll({ maxRows: 100 })) as { n: number }[]
    assert.deepEqual(
      fetched.map(({ n }) => n),
      rows.map(([n]) => n),
    )
    assert.ok(workspace.log.count('FetchResults') >= 2)
  })

  test(`a statement without a result set ends, ${how}`, async (t) => {
    const { client, engine, workspace } = await workspaceUnderTest(t, { directResultsWaitMs })
    engine.on(/^CREATE/, () => nothing)
    const session = await client.openSession()
    const operation = await session.executeStatement('CREATE TABLE t')
    assert.deepEqual(await operation.fetchAll(), [])
    await operation.close()
    const calls = ['GetOperationStatus', 'GetResultSetMetadata', 'CloseOperation'].map((rpc) =>
      workspace.log.count(rpc),
    )
    assert.ok(
      calls.every((count) => (directResultsWaitMs > 0 ? count === 0 : count > 0)),
      String(calls),
    )
  })

  test(`a failed statement has its error class and SQLSTATE, ${how}`, async (t) => {
    const { client, engine, workspace } = await workspaceUnderTest(t, { directResultsWaitMs })
    engine.on(/^SELECT/, () => {
      throw new SqlFailure('TABLE_OR_VIEW_NOT_FOUND', '42P01', 'The table `t` cannot be found.')
    })
    const session = await client.openSession()
    const operation = await session.executeStatement('SELECT * FROM t')
    await assert.rejects(operation.finished(), (error: Error & Record<string, unknown>) => {
      const response = error.response as Record<string, unknown>
      const message = '[TABLE_OR_VIEW_NOT_FOUND] The table `t` cannot be found. SQLSTATE: 42P01'
      assert.equal(error.constructor.name, 'OperationStateError')
      assert.equal(error.errorCode, 'ERROR')
      assert.equal(error.message, message)
      assert.equal(response.displayMessage, message)
      assert.equal(response.sqlState, '42P01')
      assert.ok(String(response.errorMessage).includes('Error running query: [TABLE_OR_VIEW_NOT_FOUND]'))
      return true
    })
    assert.equal(workspace.log.statements[0]!.state, 'ERROR')
    assert.deepEqual(workspace.log.failures, [])
  })
}

test('a statement comes with its parameters, its namespace and its tags', async (t) => {
  const { client, engine, workspace } = await workspaceUnderTest(t)
  const contexts: StatementContext[] = []
  engine.on(/^SELECT/, (context) => {
    contexts.push(context)
    return oneRow('one', 'INT', 1)
  })
  const session = await client.openSession({
    initialCatalog: 'lake',
    initialSchema: 'logs',
    configuration: { TIMEZONE: 'UTC' },
    queryTags: { pipeline: 'a:b' },
  })
  const namedParameters = { text: 'x', big: 9_007_199_254_740_993n, small: 5, none: null, yes: true }
  const operation = await session.executeStatement('SELECT :text', { namedParameters })
  assert.deepEqual(await operation.fetchAll(), [{ one: 1 }])
  const ordinal = await session.executeStatement('SELECT ?', {
    ordinalParameters: ['y'],
    queryTags: { batch: '7' },
  })
  await ordinal.finished()
  assert.deepEqual(contexts[0]!.parameters, [
    { name: 'text', type: 'STRING', value: 'x' },
    { name: 'big', type: 'BIGINT', value: '9007199254740993' },
    { name: 'small', type: 'INTEGER', value: '5' },
    { name: 'none', type: 'VOID', value: null },
    { name: 'yes', type: 'BOOLEAN', value: 'TRUE' },
  ])
  assert.deepEqual(contexts[1]!.parameters, [{ type: 'STRING', value: 'y' }])
  assert.deepEqual([contexts[0]!.catalog, contexts[0]!.schema], ['lake', 'logs'])
  assert.deepEqual(
    workspace.log.statements.map(({ queryTags }) => queryTags),
    ['pipeline:a\\:b', 'batch:7'],
  )
  assert.equal(workspace.log.sessions[0]!.configuration.TIMEZONE, 'UTC')
})

test('more than 256 parameters are refused', async (t) => {
  const { client, workspace } = await workspaceUnderTest(t)
  const session = await client.openSession()
  const ordinalParameters = Array.from({ length: 257 }, (_, index) => index)
  await assert.rejects(session.executeStatement('SELECT ?', { ordinalParameters }), { statusCode: 400 })
  assert.deepEqual(workspace.log.statements, [])
})

test('an unexpected error of the engine fails the statement and is kept for the test', async (t) => {
  const { client, workspace } = await workspaceUnderTest(t)
  const session = await client.openSession()
  const operation = await session.executeStatement('SELECT unknown')
  await assert.rejects(operation.finished(), { message: /^\[INTERNAL_ERROR\] Not scripted: SELECT unknown/ })
  assert.deepEqual(workspace.log.failures, [new Error('Not scripted: SELECT unknown')])
})

test('an RPC that the workspace lacks is refused, and not retried', async (t) => {
  const { client, workspace } = await workspaceUnderTest(t)
  const session = await client.openSession()
  await assert.rejects(session.getInfo(17), { statusCode: 501 })
  assert.equal(workspace.log.count('GetInfo'), 1)
})

test('a statement that takes longer than STATEMENT_TIMEOUT is stopped', async (t) => {
  const clock = new ManualClock()
  const { client, engine, workspace } = await workspaceUnderTest(t, { clock })
  const began = held(engine)
  const session = await client.openSession({ configuration: { STATEMENT_TIMEOUT: '600' } })
  const operation = await session.executeStatement('COPY INTO t')
  const { signal } = await began
  clock.advance(599_999)
  assert.equal(signal.aborted, false)
  clock.advance(1)
  assert.equal(signal.aborted, true)
  await assert.rejects(operation.finished(), (error: Error & Record<string, unknown>) => {
    assert.equal(error.errorCode, 'TIMEOUT')
    assert.match(error.message, /^\[QUERY_EXECUTION_TIMEOUT_EXCEEDED\] .*\(600s\).* SQLSTATE: 57KD0$/)
    return true
  })
  assert.equal(workspace.log.statements[0]!.state, 'TIMEDOUT')
})

test('a canceled statement is stopped, and says so', async (t) => {
  const { client, engine, workspace } = await workspaceUnderTest(t)
  const began = held(engine)
  const session = await client.openSession()
  const operation = await session.executeStatement('COPY INTO t')
  const { signal } = await began
  const finished = assert.rejects(operation.finished(), { errorCode: 'CANCELED' })
  await operation.cancel()
  assert.equal(signal.aborted, true)
  await finished
  assert.equal(workspace.log.statements[0]!.state, 'CANCELED')
  assert.equal(workspace.log.statements[0]!.wasExecuted, false)
})

test('a statement whose operation or session is closed before its end is stopped', async (t) => {
  for (const closes of ['operation', 'session'] as const) {
    const { client, engine, workspace } = await workspaceUnderTest(t)
    const began = held(engine)
    const session = await client.openSession()
    const operation = await session.executeStatement('COPY INTO t')
    const { signal } = await began
    await (closes === 'operation' ? operation : session).close()
    assert.equal(signal.aborted, true)
    assert.equal(workspace.log.statements[0]!.state, 'CLOSED')
    assert.equal(workspace.openSessions, closes === 'operation' ? 1 : 0)
  }
})

test('a statement is seen running until it has ended', async (t) => {
  const { client, engine } = await workspaceUnderTest(t)
  let end = (): void => {}
  engine.on(/^SELECT/, async () => {
    await new Promise<void>((resolve) => {
      end = resolve
    })
    return oneRow('one', 'INT', 1)
  })
  const session = await client.openSession()
  const operation = await session.executeStatement('SELECT 1')
  assert.equal((await operation.status()).operationState, 1)
  end()
  await operation.finished()
  assert.equal((await operation.status()).operationState, 2)
})

test('fifty statements in parallel each get their own rows', async (t) => {
  const { client, engine, workspace } = await workspaceUnderTest(t)
  engine.on(/^SELECT/, (_, statement) => oneRow('text', 'STRING', statement))
  const session = await client.openSession()
  const statements = Array.from({ length: 50 }, (_, index) => `SELECT ${index}`)
  const rows = await Promise.all(
    statements.map(async (statement) => {
      const operation = await session.executeStatement(statement)
      const [row] = (await operation.fetchAll()) as { text: string }[]
      await operation.close()
      return row!.text
    }),
  )
  assert.deepEqual(rows, statements)
  assert.equal(workspace.log.count('CloseOperation'), 50)
})

/** Makes COPY wait for its end for ever, and tells when the engine has begun it. */
function held(engine: {
  on(statement: RegExp, answer: (context: StatementContext) => Promise<never>): unknown
}) {
  return new Promise<StatementContext>((resolve) => {
    engine.on(/^COPY/, (context) => {
      resolve(context)
      return new Promise(() => {})
    })
  })
}
