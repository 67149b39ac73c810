import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, errors, isTailraceError, TailraceError } from '../src/errors.ts'

const codes = Object.keys(errors) as ErrorCode[]

test('an error carries its code, its context, its cause, and the facts about its code', () => {
  const cause = new Error('below')
  for (const code of codes) {
    const error = new TailraceError(code, 'what failed', { context: { blob: 'a' }, cause })
    assert.deepEqual([error.code, error.name, error.message], [code, 'TailraceError', 'what failed'])
    assert.deepEqual([error.context, error.cause], [{ blob: 'a' }, cause])
    assert.deepEqual([error.hint, error.disposition], [errors[code].hint, errors[code].disposition])
  }
})

test('an error without a cause has none', () => {
  assert.equal('cause' in new TailraceError('USAGE', 'x'), false)
})

test('an error is recognized, by its code if one is named', () => {
  const error = new TailraceError('USAGE', 'x')
  assert.ok(isTailraceError(error) && isTailraceError(error, 'USAGE'))
  assert.ok(
    !isTailraceError(error, 'SPAN_GAP') && !isTailraceError(new Error('x')) && !isTailraceError(undefined),
  )
})

test('codes are upper-case words, and each hint is a sentence', () => {
  for (const code of codes) {
    assert.match(code, /^[A-Z]+(?:_[A-Z]+)*$/)
    assert.match(errors[code].hint, /^[A-Z].*[.]$/)
  }
})
