import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SqlFailure } from '../../../../doubles/workspace/warehouse-engine.ts'
import { isTailraceError, type TailraceError } from '../../../../src/errors.ts'
import type { Statement } from '../../../../src/sinks/databricks/warehouse/warehouse.ts'
import { ManualClock } from '../../../doubles/workspace/manual-clock.ts'
import { nothing, oneRow } from '../../../doubles/workspace/scripted-engine.ts'
import { eventually } from '../../../support/eventually.ts'
import { HastyClock } from '../../../support/hasty-clock.ts'
import { warehouseUnderTest } from '../warehouse-under-test.ts'

const select: Statement = { label: 'ask', sql: 'SELECT 1', repeatable: true }
const insert: Statement = { label: 'insert rows', sql: 'INSERT INTO t', repeatable: false }

test('a statement gives its rows, 64-bit integers as bigint, in a session of UTC with the names of the pipeline', async (t) => {
  const { warehouse, engine, workspace } = await warehouseUnderTest(t, { statementMs: 90_000 })
  engine.on(/^SELECT :n/, ({ parameters }) => oneRow('n', 'BIGINT', BigInt(parameters[0]!.value!)))
  const rows = await warehouse.execute({
    label: 'ask, gently',
    sql: 'SELECT :n',
    parameters: { n: 7n },
    repeatable: true,
    batch: 'b-1',
  })
  assert.deepEqual(
    rows.map((row) => ({ ...row })),
    [{ n: 7n }],
  )
  assert.deepEqual(workspace.log.sessions[0]?.configuration, {
    TIMEZONE: 'UTC',
    STATEMENT_TIMEOUT: '90',
    QUERY_TAGS: 'pipeline:primary',
  })
  assert.equal(workspace.log.statements[0]?.queryTags, 'pipeline:primary,batch:b-1,statement:ask\\, gently')
})

test('a long result is fetched in parts, as fast as they are taken, and only as far as they are wanted', async (t) => {
  const { warehouse, engine } = await warehouseUnderTest(t)
  const ask: Statement = { label: 'ask', sql: 'SELECT many', repeatable: false }
  const rows = Array.from({ length: 25_000 }, (_, index) => [BigInt(index)])
  engine.on(/^SELECT many/, () => ({ kind: 'rows', columns: [{ name: 'n', type: 'BIGINT' }], rows }))
  engine.on(/^SELECT nothing/, () => ({ kind: 'rows', columns: [{ name: 'n', type: 'BIGINT' }], rows: [] }))
  const parts: number[] = []
  const taken: unknown[] = []
  await warehouse.stream(ask, async ({ columns, rows: some }) => {
    assert.deepEqual(columns, ['n'])
    parts.push(some.length)
    for (const [value] of some) taken.push(value)
    return true
  })
  assert.deepEqual([parts[0], parts.length > 2], [0, true])
  assert.ok(parts.slice(1).every((count) => count > 0))
  assert.deepEqual(
    taken,
    rows.map(([value]) => value),
  )

  let more = 0
  await warehouse.stream(ask, async () => {
    more += 1
    return more < 2
  })
  assert.equal(more, 2)
  await warehouse.stream({ ...ask, sql: 'SELECT nothing' }, async ({ columns, rows: some }) => {
    assert.deepEqual([columns, some], [['n'], []])
    return true
  })
})

test('statements take turns in one session, and closing ends it', async (t) => {
  const { warehouse, engine, workspace } = await warehouseUnderTest(t)
  let running = 0
  let most = 0
  engine.on(/^SELECT/, async () => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    return nothing
  })
  await Promise.all([1, 2, 3].map(() => warehouse.execute(select)))
  assert.equal(most, 1)
  assert.equal(workspace.log.sessions.length, 1)
  assert.equal(workspace.log.count('CloseOperation'), 3)
  await warehouse.close()
  assert.equal(workspace.openSessions, 0)
  await assert.rejects(warehouse.execute(select), { name: 'AbortError' })
})

test('a number without its last digits is not passed off as a value', async (t) => {
  const { warehouse, engine } = await warehouseUnderTest(t)
  engine.on(/^SELECT/, () => oneRow('n', 'BIGINT', 2n ** 60n + 1n))
  await assert.rejects(warehouse.execute(select), { code: 'STATEMENT_FAILED' })
})

test('a failed statement is reported by its error class, without its text and values', async (t) => {
  const { warehouse, engine, logLines } = await warehouseUnderTest(t)
  engine.on(/^SELECT/, () => {
    throw new SqlFailure(
      'CAST_INVALID_INPUT',
      '22018',
      "The value 'secret-value' cannot be cast.\n== SQL ==\nSELECT 1",
    )
  })
  const error = await failureOf(warehouse.execute(select))
  assert.equal(error.code, 'STATEMENT_FAILED')
  assert.equal(error.context.errorClass, 'CAST_INVALID_INPUT')
  assert.equal(error.context.sqlState, '22018')
  assert.equal(error.context.executed, 'failed')
  assert.match(String(error.context.queryId), /^[0-9a-f-]{36}$/)
  assert.doesNotMatch(error.message, /secret-value|SELECT/)
  assert.doesNotMatch(JSON.stringify(logLines), /SELECT|secret-value/)
})

