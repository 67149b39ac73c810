import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareOffsets } from '../../src/offsets/compare-offsets.ts'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import type { OffsetFileContent } from '../../src/offsets/offset-file.ts'

const tableOf = (offsets: Readonly<Record<string, number>>): LandedOffsets => {
  const landed = new LandedOffsets()
  for (const [blob, offset] of Object.entries(offsets)) landed.set({ blob, generation: 'g', offset })
  return landed
}
const fileOf = (offsets: Readonly<Record<string, number>>): OffsetFileContent => ({
  tableVersion: 1,
  offsets: tableOf(offsets),
  marks: [],
  intent: undefined,
})
const keys = (blobs: readonly string[]): string[] => blobs.map((blob) => `${blob}@g`)

test('a file is ahead when it claims a byte that the table does not have, else behind when it lacks one, else equal', () => {
  const offsets = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 3 }))
  fc.assert(
    fc.property(offsets, offsets, (file, table) => {
      const finding = compareOffsets(fileOf(file), tableOf(table))
      const ahead = Object.keys(file).filter((key) => (file[key] ?? 0) > (table[key] ?? 0))
      const behind = Object.keys(table).filter((key) => (table[key] ?? 0) > (file[key] ?? -1))
      if (ahead.length > 0) assert.deepEqual(finding, { kind: 'ahead', blobs: keys(ahead) })
      else if (behind.length > 0) assert.deepEqual(finding, { kind: 'behind', blobs: keys(behind) })
      else assert.deepEqual(finding, { kind: 'equal' })
    }),
    { numRuns: 500 },
  )
})

test('without a file the table decides: missing when it has offsets, equal when it has none', () => {
  assert.deepEqual(compareOffsets(undefined, tableOf({ a: 5 })), { kind: 'missing' })
  assert.deepEqual(compareOffsets(undefined, tableOf({})), { kind: 'equal' })
})

test('a file that is ahead for a blob that the pipeline no longer selects is not ahead', () => {
  const file = fileOf({ 'logs/former': 9, 'logs/present': 4 })
  const landsBlob = (blob: string): boolean => blob === 'logs/present'
  assert.deepEqual(compareOffsets(file, tableOf({ 'logs/present': 4 }), landsBlob), { kind: 'equal' })
  assert.equal(compareOffsets(file, tableOf({ 'logs/present': 3 }), landsBlob).kind, 'ahead')
})
