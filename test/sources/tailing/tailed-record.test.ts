import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LineBlock } from '../../../src/records.ts'
import { tailedRecords } from '../../../src/sources/tailing/tailed-record.ts'
import { LineSplitter } from '../../../src/streams/line-splitter.ts'
import { spanOf } from '../../streams/blob-chunks.ts'

function blockOf(text: string, start = 0, maxLineBytes?: number): LineBlock {
  const bytes = Buffer.from(text)
  const block = new LineSplitter({ maxLineBytes }).split({ span: spanOf(start, start + bytes.length), bytes })
  assert.ok(block !== undefined)
  return block
}

const textsOf = (block: LineBlock) => tailedRecords(block).map(({ offset, text }) => [offset, text])

test('a line is its UTF-8 text without the line ending, and only the ending is taken off', () => {
  assert.deepEqual(textsOf(blockOf('ä b\r\n\r\r\r\nc\rd\n')), [
    [0, 'ä b'],
    [10, 'c\rd'],
  ])
  assert.deepEqual(textsOf(blockOf(' x \n')), [[0, ' x ']])
})

test('a byte order mark is taken off where the blob begins, and nowhere else', () => {
  assert.deepEqual(textsOf(blockOf('\ufeffa\n\ufeffb\n')), [
    [0, 'a'],
    [5, '\ufeffb'],
  ])
  assert.deepEqual(textsOf(blockOf('a\ufeff\n')), [[0, 'a\ufeff']])
  assert.deepEqual(tailedRecords(blockOf('\ufeff{"a":1}\n')), [
    { offset: 0, length: 11, text: '{"a":1}', value: { a: 1 } },
  ])
})

test('a line is parsed if it is well-formed and not over the limit', () => {
  assert.deepEqual(tailedRecords(blockOf('{"a":1}\n\n123456789\n{"b"\n[2]\n', 50, 8)), [
    { offset: 50, length: 8, text: '{"a":1}', value: { a: 1 } },
    { offset: 59, length: 10, text: '12345678', value: undefined },
    { offset: 69, length: 5, text: '{"b"', value: undefined },
    { offset: 74, length: 4, text: '[2]', value: [2] },
  ])
})