test('error classes that callers distinguish are kept', async (t) => {
  const { warehouse, engine } = await warehouseUnderTest(t)
  for (const name of ['COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED', 'PATH_NOT_FOUND']) {
    engine.on(new RegExp(name), () => {
      throw new SqlFailure(name, '42K03', 'It is so.')
    })
    const error = await failureOf(warehouse.execute({ ...select, sql: `COPY ${name}` }))
    assert.equal(error.code, 'STATEMENT_FAILED')
    assert.equal(error.context.errorClass, name)
  }
})

test('a conflict is waited out, even by a statement that must not be repeated: it had no effect', async (t) => {
  const { warehouse, engine, workspace, retries } = await warehouseUnderTest(t)
  engine.on(/^INSERT/, () => nothing)
  workspace.faults.add({
    statement: /^INSERT/,
    fault: { kind: 'fail', failure: new SqlFailure('DELTA_CONCURRENT_APPEND', '2D521', 'Files were added.') },
    times: 2,
  })
  await warehouse.execute(insert)
  assert.equal(retries.length, 2)
})

test('a missing right halts at once', async (t) => {
  const { warehouse, engine, retries } = await warehouseUnderTest(t)
  engine.on(/^SELECT/, () => {
    throw new SqlFailure(
      'INSUFFICIENT_PERMISSIONS',
      '42501',
      'User does not have USE SCHEMA on Schema `c`.`s`.',
    )
  })
  const error = await failureOf(warehouse.execute(select))
  assert.equal(error.code, 'WAREHOUSE_DENIED')
  assert.match(error.message, /USE SCHEMA on Schema `c`\.`s`/)
  assert.equal(retries.length, 0)
})

for (const status of [429, 503]) {
  test(`HTTP ${status} is waited out for as long as it asks, before a session and before a statement`, async (t) => {
    const { warehouse, engine, workspace, clock } = await warehouseUnderTest(t)
    engine.on(/^INSERT/, () => nothing)
    for (const rpc of ['OpenSession', 'ExecuteStatement'])
      workspace.faults.add({ rpc, fault: { kind: 'status', status, retryAfterSeconds: 7 } })
    await warehouse.execute(insert)
    assert.deepEqual(clock.slept, [7000, 7000])
    assert.equal(workspace.log.statements.length, 1)
  })
}

test('a lost reply is no reason to send a statement again that must not be repeated', async (t) => {
  const { warehouse, engine, workspace } = await warehouseUnderTest(t)
  engine.on(/^INSERT/, () => nothing)
  workspace.faults.add({ statement: /^INSERT/, fault: { kind: 'drop-after' } })
  const error = await failureOf(warehouse.execute(insert))
  assert.equal(error.code, 'WAREHOUSE_UNAVAILABLE')
  assert.equal(error.context.executed, 'unknown')
  assert.equal(workspace.log.statements.length, 1)
})

test('a lost reply is made up for by sending a repeatable statement again', async (t) => {
  const { warehouse, engine, workspace } = await warehouseUnderTest(t)
  engine.on(/^SELECT/, () => oneRow('n', 'INT', 1))
  workspace.faults.add({ statement: /^SELECT/, fault: { kind: 'drop-after' } })
  assert.equal((await warehouse.execute(select)).length, 1)
  assert.equal(workspace.log.statements.length, 2)
})

test('a statement that runs is asked for again when the way to it fails, and sent once', async (t) => {
  const { warehouse, engine, workspace, retries } = await warehouseUnderTest(t)
  engine.on(/^INSERT/, () => nothing)
  workspace.faults.add({ rpc: 'GetOperationStatus', fault: { kind: 'drop-before' } })
  workspace.faults.add({ rpc: 'GetOperationStatus', fault: { kind: 'status', status: 503 } })
  workspace.faults.add({ rpc: 'GetOperationStatus', fault: { kind: 'status', status: 502 } })
  await warehouse.execute(insert)
  assert.equal(workspace.log.statements.length, 1)
  assert.equal(retries.length, 3)
})

