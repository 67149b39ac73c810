import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../src/json.ts'

const anyInteger = fc.oneof(
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constantFrom(2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), -6883023751393440299n, 10n ** 15n),
)

/** Pieces of text that a careless parser would trip over. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '1234567890123456789',
    '"1234567890123456789"',
    '\u00011234567890123456789',
    '\\u00011234567890123456789',
    '\\',
    '\\"9007199254740993',
    '__proto__',
    'toJSON',
  ),
)

const { document } = fc.letrec<{ document: string; value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    anyInteger.map(String),
    anyText.map((text) => JSON.stringify(text)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
    fc.constantFrom('true', 'false', 'null', '""', '[]', '{}', '0', '-1'),
    tie('document'),
  ),
  document: fc.oneof(
    fc.array(tie('value'), { maxLength: 4 }).map((values) => `[${values.join(',')}]`),
    fc
      .uniqueArray(fc.tuple(anyText, tie('value')), { maxLength: 4, selector: ([key]) => key })
      .map((pairs) => `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`),
  ),
}))

test('any JSON text comes back as it was, its integers of any size exact', () => {
  fc.assert(
    fc.property(document, (text) => {
      assert.equal(canonical(stringifyJson(parseJson(text))), canonical(text))
    }),
    { numRuns: 1000 },
  )
})

test('any value comes back from its own text', () => {
  fc.assert(
    fc.property(document, (text) => {
      const value = parseJson(text)
      assert.deepEqual(parseJson(stringifyJson(value)), value)
    }),
    { numRuns: 500 },
  )
})

test('integers are numbers up to 2^53 and bigint beyond', () => {
  const parsed = parseJson('{"safe":9007199254740991,"beyond":9007199254740993,"low":-9007199254740993}')
  assert.deepEqual(parsed, { safe: 9007199254740991, beyond: 9007199254740993n, low: -9007199254740993n })
})

test('a text is refused exactly when JSON.parse refuses it', () => {
  const mutated = fc
    .tuple(
      document,
      fc.nat(),
      fc.nat({ max: 2 }),
      fc.constantFrom('0', ',', ']', '"', '\\', '1234567890123456', '-', ':', '}'),
    )
    .map(([text, place, removed, inserted]) => {
      const at = place % (text.length + 1)
      return text.slice(0, at) + inserted + text.slice(at + removed)
    })
  const known = [
    '{"a":012345678901234567890}',
    '[-0012345678901234567890]',
    '{12345678901234567890:1}',
    '{12345678901234567890 :1}',
    '12345678901234567890',
    '[12345678901234567890,]',
    '[+12345678901234567890]',
    '12345678901234567890 1',
    '"\u0001"',
  ]
  const check = (text: string): void => {
    assert.equal(accepts(parseJson, text), accepts(JSON.parse, text), text)
  }
  for (const text of known) check(text)
  fc.assert(fc.property(mutated, check), { numRuns: 2000 })
})

test('a repeated key keeps its last value, whatever parser the text takes', () => {
  assert.deepEqual(parseJson('{"a":1,"a":2}'), { a: 2 })
  assert.deepEqual(parseJson('{"a":1,"a":2,"n":12345678901234567890}'), { a: 2, n: 12345678901234567890n })
})

test('a text nested more deeply than calls can be is read, its integers exact', () => {
  const deep = `${'['.repeat(200_000)}12345678901234567890${']'.repeat(200_000)}`
  let inner = parseJson(deep)
  while (Array.isArray(inner)) inner = inner[0] as JsonValue
  assert.equal(inner, 12345678901234567890n)
})

test('a long string beside a long integer is read', () => {
  const text = `{"a":"${'x\\"'.repeat(1_000_000)}","n":12345678901234567890}`
  assert.equal((parseJson(text) as JsonObject).n, 12345678901234567890n)
})

test('a number beyond a double is written as another one', () => {
  assert.equal(stringifyJson(parseJson('{"a":1e400,"b":[-1e400]}')), '{"a":1e999,"b":[-1e999]}')
})

test('the key __proto__ is a key like any other', () => {
  const value = parseJson('{"__proto__":{"n":12345678901234567890}}') as Record<string, JsonValue>
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.equal(stringifyJson(value), '{"__proto__":{"n":12345678901234567890}}')
})

function accepts(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text)
    return true
  } catch {
    return false
  }
}

/** The text without differences that mean nothing: how a string is escaped, how a short number is written. */
function canonical(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    /^-?\d{16,}$/.test(token) ? String(BigInt(token)) : JSON.stringify(JSON.parse(token)),
  )
}
