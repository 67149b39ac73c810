import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { TApplicationException, TProtocolException } from '@databricks/sql'
import {
  type DriverFailure,
  driverFailure,
  statementError,
} from '../../../../src/sinks/databricks/warehouse/driver-error.ts'

const require = createRequire(import.meta.url)
const classOf = (path: string) => require(`@databricks/sql/dist/${path}`)
const OperationStateError = classOf('errors/OperationStateError.js').default
const StatusError = classOf('errors/StatusError.js').default
const StagingError = classOf('errors/StagingError.js').default
const HiveDriverError = classOf('errors/HiveDriverError.js').default
const AuthenticationError = classOf('errors/AuthenticationError.js').default
const { THTTPException } = classOf('connection/connections/ThriftHttpConnection.js')
const { FetchError, Response } = createRequire(require.resolve('@databricks/sql'))('node-fetch')

const nowMs = Date.UTC(2026, 10, 24)

function read(error: unknown, phase: Parameters<typeof driverFailure>[1] = 'send'): Partial<DriverFailure> {
  const failure = driverFailure(error, phase, nowMs)
  assert.ok(failure !== undefined)
  return failure
}

function has(actual: Partial<DriverFailure>, expected: Partial<DriverFailure>): void {
  const picked = Object.fromEntries(
    Object.keys(expected).map((key) => [key, actual[key as keyof DriverFailure]]),
  )
  assert.deepEqual(picked, expected)
}

function operation(code: string, displayMessage?: string, sqlState?: string): unknown {
  return new OperationStateError(
    code,
    displayMessage === undefined ? undefined : { displayMessage, sqlState },
  )
}

function http(status: number, headers: Record<string, string> = {}): unknown {
  return new THTTPException(new Response('', { status, headers }))
}

test('a failed operation has its class and SQLSTATE, wherever the text hides them', () => {
  const plain = operation('ERROR', '[PATH_NOT_FOUND] Path does not exist: /Volumes/a. SQLSTATE: 42K03')
  has(read(plain, 'wait'), {
    kind: 'refused',
    executed: 'failed',
    errorClass: 'PATH_NOT_FOUND',
    sqlState: '42K03',
    summary: '[PATH_NOT_FOUND] Path does not exist: /Volumes/a.',
  })
  const java = operation(
    'ERROR',
    'org.apache.hive.service.cli.HiveSQLException: Error running query: [DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES] x: y\n at z',
    '2D521',
  )
  has(read(java, 'wait'), {
    kind: 'passing',
    executed: 'failed',
    errorClass: 'DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES',
    sqlState: '2D521',
    summary: '[DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES] x: y',
  })
})

test('transient failures are distinguished from permanent ones', () => {
  const passing = [
    '[DELTA_CONCURRENT_WRITE] a',
    '[CONCURRENT_STREAM_LOG_UPDATE] a SQLSTATE: 40000',
    '[DELTA_METADATA_CHANGED] a',
    'TEMPORARILY_UNAVAILABLE: try later',
    'The warehouse abc is starting.',
    'Cluster 0123 is in unexpected state Pending',
    '[RequestId=1 ErrorClass=RESOURCE_EXHAUSTED] a',
  ]
  for (const text of passing) assert.equal(read(operation('ERROR', text), 'wait').kind, 'passing', text)
  const refused = [
    '[PATH_NOT_FOUND] a',
    '[COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED] a',
    '[PARSE_SYNTAX_ERROR] the warehouse is starting',
    'Something else',
  ]
  for (const text of refused) assert.equal(read(operation('ERROR', text), 'wait').kind, 'refused', text)
  for (const text of [
    '[INSUFFICIENT_PERMISSIONS] a SQLSTATE: 42501',
    'PERMISSION_DENIED: User has no USE CATALOG',
    '[UNAUTHORIZED_ACCESS] a',
  ])
    assert.equal(read(operation('ERROR', text), 'wait').kind, 'denied', text)
})

test('a statement that was canceled, timed out or closed may be tried again, and a closed one may have ended', () => {
  has(read(operation('TIMEOUT', '[QUERY_EXECUTION_TIMEOUT_EXCEEDED] a'), 'wait'), {
    kind: 'passing',
    executed: 'failed',
  })
  has(read(operation('CANCELED'), 'wait'), { kind: 'passing', executed: 'failed' })
  has(read(operation('CLOSED'), 'wait'), { kind: 'passing', executed: 'unknown' })
  has(read(operation('UNKNOWN'), 'wait'), { kind: 'passing', executed: 'unknown' })
})

