import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { decodeZ85 } from '../../../../src/sinks/delta/protocol/deletion-vector.ts'
import { encodeZ85 } from '../deletion-vectors.ts'

test('the example of the specification is read', () => {
  assert.deepEqual(decodeZ85('HelloWorld'), Buffer.from('864fd26fb559f75b', 'hex'))
})

test('any bytes come back from their text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const whole = Buffer.from(bytes).subarray(0, bytes.length - (bytes.length % 4))
      assert.deepEqual(decodeZ85(encodeZ85(whole)), whole)
    }),
  )
})

test('a text of another length, with other characters or of too large a number is none', () => {
  for (const text of ['Hell', 'Hell~', 'Hell"', 'Hellé', '#####', '%nSc1'])
    assert.equal(decodeZ85(text), undefined)
  assert.deepEqual(decodeZ85('%nSc0'), Buffer.from('ffffffff', 'hex'))
})
