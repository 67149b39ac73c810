import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quotePath } from '../../../../src/sinks/databricks/tables/definition.ts'
import { qualifiedName, quoteName, quoteText } from '../../../../src/tables/spark-sql.ts'

/** Any text, rich in what is special in a literal. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\\', "'", '`', '"', '$', '{', '}', '\n', '\0', 'u', '0', '%', '_'),
    fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
  ),
})

test('a quoted name ends where it should, and is the name', () => {
  fc.assert(
    fc.property(anyText, (name) => {
      const quoted = quoteName(name)
      assert.match(quoted, /^`(?:[^`]|``)*`$/)
      assert.equal(quoted.slice(1, -1).replaceAll('``', '`'), name)
    }),
  )
})

test("a table's parts are quoted one by one", () => {
  assert.equal(qualifiedName({ catalog: 'a', schema: 'b.c', table: 'd`e' }), '`a`.`b.c`.`d``e`')
})

test('a quoted text ends where it should, is the text, and names no variable', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const quoted = quoteText(text)
      assert.match(quoted, /^'(?:[^'\\]|\\[\s\S])*'$/)
      assert.ok(!quoted.includes('$' + '{'))
      assert.equal(unescaped(quoted.slice(1, -1)), text)
    }),
    { numRuns: 1000 },
  )
})

test('a quoted path stands as it is, or is refused', () => {
  fc.assert(
    fc.property(anyText, (path) => {
      const quoted = quotePath(path)
      if (quoted === undefined) assert.match(path, /['"\\$\p{Cc}]/u)
      else assert.equal(unescaped(quoted.slice(1, -1)), path)
    }),
  )
  assert.equal(quotePath('/var/lib/tailrace/a b-1.parquet'), "'/var/lib/tailrace/a b-1.parquet'")
  for (const path of ["it's", 'a\\b', 'a\nb', `a$${'{b}'}`, 'a"b']) assert.equal(quotePath(path), undefined)
})

/** As Spark reads a literal's inside: `\uXXXX`, `\0`, and the character itself behind any other backslash used here. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_all, code: string | undefined, one: string) =>
    code !== undefined ? String.fromCharCode(Number.parseInt(code, 16)) : one === '0' ? '\0' : one,
  )
}
