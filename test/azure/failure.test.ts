import assert from 'node:assert/strict'
import test from 'node:test'
import { storageFailure } from '../../src/azure/failure.ts'

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
