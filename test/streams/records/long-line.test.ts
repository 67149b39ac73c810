import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Entry, latin1AsText } from '../../../src/records.ts'
import { entriesOf } from '../../../src/streams/record-validator.ts'
import { blockOf } from '../blob-chunks.ts'

const mebibyte = 1024 * 1024
const filler = 'x'.repeat(mebibyte)

function entriesOfLine(text: string): readonly Entry[] {
  return entriesOf(blockOf([text], 100)).entries
}

test('a record of more than a million values, nested or side by side, is rejected with its whole text', () => {
  for (const text of [
    '['.repeat(2 * mebibyte),
    `{"a":${'['.repeat(mebibyte)}${']'.repeat(mebibyte)}}`,
    `{"a":[${'{},'.repeat(mebibyte)}{}]}`,
  ]) {
    const [entry, ...others] = entriesOfLine(text)
    assert.deepEqual(others, [])
    assert.deepEqual(
      [entry?.reject, entry?.note, entry?.offset, entry?.length],
      ['not_encodable', 'more than 1000000 values', 100, text.length + 1],
    )
    assert.equal(entry?.raw, text)
  }
})

test('a line of more records than the limit is one rejected row, not millions', () => {
  for (const text of ['{}'.repeat(mebibyte), `{"records":[${'{},'.repeat(mebibyte)}{}]}`]) {
    const entries = entriesOfLine(text)
    assert.deepEqual(
      entries.map(({ reject, note }) => [reject, note]),
      [['not_encodable', 'more than 262144 records on one line']],
    )
  }
})

test('the records of a long line have the places and texts that those of a short one have', () => {
  const objects = [`{"a":"${filler}"}`, ' {"b":"}{"}', `\t{"c":"\\"}"}  `]
  const entries = entriesOfLine(objects.join(''))
  assert.deepEqual(
    entries.map(({ raw, index }) => [raw, index]),
    objects.map((text, index) => [text.trim(), index]),
  )
  let offset = 100
  for (const entry of entries) {
    assert.equal(entry.offset, offset)
    offset += entry.length
  }
  assert.equal(offset, 100 + objects.join('').length + 1)
})

test('text that JSON refuses and the engine would read is rejected, and halves of surrogate pairs are repaired', () => {
  for (const end of [',}', ',"b":NaN}', ',"b":[1,]}']) {
    assert.equal(entriesOfLine(`{"a":"${filler}"${end}`)[0]?.reject, 'not_json')
  }
  const [entry] = entriesOfLine(`{"a":"${filler}\\ud800 \\ud83d\\ude00 \\\\ud800 \\udc00"}`)
  assert.equal(entry?.json, `{"a":"${filler}\\ufffd \\ud83d\\ude00 \\\\ud800 \\ufffd"}`)
})

test('a long line of text becomes the record that a short one does, whatever its characters', () => {
  const server = '2026-11-24 08:54:35.875 UTC [77] LOG:  '
  const runtime = '2026-11-24T08:54:36.5Z stderr F '
  const piece = 'insert "é😀\u2028\\x" \t\u0001 [{,,,,,,,,,'
  const text = piece.repeat(100_000)
  for (const prefix of [server, `${runtime}${server}`, `${runtime.replace('stderr F ', '')}${server}`]) {
    const [long, ...others] = entriesOfLine(`${prefix}${text}`)
    assert.deepEqual(others, [])
    assert.equal(long?.reject, undefined)
    const [short] = entriesOfLine(`${prefix}${piece}`)
    const { message, log, ...facts } = JSON.parse(latin1AsText(long?.json ?? ''))
    const {
      message: shortMessage,
      log: shortLog,
      ...shortFacts
    } = JSON.parse(latin1AsText(short?.json ?? ''))
    assert.deepEqual(facts, shortFacts)
    assert.equal(message ?? log, `${server}${text}`)
    assert.equal(shortMessage ?? shortLog, `${server}${piece}`)
  }
})