for (const saidBy of [undefined, 'http'] as const) {
  test(`a session that expired is replaced, and even an unrepeatable statement sent (said by ${saidBy ?? 'Thrift'})`, async (t) => {
    const { warehouse, engine, workspace } = await warehouseUnderTest(t)
    engine.on(/./, () => nothing)
    await warehouse.execute(select)
    workspace.faults.add({
      statement: /^INSERT/,
      fault: { kind: 'session-expired', ...(saidBy === undefined ? {} : { saidBy }) },
    })
    await warehouse.execute(insert)
    assert.equal(workspace.log.sessions.length, 2)
    assert.equal(workspace.log.statements.filter(({ text }) => text.startsWith('INSERT')).length, 1)
  })
}

test('a session that expires under a statement leaves it open whether it was executed', async (t) => {
  const { warehouse, engine, workspace } = await warehouseUnderTest(t)
  engine.on(/./, () => nothing)
  const expire = { rpc: 'GetOperationStatus', fault: { kind: 'session-expired' } } as const
  workspace.faults.add(expire)
  const error = await failureOf(warehouse.execute(insert))
  assert.equal(error.context.executed, 'unknown')
  workspace.faults.add(expire)
  await warehouse.execute(select)
})

test('a refused token is replaced once, and the refusal is reported when there is no other', async (t) => {
  let value = 'ended'
  const { warehouse, engine, retries } = await warehouseUnderTest(t, {
    tokensOf: (workspace) => ({
      token: async ({ rejected } = {}) => {
        if (rejected === value) value = workspace.tokens.personal
        return { value, expiresAtMs: undefined }
      },
    }),
  })
  engine.on(/./, () => nothing)
  await warehouse.execute(insert)
  assert.equal(retries.length, 1)

  const denied = await warehouseUnderTest(t, {
    tokensOf: () => ({ token: async () => ({ value: 'wrong', expiresAtMs: undefined }) }),
  })
  const error = await failureOf(denied.warehouse.execute(select))
  assert.equal(error.code, 'WAREHOUSE_DENIED')
  assert.match(error.message, /Invalid access token/)
})

test('a new token that is refused too is not replaced for ever', async (t) => {
  let asked = 0
  const { warehouse } = await warehouseUnderTest(t, {
    tokensOf: () => ({ token: async () => ({ value: `wrong-${++asked}`, expiresAtMs: undefined }) }),
  })
  const error = await failureOf(warehouse.execute(select))
  assert.equal(error.code, 'WAREHOUSE_DENIED')
  assert.equal(asked, 2)
})

test('waiting for a cold warehouse is logged after 15 seconds and then every 30', async (t) => {
  const clock = new ManualClock()
  const { warehouse, engine, workspace, logLines } = await warehouseUnderTest(t, { clock })
  engine.on(/./, () => nothing)
  const cold = workspace.faults.add({ rpc: 'OpenSession', fault: { kind: 'status', status: 503 }, times: 1 })
  const result = warehouse.execute(select)
  await cold.struck
  const logged = (): unknown[] =>
    logLines.filter(({ msg }) => msg === 'waiting for the warehouse to start').map(({ waitedMs }) => waitedMs)
  await eventually(async () => workspace.log.rpcs.length === 1, 'sign of it')
  clock.advance(15_000)
  assert.deepEqual(logged(), [15_000])
  clock.advance(30_000)
  assert.deepEqual(logged(), [15_000, 45_000])
  assert.equal(logLines.find(({ waitedMs }) => waitedMs === 15_000)?.statement, 'ask')
  await eventually(async () => {
    clock.advance(1000)
    return workspace.log.count('ExecuteStatement') === 1
  }, 'statement')
  await result
})

test('a statement that does not end in time is canceled, and sent again when it is repeatable', async (t) => {
  const clock = new ManualClock()
  const { warehouse, engine, workspace } = await warehouseUnderTest(t, {
    clock,
    startMs: 60_000,
    statementMs: 60_000,
  })
  engine.on(/./, () => nothing)
  const slow = workspace.faults.add({ statement: /./, fault: { kind: 'slow' } })
  const result = warehouse.execute(insert)
  await slow.struck
  await eventually(async () => workspace.log.count('GetOperationStatus') > 0, 'sign of it')
  clock.advance(120_000)
  const error = await failureOf(result)
  assert.equal(error.code, 'WAREHOUSE_UNAVAILABLE')
  assert.equal(error.context.executed, 'unknown')
  await eventually(async () => workspace.log.statements[0]?.state === 'CANCELED', 'sign of it')
  await eventually(async () => workspace.openSessions === 0, 'sign of it')
  await warehouse.execute(select)
})

test('the signal ends what runs and what waits, with its reason', async (t) => {
  const abort = new AbortController()
  const { warehouse, engine, workspace } = await warehouseUnderTest(t, { signal: abort.signal })
  engine.on(/./, () => nothing)
  const slow = workspace.faults.add({ statement: /./, fault: { kind: 'slow' } })
  const results = [warehouse.execute(insert), warehouse.execute(select)]
  await slow.struck
  const reason = new Error('the pipeline stops')
  abort.abort(reason)
  for (const result of results) await assert.rejects(result, (error) => error === reason)
  await warehouse.close()
  assert.equal(workspace.log.statements.length, 1)
  assert.equal(workspace.log.statements[0]?.state, 'CANCELED')
})

