import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TailraceError } from '../../../src/errors.ts'
import { explainMissing } from '../../../src/sources/discovery/explain-missing.ts'
import { ListedContainer } from './listed-container.ts'

function containing(...names: readonly string[]): ListedContainer {
  const reader = new ListedContainer()
  for (const name of names) reader.put(name, 0)
  return reader
}

test('a container that does not exist is told with how it comes into being, however the reader put it', async () => {
  const reader = containing()
  const sentence = await explainMissing(reader, 'pg.json', 'container')
  assert.match(sentence, /^The container logs does not exist\. Azure Monitor creates it .* 90 minutes/)
  assert.equal(reader.requests.length, 0)
  reader.exists = false
  assert.equal(await explainMissing(reader, 'pg.json', 'blob'), sentence)
})

test('the nearest names that do exist are told, after two listings at most', async () => {
  const table: [wanted: string, there: string[], told: string][] = [
    [
      'pg/One.json',
      ['pg/one.json', 'pg/two.json'],
      'There is no logs/pg/One.json; similar names: pg/one.json.',
    ],
    ['PG/one.json', ['pg/one.json'], 'There is no logs/PG/one.json; similar names: pg/one.json.'],
    ['one.json', ['a/b/one.json', 'a/two.json'], 'There is no logs/one.json; similar names: a/b/one.json.'],
    [
      'x/one.json',
      ['a/one.json', 'b/one.json', 'c/one.json', 'd/ONE.json'],
      'There is no logs/x/one.json; similar names: a/one.json, b/one.json, c/one.json and others.',
    ],
    [
      'pg/one',
      ['pg/one/a.json', 'pg/ONE'],
      'There is no blob logs/pg/one, but there are blobs under pg/one/: end a prefix with a slash.',
    ],
    ['pg', ['PG/a.json'], 'There is no logs/pg; similar names: PG/.'],
    ['Pg/One/', ['pg/one/a.json'], 'There is no logs/Pg/One/; similar names: pg/one/.'],
    [
      'two.json',
      ['a.json', 'b.json'],
      'There is no logs/two.json; the container begins with a.json, b.json.',
    ],
    ['two.json', [], 'There is no logs/two.json: the container is empty.'],
  ]
  for (const [wanted, there, told] of table) {
    const reader = containing(...there)
    assert.equal(await explainMissing(reader, wanted, 'blob'), told)
    assert.ok(reader.requests.length <= 2)
  }
})

test('a large container is looked at for two pages', async () => {
  const reader = containing(...Array.from({ length: 30_000 }, (_, index) => `a/${index}.json`))
  reader.put('z/one.json', 0)
  assert.match(
    await explainMissing(reader, 'a/one.json', 'blob'),
    /the container begins with a\/0\.json, .* and others/,
  )
  assert.equal(reader.requests.length, 2)
})

test('without the right to list, or when listing fails, it says that it cannot tell', async () => {
  const reader = containing('one.json')
  reader.faults.push(
    new TailraceError('SOURCE_DENIED', 'scripted'),
    new TailraceError('SOURCE_UNAVAILABLE', 'scripted'),
  )
  assert.equal(
    await explainMissing(reader, 'One.json', 'blob'),
    'There is no logs/One.json; similar names are unknown, because the credential may not list.',
  )
  assert.match(await explainMissing(reader, 'One.json', 'blob'), /listing failed \(SOURCE_UNAVAILABLE\)/)
  const stop = new AbortController()
  stop.abort()
  await assert.rejects(explainMissing(reader, 'One.json', 'blob', stop.signal), { name: 'AbortError' })
})
