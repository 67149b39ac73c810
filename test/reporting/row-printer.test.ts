import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { resultPrinter } from '../../src/reporting/result-formats.ts'
import { printJsonList, printTable, TablePrinter } from '../../src/reporting/row-printer.ts'
import { textFormats } from '../../src/reporting/text-formats.ts'

type Rows = readonly (readonly unknown[])[]

async function tableText(columns: readonly string[], rows: Rows): Promise<string> {
  const { print, text } = recorder()
  await printTable(print, columns, rows)
  return text()
}

/** @param writes how many are read; the reader is gone then */
function recorder(writes = Number.POSITIVE_INFINITY) {
  const texts: string[] = []
  return {
    texts,
    text: () => texts.join(''),
    print: async (text: string): Promise<boolean> => {
      texts.push(text)
      return texts.length < writes
    },
  }
}

test('columns are aligned, numbers stand right, and the rows are counted', async () => {
  const text = await tableText(
    ['name', 'rows'],
    [
      ['primary', 12345],
      ['replica', '7'],
      ['ünïcode', undefined],
      [null, 7],
    ],
  )
  assert.equal(
    text,
    `${['name    |  rows', '--------+------', 'primary | 12345', 'replica |     7', 'ünïcode |', 'NULL    |     7', '(4 rows)'].join('\n')}\n`,
  )
})

test('a table without rows shows its columns, and one row is one row', async () => {
  assert.equal(await tableText(['a'], []), 'a\n-\n(0 rows)\n')
  assert.equal(await tableText([], []), '(0 rows)\n')
  assert.match(await tableText(['a'], [[1]]), /\(1 row\)\n$/)
})

test('each row is one line without control characters and of bounded width, for any values', async () => {
  const cell = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.integer(),
    fc.constant(null),
    fc.object(),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(cell, cell), { maxLength: 5 }), async (rows) => {
      const lines = (await tableText(['a\u001b', 'b\n'], rows)).split('\n')
      assert.equal(lines.length, rows.length + 4)
      for (const line of lines) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject.
        assert.doesNotMatch(line, /[\x00-\x1f\x7f]/)
        assert.ok([...line].length <= 60 + 3 + 60)
      }
    }),
  )
})

test('the first 1,000 rows decide the widths, and a longer value later shifts its line and hides nothing', async () => {
  const { print, text } = recorder()
  const table = new TablePrinter(print, ['a', 'b'])
  for (let row = 0; row < 1_000; row += 1) await table.add([['x', 'y']])
  await table.add([['longer', 'y']])
  await table.end()
  const lines = text().split('\n')
  assert.deepEqual(lines.slice(0, 3), ['a | b', '--+--', 'x | y'])
  assert.deepEqual(lines.slice(-3), ['longer | y', '(1001 rows)', ''])
})

test('rows are printed as they come, in bounded pieces, and no further than they are read', async () => {
  const rows = Array.from({ length: 2_000 }, (_, index) => [index, 'x'.repeat(50)])
  for (const format of textFormats) {
    const { print, texts } = recorder(5)
    const printer = resultPrinter(format, print, ['a', 'b'])
    let added = 0
    while (await printer.add(rows)) added += 1
    assert.ok(added < 5, `${added} times`)
    assert.equal(texts.length, 5)
    for (const text of texts) assert.ok(text.length < 66_000)
  }
})

test('a JSON list of any length is one JSON text on one line', async () => {
  for (const count of [0, 1, 3_000]) {
    const items = Array.from({ length: count }, (_, index) => ({ index, text: 'x'.repeat(40) }))
    const { print, text } = recorder()
    await printJsonList(print, { before: '{"a":1,"items":[', items, after: ']}' })
    assert.deepEqual(JSON.parse(text()), { a: 1, items })
    assert.equal(text().indexOf('\n'), text().length - 1)
  }
})