test('a lost session is known by every text that servers were seen to use', () => {
  const texts = [
    'Invalid SessionHandle: SessionHandle [4d00c5b7-2ee4-448a-92de-cb04deb773b6]',
    'BAD_REQUEST: Invalid SessionHandle: Session [01f05276-6147-1fa3-97ce-77356bbde400] is closed.',
    'requirement failed: Session handle: SessionHandle [a] has not been initialized or had already closed.',
  ]
  for (const errorMessage of texts) {
    const error = new StatusError({ errorMessage, statusCode: 3 })
    has(read(error), { kind: 'passing', sessionLost: true, executed: 'no' })
    has(read(error, 'wait'), { kind: 'passing', sessionLost: true, executed: 'unknown' })
    has(read(http(400, { 'x-thriftserver-error-message': errorMessage })), {
      kind: 'passing',
      sessionLost: true,
      executed: 'no',
    })
  }
  has(read(new HiveDriverError('The session was closed or has expired')), {
    sessionLost: true,
    executed: 'no',
  })
})

test('an HTTP status determines whether a statement can have been executed', () => {
  const rows: [number, DriverFailure['kind'], DriverFailure['executed']][] = [
    [400, 'refused', 'no'],
    [401, 'denied', 'no'],
    [403, 'denied', 'no'],
    [404, 'refused', 'no'],
    [407, 'denied', 'no'],
    [408, 'passing', 'unknown'],
    [429, 'passing', 'no'],
    [500, 'passing', 'unknown'],
    [501, 'refused', 'unknown'],
    [502, 'passing', 'unknown'],
    [503, 'passing', 'no'],
    [504, 'passing', 'unknown'],
  ]
  for (const [status, kind, executed] of rows) {
    has(read(http(status)), { kind, executed, status })
    has(read(http(status), 'wait'), { executed: 'unknown' })
    has(read(http(status), 'session'), { executed: 'no' })
    has(read(http(status), 'rows'), { executed: 'yes' })
  }
})

test('Retry-After is read as seconds and as a date, and no longer than five minutes', () => {
  const asked = (value: string): unknown => read(http(503, { 'retry-after': value })).retryAfterMs
  assert.equal(asked('30'), 30_000)
  assert.equal(asked('0'), 0)
  assert.equal(asked('86400'), 300_000)
  assert.equal(asked(new Date(nowMs + 20_000).toUTCString()), 20_000)
  assert.equal(asked(new Date(nowMs - 20_000).toUTCString()), 0)
  assert.equal(asked('soon'), undefined)
  assert.equal(asked(''), undefined)
})

test('a connection that was never made executed nothing; of one that broke, nobody knows', () => {
  const fetch = (code: string): unknown =>
    new FetchError(
      `request to https://h/x?sig=abc failed, reason: ${code}`,
      'system',
      Object.assign(new Error(), { code }),
    )
  for (const code of [
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
  ])
    has(read(fetch(code)), { kind: 'passing', executed: 'no', onTheWay: true })
  for (const code of ['ECONNRESET', 'EPIPE', 'ETIMEDOUT']) {
    has(read(fetch(code)), { kind: 'passing', executed: 'unknown', onTheWay: true })
    assert.doesNotMatch(read(fetch(code)).summary!, /sig|https/)
  }
  for (const error of [
    new TApplicationException(7, 'Request timed out'),
    new TProtocolException(4, 'Bad version in readMessageBegin'),
    new HiveDriverError('Hive driver: Error when connecting to resource. Max retry count exceeded.'),
  ])
    has(read(error), { kind: 'passing', executed: 'unknown', onTheWay: true })
})

test('the status is read from the text of an error when the driver gives nothing else', () => {
  const gaveUp = new HiveDriverError(
    'Hive driver: 503 when connecting to resource. Max retry count exceeded.',
  )
  has(read(gaveUp, 'wait'), { kind: 'passing', status: 503, onTheWay: true })
  has(read(new StagingError('HTTP error 503 Busy')), { kind: 'passing', status: 503 })
  has(read(new StagingError('HTTP error 403 Forbidden')), { kind: 'denied', tokenRefused: false })
  has(read(new StagingError('HTTP error 409 Conflict')), { kind: 'refused', status: 409 })
  has(read(new AuthenticationError('no')), { kind: 'denied' })
})

test('an error that is no failure of the warehouse is passed on unchanged', () => {
  for (const error of [
    new TypeError('x'),
    Object.assign(new Error('x'), { code: 'ENOENT' }),
    'text',
    undefined,
  ])
    assert.equal(driverFailure(error, 'send', nowMs), undefined)
})

test('a message has neither values, nor the statement, nor a token', () => {
  const text =
    '[CAST_INVALID_INPUT] The value \'jane@example.org\' of "STRING" and dapi0123456789abcdef0123456789abcdef == SQL (line 1) == SELECT x SQLSTATE: 22018'
  const { message, context } = statementError(driverFailure(operation('ERROR', text), 'wait', nowMs)!, {
    label: 'load files',
    queryId: 'q',
  })
  assert.equal(
    message,
    'The statement "load files" failed: [CAST_INVALID_INPUT] The value \'…\' of "…" and ***',
  )
  assert.equal(context.queryId, 'q')
  assert.equal(context.sqlState, '22018')
})
