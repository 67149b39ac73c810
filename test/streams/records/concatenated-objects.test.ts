import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ValuePlace } from '../../../src/streams/records/line-outline.ts'
import { concatenatedObjects } from '../../../src/streams/records/line-outline.ts'

const anyObject = fc.dictionary(
  fc.oneof(fc.string(), fc.constantFrom('}', '{', '"', '\\', '}{')),
  fc.oneof(fc.jsonValue(), fc.constantFrom('}{', '{"', '\\"}', ']}')),
  { maxKeys: 3 },
)
const anySpace = fc.constantFrom('', '', ' ', '\t', '  \r')

test('the places of concatenated objects are where a plain reference finds them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anySpace, anyObject, fc.boolean()), { maxLength: 5 }),
      anySpace,
      (parts, end) => {
        const line = parts
          .map(
            ([space, object, wide]) =>
              space + JSON.stringify(object, null, wide ? '\t' : '').replaceAll('\n', ''),
          )
          .join('')
        assert.deepEqual(concatenatedObjects(line + end), placesOf(line + end))
      },
    ),
    { numRuns: 300 },
  )
})

test('a line that was changed at any place gives either its objects or nothing', () => {
  const change = fc.constantFrom('', '{', '}', '"', ',', ':', '[', ']', 'x', '\\', '1')
  fc.assert(
    fc.property(fc.array(anyObject, { maxLength: 4 }), fc.nat(), change, (objects, place, inserted) => {
      const line = objects.map((object) => JSON.stringify(object)).join('')
      const at = place % (line.length + 1)
      const changed = line.slice(0, at) + inserted + line.slice(at + 1)
      assert.deepEqual(concatenatedObjects(changed), placesOf(changed))
    }),
    { numRuns: 500 },
  )
})

test('anything but two or more objects is nothing', () => {
  for (const line of [
    '',
    ' ',
    '{}',
    '{"a":1}',
    '[]',
    '[{}][{}]',
    '{}[]',
    '{}1',
    '1{}{}',
    '{}{',
    '{},{}',
    '{}{}]',
    '{}{"a":1}{"b":2]',
  ]) {
    assert.equal(concatenatedObjects(line), undefined, line)
  }
})

/** Grows a prefix until JSON.parse takes it, again and again. */
function placesOf(line: string): readonly ValuePlace[] | undefined {
  const places: ValuePlace[] = []
  let start = 0
  for (let end = 1; end <= line.length; end += 1) {
    if (line[end - 1] !== '}') continue
    try {
      const value = JSON.parse(line.slice(start, end))
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    } catch {
      continue
    }
    places.push({ start, end })
    start = end
  }
  return line.slice(start).trim() === '' && places.length > 1 ? places : undefined
}
