import assert from 'node:assert/strict'
import test from 'node:test'
import { RestError } from '@azure/storage-blob'
import { requestIdsOf, storageFailure, WrongAnswer } from '../../src/azure/failure.ts'
import { azureTableError } from '../../src/azure/table-errors.ts'
import { isTailraceError } from '../../src/errors.ts'

function kindOf(code: string): string | undefined {
  return storageFailure(Object.assign(new Error('told'), { code }), 0)?.kind
}

test('a broken connection may pass, and a mistake in a call is no failure of storage', () => {
  for (const code of ['ECONNRESET', 'ETIMEDOUT', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE']) {
    assert.equal(kindOf(code), 'passing', code)
  }
  for (const code of ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_STREAM_WRITE_AFTER_END', 'NONE']) {
    assert.equal(kindOf(code), undefined, code)
  }
})

test('the ids of a failed request are in its error, those of the answer and of the request, whatever else is wrong', () => {
  const headers = { get: (name: string) => (name === 'x-ms-request-id' ? 'r-1' : undefined) }
  const request = { requestId: 'c-1', url: 'https://logs.example/?sig=secret' }
  const options = { statusCode: 503, request, response: { headers, request, status: 503 } }
  const answered = new RestError('busy', options as unknown as ConstructorParameters<typeof RestError>[1])
  const ids = { requestId: 'r-1', clientRequestId: 'c-1' }
  assert.deepEqual(requestIdsOf(answered), ids)
  const error = azureTableError(answered, 'reading _delta_log/0.json', 0)
  assert.ok(isTailraceError(error, 'TABLE_UNAVAILABLE'))
  assert.deepEqual([error.context.requestId, error.context.clientRequestId], ['r-1', 'c-1'])

  const unanswered = new RestError('reset', { request } as unknown as ConstructorParameters<
    typeof RestError
  >[1])
  assert.deepEqual(requestIdsOf(unanswered), { requestId: undefined, clientRequestId: 'c-1' })
  assert.deepEqual(requestIdsOf(new WrongAnswer('a page of a proxy', ids)), ids)
  assert.deepEqual(requestIdsOf(new Error('no answer for 30000 ms')), {})
})
