import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { headBytes } from '../../../src/sources/recognition/fingerprint.ts'
import { framingOf, isFramingOpen } from '../../../src/sources/recognition/framing.ts'

const bytes = (latin1: string): Buffer => Buffer.from(latin1, 'latin1')

test('a blob that begins as gzip is gzip, whatever kind of blob it is', () => {
  assert.deepEqual(framingOf(gzipSync('{"a":1}\n'), 'append'), { kind: 'gzip' })
  assert.deepEqual(framingOf(gzipSync(''), 'block'), { kind: 'gzip' })
  assert.deepEqual(framingOf(Buffer.from([0x1f, 0x8b]), 'append'), { kind: 'gzip' })
})

test('a records document is told by its first key, whatever white space is between', () => {
  for (const text of [
    '{"records":[',
    '\ufeff{"records":[{"a":1}]}',
    ' \r\n\t{\n  "records" :\r\n[\n',
    '{"records":[]}\n{"a":1}\n',
  ]) {
    assert.deepEqual(framingOf(Buffer.from(text), 'block'), { kind: 'documents' }, text)
  }
})

test('everything else is lines, also what is empty or too short to tell', () => {
  for (const text of [
    '',
    '{',
    '{"a":1}\n',
    '{"records":1}',
    '{"records":{"a":[1]}}',
    '{"Records":[1]}',
    '{"a":1,"records":[]}',
    '[{"records":[]}]',
    '\ufeff{"a":1}\n',
    'LOG:  checkpoint starting: time',
    'ORC started',
    'SEQ 4',
    'Object',
    'PK violated',
    'PARTITION',
    'PAR1 is a word',
    'BZh is a word',
    'x=1',
    '"x"',
    '\n\r\r\n{"a":1}',
    '\u00e4',
    '\0\0\0\0',
  ]) {
    for (const type of ['append', 'block'] as const) {
      assert.deepEqual(framingOf(Buffer.from(text), type), { kind: 'lines' }, JSON.stringify(text))
    }
  }
  assert.deepEqual(framingOf(brotliCompressSync('{"a":1}\n'), 'append'), { kind: 'lines' })
})

const foreign: readonly (readonly [format: string, head: Buffer])[] = [
  ['zstd', bytes('\x28\xb5\x2f\xfd\x04')],
  ['zstd', bytes('\x5a\x2a\x4d\x18\x04')],
  ['xz', bytes('\xfd7zXZ\0')],
  ['bzip2', bytes('BZh91AY&SY')],
  ['LZ4', bytes('\x04\x22\x4d\x18')],
  ['framed Snappy', bytes('\xff\x06\0\0sNaPpY')],
  ['compress', bytes('\x1f\x9d\x90')],
  ['zlib', deflateSync('{"a":1}')],
  ['Parquet', bytes('PAR1\x15')],
  ['Parquet', bytes('PARE\x15')],
  ['Avro', bytes('Obj\x01\x04')],
  ['ORC', bytes('ORC\x0a\x08').fill(1, 3)],
  ['Arrow', bytes('ARROW1\0\0')],
  ['a Hadoop sequence file', bytes('SEQ\x06')],
  ['an SQLite database', bytes('SQLite format 3\0')],
  ['zip', bytes('PK\x03\x04')],
  ['zip', bytes('PK\x05\x06')],
  ['7-Zip', bytes('7z\xbc\xaf\x27\x1c')],
  ['RAR', bytes('Rar!\x1a\x07')],
  ['a Windows event log', bytes('ElfFile\0')],
  ['a packet capture', bytes('\xd4\xc3\xb2\xa1')],
  ['a packet capture', bytes('\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a')],
  ['UTF-32', bytes('\xff\xfe\0\0{\0\0\0')],
  ['UTF-32', bytes('\0\0\xfe\xff\0\0\0{')],
  ['UTF-16', bytes('\xff\xfe{\0')],
  ['UTF-16', bytes('\xfe\xff\0{')],
  ['UTF-16', Buffer.from('{"a":1}', 'utf16le')],
  ['UTF-16', Buffer.from('{"a":1}', 'utf16le').swap16()],
]

test('formats that are no text are refused by name, with what to do', () => {
  for (const [format, head] of foreign) {
    const framing = framingOf(head, 'append')
    assert.equal(framing.kind, 'refused', format)
    assert.match(framing.kind === 'refused' ? framing.reason : '', new RegExp(`^is ${format}[^:]*: .{10,}`))
  }
})

test('the first bytes of another format are lines when they come later in a text', () => {
  for (const [format, head] of foreign)
    assert.deepEqual(framingOf(Buffer.concat([bytes('a'), head]), 'append'), { kind: 'lines' }, format)
})

test('a page blob is refused whatever it holds', () => {
  const framing = framingOf(Buffer.from('{"a":1}\n'), 'page')
  assert.match(framing.kind === 'refused' ? framing.reason : '', /^is a page blob.*: write/)
})

test('only the head is looked at', () => {
  const text = `${' '.repeat(headBytes)}{"records":[`
  assert.deepEqual(framingOf(Buffer.from(text), 'block'), { kind: 'lines' })
})

test('the framing of a whole blob is open while its bytes may become a gzip member or a document, and no longer', () => {
  const isOpen = (text: string) => isFramingOpen(Buffer.from(text, 'latin1'))
  for (const text of [
    '\x1f',
    '{',
    '\xef',
    '\xef\xbb\xbf',
    '\xef\xbb\xbf{',
    '\n {\r\n\t"rec',
    '{"records"',
    '{ "records" : ',
  ])
    assert.equal(isOpen(text), true, JSON.stringify(text))
  for (const text of ['', '\n', '\x1f\x8b', '{}', '{"r":1}', '{"records":[', '{"records":1', 'LOG'])
    assert.equal(isOpen(text), false, JSON.stringify(text))
  assert.equal(isOpen('{'.padEnd(headBytes - 1)), true)
  assert.equal(isOpen('{'.padEnd(headBytes)), false)
})
