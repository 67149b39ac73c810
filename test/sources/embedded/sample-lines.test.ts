import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSample, SampleLines } from '../../../src/sources/embedded/sample-lines.ts'

const textOf = (sample: SampleLines, from: number, to: number): string =>
  Buffer.concat([...sample.pieces(from, to)]).toString()

test('lines of a sample are taken by index, and repeat behind the last', () => {
  const sample = new SampleLines(Buffer.from('a\nbb\nc\n'))
  assert.equal(sample.count, 3)
  assert.equal(textOf(sample, 0, 2), 'a\nbb\n')
  assert.equal(textOf(sample, 1, 3), 'bb\nc\n')
  assert.equal(textOf(sample, 2, 8), 'c\na\nbb\nc\na\nbb\n')
  assert.equal(textOf(sample, 6, 7), 'a\n')
  assert.equal(textOf(sample, 4, 4), '')
})

test('the shipped samples consist of complete lines', async () => {
  for (const server of ['primary', 'replica'] as const) {
    const sample = await openSample(server)
    assert.ok(sample.count > 10_000)
    const last = textOf(sample, sample.count - 1, sample.count)
    assert.ok(last.endsWith('}\n'), server)
    assert.equal(textOf(sample, sample.count, sample.count + 1), textOf(sample, 0, 1))
  }
})
