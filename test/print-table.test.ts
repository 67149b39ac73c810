import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printTable } from '../src/print-table.ts'

test('columns are aligned, numbers stand right, and the rows are counted', () => {
  const text = printTable(
    ['name', 'rows'],
    [
      ['primary', 12345],
      ['replica', '7'],
      ['ünïcode', null],
    ],
  )
  assert.equal(
    text,
    `${['name    |  rows', '--------+------', 'primary | 12345', 'replica |     7', 'ünïcode |', '(3 rows)'].join('\n')}\n`,
  )
})

test('a table without rows shows its columns, and one row is one row', () => {
  assert.equal(printTable(['a'], []), 'a\n-\n(0 rows)\n')
  assert.match(printTable(['a'], [[1]]), /\(1 row\)\n$/)
})

test('whatever the values hold, each row is one line without control characters and of bounded width', () => {
  const cell = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.integer(),
    fc.constant(null),
    fc.object(),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 5 }), (rows) => {
      const lines = printTable(['a', 'b'], rows).split('\n')
      assert.equal(lines.length, rows.length + 4)
      for (const line of lines) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject.
        assert.doesNotMatch(line, /[\x00-\x1f\x7f]/)
        assert.ok([...line].length <= 60 + 3 + 60)
      }
    }),
  )
})