test('closing does not wait for a server that answers nothing', async (t) => {
  const { warehouse, engine, workspace } = await warehouseUnderTest(t, { closeMs: 20 })
  engine.on(/./, () => nothing)
  const slow = workspace.faults.add({ statement: /./, fault: { kind: 'slow' } })
  const result = warehouse.execute(select)
  await slow.struck
  await Promise.all([assert.rejects(result, { name: 'AbortError' }), warehouse.close()])
})

async function failureOf(work: Promise<unknown>): Promise<TailraceError> {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  )
  assert.ok(isTailraceError(error), String(error))
  return error
}

test('a statement is not sent after the last instant at which it may be, however long it waits for the warehouse', async (t) => {
  const hasty = new HastyClock()
  const { warehouse, engine, workspace } = await warehouseUnderTest(t, {
    clock: hasty,
    retry: {},
  })
  engine.on(/^SELECT/, () => {
    throw new SqlFailure('TEMPORARILY_UNAVAILABLE', '57011', 'The warehouse is stopping.')
  })
  const sendBeforeMs = hasty.now() + 600_000
  await assert.rejects(warehouse.execute({ ...select, sendBeforeMs }), (error) =>
    isTailraceError(error, 'WAREHOUSE_UNAVAILABLE'),
  )
  const sent = workspace.log.statements.length
  assert.ok(sent > 5, `${sent} attempts before`)
  assert.ok(hasty.now() <= sendBeforeMs)
  await assert.rejects(warehouse.execute({ ...select, sendBeforeMs: hasty.now() - 1 }), {
    code: 'WAREHOUSE_UNAVAILABLE',
    context: { executed: 'no', queryId: undefined },
  })
  assert.equal(workspace.log.statements.length, sent)
})

test('a statement that runs long is asked for its state less and less often, at last every five seconds', async (t) => {
  const pauses: number[] = []
  const clock = new HastyClock({ onPause: (ms) => void pauses.push(ms) })
  const { warehouse, engine, workspace } = await warehouseUnderTest(t, { clock })
  engine.on(/./, () => nothing)
  workspace.faults.add({ statement: /./, fault: { kind: 'slow', polls: 30 } })
  await warehouse.execute(select)
  assert.equal(pauses[0], 100)
  assert.ok(pauses.every((ms, index) => index === 0 || ms >= pauses[index - 1]!))
  assert.equal(pauses.at(-1), 5_000)
  // At 9 polls a second, the driver would have asked some hundred times in this time.
  assert.ok(pauses.reduce((sum, ms) => sum + ms) > 60_000, String(pauses))
})

test('a failure of an unknown class is repeated where that does no harm, and ends the statement after eight', async (t) => {
  const unknown = new SqlFailure('SOMETHING_NEW', 'XX001', 'Nobody has met this.')
  const { warehouse, engine } = await warehouseUnderTest(t, { retry: {} })
  let calls = 0
  engine.on(/./, () => {
    calls += 1
    if (calls < 4) throw unknown
    return nothing
  })
  await warehouse.execute(select)
  assert.equal(calls, 4)

  const always = await warehouseUnderTest(t, { retry: {} })
  let failures = 0
  always.engine.on(/./, () => {
    failures += 1
    throw unknown
  })
  const gaveUp = (error: unknown): boolean => isTailraceError(error, 'STATEMENT_FAILED')
  await assert.rejects(always.warehouse.execute(select), gaveUp)
  assert.equal(failures, 8)
  failures = 0
  await assert.rejects(always.warehouse.execute(insert), gaveUp)
  assert.equal(failures, 1, 'a statement that must not be repeated is not')
})

test('a failure that would come again is not repeated', async (t) => {
  for (const [errorClass, sqlState] of [
    ['PARSE_SYNTAX_ERROR', '42601'],
    ['CAST_INVALID_INPUT', '22018'],
    ['USER_RAISED_EXCEPTION', '45T01'],
    ['TRANSACTION_NOT_SUPPORTED.STATEMENT', '0A000'],
    ['FAILED_READ_FILE.FILE_NOT_EXIST', 'KD001'],
  ] as const) {
    const { warehouse, engine } = await warehouseUnderTest(t, { retry: {} })
    let calls = 0
    engine.on(/./, () => {
      calls += 1
      throw new SqlFailure(errorClass, sqlState, 'As ever.')
    })
    await assert.rejects(warehouse.execute(select), (error) => isTailraceError(error, 'STATEMENT_FAILED'))
    assert.equal(calls, 1, errorClass)
  }
})
