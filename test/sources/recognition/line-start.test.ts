import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTailraceError } from '../../../src/errors.ts'
import { requireLineStart } from '../../../src/sources/recognition/line-start.ts'
import { ScriptedReader } from '../scripted-reader.ts'

test('an offset is taken exactly when a line starts there, else the nearest line starts are named', async () => {
  const text = fc
    .array(fc.constantFrom('a', 'b', '\n'), { minLength: 1, maxLength: 40 })
    .map((parts) => parts.join(''))
  await fc.assert(
    fc.asyncProperty(text, fc.nat({ max: 45 }), async (content, offset) => {
      const starts = [0, ...[...content.matchAll(/\n/g)].map(({ index }) => index + 1)]
      const error = await requireLineStart(new ScriptedReader(content), 'a', offset).catch(
        (thrown: unknown) => thrown,
      )
      if (starts.includes(offset)) assert.equal(error, undefined)
      else if (offset > content.length) assert.ok(isTailraceError(error, 'REPLAY_OUT_OF_RANGE'))
      else {
        assert.ok(isTailraceError(error, 'REPLAY_NOT_A_LINE_START'))
        assert.equal(
          error.context.before,
          starts.findLast((start) => start < offset),
        )
        assert.equal(
          error.context.after,
          starts.find((start) => start > offset),
        )
      }
    }),
  )
})
