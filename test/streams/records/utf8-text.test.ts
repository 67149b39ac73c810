import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { isUtf8Text } from '../../../src/streams/records/utf8-text.ts'

const pieceBytes = 256 * 1024

test('a text is UTF-8 exactly if its bytes are, also where a piece ends inside a character', () => {
  const sequence = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 4 }).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(Buffer.alloc(9, 0xbf), Buffer.from([0xf0, 0x9f, 0x98]), Buffer.from([0xed, 0xa0, 0x80])),
  )
  fc.assert(
    fc.property(fc.array(sequence, { maxLength: 4 }), fc.nat({ max: 12 }), (sequences, before) => {
      const inserted = Buffer.concat(sequences)
      const bytes = Buffer.concat([
        Buffer.alloc(pieceBytes - before, 0x61),
        inserted,
        Buffer.alloc(pieceBytes - 2, 0x62),
        Buffer.from('é'),
      ])
      assert.equal(isUtf8Text(bytes.toString('latin1')), isUtf8(bytes), inserted.toString('hex'))
      assert.equal(isUtf8Text(inserted.toString('latin1')), isUtf8(inserted))
    }),
    { numRuns: 150 },
  )
})
