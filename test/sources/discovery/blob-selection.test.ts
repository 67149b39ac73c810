import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type BlobsUnder,
  patternMistake,
  selectionOf,
} from '../../../src/sources/discovery/blob-selection.ts'

function under(blobs: string): BlobsUnder {
  const selection = selectionOf(blobs)
  assert.equal(selection.kind, 'under', blobs)
  return selection as BlobsUnder
}

test('a name is one blob, whatever else stands in it, and a slash at its end makes it a prefix', () => {
  for (const name of ['primary.ndjson', 'a/b.json', 'a[1].json', '!a', 'a\\b', 'A (old)/x+y$.json']) {
    assert.deepEqual(selectionOf(name), { kind: 'one', name })
  }
  const { prefix, matches, written } = under('logs/pg[1]/')
  assert.deepEqual([prefix, written, matches('anything')], ['logs/pg[1]/', 'logs/pg[1]/', true])
  assert.deepEqual(selectionOf({ azureMonitor: '/subscriptions/x' }), {
    kind: 'azure-monitor',
    ids: ['/subscriptions/x'],
  })
})

test('a pattern takes what it says, and lists only below its literal base', () => {
  const table: [pattern: string, base: string, takes: string[], leaves: string[]][] = [
    [
      'pg/**/*.ndjson',
      'pg/',
      ['pg/a.ndjson', 'pg/x/y/.a.ndjson', 'pg/.x/a.ndjson', 'pg/.ndjson'],
      ['pg/a.json', 'pgx/a.ndjson', 'PG/a.ndjson', 'pg/a.NDJSON', 'pg/a.ndjson/', 'pg/a.ndjson.gz'],
    ],
    [
      'logs/{a,b}-*.json',
      'logs/',
      ['logs/a-1.json', 'logs/b-.json', 'logs/b-.x.json'],
      ['logs/c-1.json', 'logs/a-1/x.json', 'logs/A-1.json', 'x/logs/a-1.json'],
    ],
    ['logs/ab*', 'logs/ab', ['logs/ab', 'logs/abc'], ['logs/ab/c', 'logs/a', 'logs/ab/']],
    ['h?.json', 'h', ['h1.json', 'h..json'], ['h.json', 'h12.json', 'h/.json']],
    ['**', '', ['a', 'a/b', '.a/.b'], []],
    ['*', '', ['a', '.a'], ['a/b']],
    ['*.*', '', ['a.', 'a.b'], ['a']],
    ['pg/*/', 'pg/', ['pg/a/b', 'pg/a/b/c.json', 'pg/.a/b'], ['pg/a', 'pg2/a/b']],
    ['a/{b/*,c/**}', 'a/', ['a/b/x', 'a/c/x/y'], ['a/b/x/y', 'a/d/x']],
    ['a/{b,{c,d}}.json', 'a/', ['a/b.json', 'a/c.json', 'a/d.json'], ['a/e.json', 'a/{b.json']],
  ]
  for (const [pattern, base, takes, leaves] of table) {
    assert.equal(patternMistake(pattern), undefined, pattern)
    const { prefix, matches } = under(pattern)
    assert.equal(prefix, base, pattern)
    for (const name of takes) assert.ok(matches(name), `${pattern} takes ${name}`)
    for (const name of leaves) assert.ok(!matches(name), `${pattern} leaves ${name}`)
  }
})

test('characters that are special in a shell but not in a pattern stand for themselves', () => {
  for (const name of [
    'pg (1)/',
    'a[b]/',
    '!a/',
    '@(a)/',
    'a+/',
    '(a|b)/',
    '^a$/',
    '"a"/',
    "'a'/",
    './a/',
    'a.b/',
  ]) {
    const { prefix, matches } = under(`${name}*.json`)
    assert.equal(prefix, name)
    assert.ok(matches(`${name}x.json`), name)
    assert.ok(
      !matches('pg 1/x.json') && !matches('b/x.json') && !matches('a/x.json') && !matches('aa/x.json'),
      name,
    )
    assert.ok(!matches('axb/x.json'), name)
  }
  assert.ok(!under('a.b*').matches('axb'))
})

test('a backslash takes the meaning from a wildcard', () => {
  assert.deepEqual(selectionOf('a\\*b\\?.json'), { kind: 'one', name: 'a*b?.json' })
  assert.equal(under('a\\{1\\}/').prefix, 'a{1}/')
  const { prefix, matches } = under('a\\*/{x,y\\,z}\\?*')
  assert.equal(prefix, 'a*/')
  for (const name of ['a*/x?', 'a*/y,z?1']) assert.ok(matches(name), name)
  for (const name of ['ab/x?', 'a*/x1', 'a*/y?', 'a*/z?']) assert.ok(!matches(name), name)
})

test('a pattern that means nothing says what it lacks', () => {
  for (const pattern of ['a{b', 'a}{b', '{a,{b}', 'a*}'])
    assert.match(patternMistake(pattern) ?? '', /expected a }/)
  for (const pattern of ['a*\\', '*\\\\\\']) assert.match(patternMistake(pattern) ?? '', /last backslash/)
  for (const pattern of ['a*\\\\', 'a\\{*', '{a}', '{a,b}*'])
    assert.equal(patternMistake(pattern), undefined, pattern)
})

test('patterns of stars and question marks mean what a simple matcher says', () => {
  const piece = fc.constantFrom('a', 'b', '.', '-', '(', ')', '[', ']', '+', '!', '|', '*', '?', '/')
  const text = (unit: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc.array(unit, { minLength: 1, maxLength: 8 }).map((units) => units.join(''))
  const pattern = text(piece).filter((one) => /[*?]/.test(one) && isPlain(one))
  const filling = text(fc.constantFrom('a', 'b', '.', '/', '', '', '', ''))
  let taken = 0
  fc.assert(
    fc.property(pattern, fc.infiniteStream(filling), (one, fillings) => {
      // Most of these are names that the pattern takes, or nearly so.
      const name = one.replace(/[*?]/g, () => fillings.next().value as string)
      fc.pre(name !== '' && isPlain(name))
      const takes = globs(one, name)
      if (takes) taken += 1
      assert.equal(under(one).matches(name), takes, `${one} and ${name}`)
    }),
    { numRuns: 5_000 },
  )
  assert.ok(taken > 500, `${taken} names were taken`)
})

/** Without what no blob is named like: empty, `.` and `..` as a part of the path; and no `**`, which is tested above. */
function isPlain(text: string): boolean {
  return !text.includes('**') && text.split('/').every((part) => !['', '.', '..'].includes(part))
}

function globs(pattern: string, name: string): boolean {
  const [one, ...rest] = pattern
  if (one === undefined) return name === ''
  if (one === '*') {
    return globs(rest.join(''), name) || (name !== '' && name[0] !== '/' && globs(pattern, name.slice(1)))
  }
  if (name === '') return false
  return (one === '?' ? name[0] !== '/' : name[0] === one) && globs(rest.join(''), name.slice(1))
}
