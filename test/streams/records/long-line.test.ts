import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Entry, latin1AsText } from '../../../src/records.ts'
import { entriesOf } from '../../../src/streams/record-validator.ts'
import { spoolRowTexts } from '../../../src/streams/staging/spool.ts'
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

test('a text that takes more than 32 MiB as JSON, or once its bytes are replaced, is rejected, whatever takes the room', () => {
  const server = '2026-11-24 08:54:35.875 UTC [77] LOG:  '
  const bytes = 12 * mebibyte
  const lineOf = (byte: number | string): Buffer =>
    Buffer.concat([Buffer.from(server), Buffer.alloc(bytes, byte)])
  for (const byte of [0x01, 0x1f, 0xff]) {
    const [entry, ...others] = entriesOf(blockOf([lineOf(byte)], 100)).entries
    assert.equal(others.length, 0)
    assert.deepEqual(
      [entry?.offset, entry?.length, entry?.reject],
      [100, server.length + bytes + 1, 'not_encodable'],
    )
    const row = spoolRowTexts(entry as Entry, 0)
    assert.ok(row.reduce((sum, text) => sum + text.length, 0) < 33 * mebibyte)
  }
  for (const byte of ['"', '\\', '\t', 'x']) {
    const [entry] = entriesOf(blockOf([lineOf(byte)])).entries
    assert.equal(entry?.reject, undefined)
    assert.equal(JSON.parse(entry?.json ?? '').message, `${server}${byte.repeat(bytes)}`)
  }
})

test('a row keeps the first 64 KiB of a text whose separators take more than 32 MiB, and says so', () => {
  const raw = '\x1f'.repeat(8 * mebibyte)
  for (const given of [{}, { reject: 'not_json' }, { note: 'a remark' }] as const) {
    const row = spoolRowTexts({ offset: 7, length: 9, index: 2, raw, json: '{}', ...given }, 3).join('')
    const [span, offset, length, , index, reject, note, encoding, json, text] = row.slice(0, -1).split('\x1f')
    assert.deepEqual([span, offset, length, index, encoding, json], ['3', '7', '9', '2', 'raw', ''])
    assert.equal(reject, 'reject' in given ? 'not_json' : 'not_encodable')
    assert.match(note ?? '', /^(a remark|more than 33554432 bytes as JSON); the text is cut to 64 KiB$/)
    assert.equal(JSON.parse(text ?? ''), raw.slice(0, 64 * 1024))
  }
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
