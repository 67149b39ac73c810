import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bytesAsLatin1,
  type Entry,
  type EntryBlock,
  type LineBlock,
  latin1AsText,
} from '../../src/records.ts'
import { entriesOf, RecordValidator } from '../../src/streams/record-validator.ts'
import { anyLine, anyObjectText } from './any-line.ts'
import { blockOf, blocksOf } from './blob-chunks.ts'
import { through } from './through.ts'

test("for any mix of lines the entries' places tile the lines that are not blank", () => {
  fc.assert(
    fc.property(fc.array(anyLine, { maxLength: 8 }), fc.constantFrom(0, 7), (texts, start) => {
      const block = blockOf(texts, start)
      const { span, entries } = entriesOf(block)
      assert.deepEqual(span, block.span)
      const places = distinctPlaces(entries)
      for (const line of block.lines) {
        const own = places.filter(({ offset }) => offset >= line.offset && offset < line.offset + line.length)
        const isBlank = /^(?:[ \t\r\n\v\f]|\xef\xbb\xbf)*$/.test(line.latin1)
        assert.equal(own.length > 0, !isBlank, line.latin1)
        let next = line.offset
        for (const { offset, length } of own) {
          assert.equal(offset, next)
          next += length
        }
        if (!isBlank) assert.equal(next, line.offset + line.length)
      }
    }),
    { numRuns: 400 },
  )
})

test('no two entries have the same offset and index', () => {
  fc.assert(
    fc.property(fc.array(anyLine, { maxLength: 8 }), (texts) => {
      const { entries } = entriesOf(blockOf(texts))
      assert.equal(new Set(entries.map(({ offset, index }) => `${offset}/${index}`)).size, entries.length)
    }),
  )
})

test('each of several objects on a line gets its own bytes, whatever stands before the first', () => {
  const before = fc.constantFrom('', '\r', ' ', '\t')
  const between = fc.constantFrom('', ' ', '\t')
  fc.assert(
    fc.property(
      fc.array(anyObjectText, { minLength: 2, maxLength: 4 }),
      before,
      between,
      (texts, first, space) => {
        fc.pre(texts.every((text) => !isRecordsDocument(text)))
        const line = Buffer.from(first + texts.join(space))
        const { entries } = entriesOf(blockOf([line], 50))
        assert.deepEqual(
          entries.map(({ json, raw }) => withoutLoneHalves(JSON.parse(latin1AsText(json ?? raw)))),
          texts.map((text) => withoutLoneHalves(JSON.parse(text))),
        )
        assert.deepEqual(
          entries.map(({ index }) => index),
          texts.map((_text, index) => index),
        )
        const bytes = Buffer.concat([line, Buffer.from('\n')])
        for (const entry of entries) {
          const own = bytes.subarray(entry.offset - 50, entry.offset - 50 + entry.length)
          assert.equal(own.toString('latin1').trim(), entry.raw)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('objects behind a byte order mark or invalid bytes keep their exact places', async () => {
  const bytes = Buffer.concat([
    Buffer.from('\ufeff{"a":1}{"b":2}\r\n'),
    Buffer.from([...Buffer.from('{"c":"'), 0xff, 0xfe, ...Buffer.from('"}{"d":4}\n')]),
  ])
  const { entries } = entriesOf((await blocksOf(bytes))[0] as LineBlock)
  assert.deepEqual(
    entries.map(({ offset, length, index, raw }) => [offset, length, index, latin1AsText(raw)]),
    [
      [0, 10, 0, '{"a":1}'],
      [10, 9, 1, '{"b":2}'],
      [19, 10, 0, '{"c":"\ufffd\ufffd"}'],
      [29, 8, 1, '{"d":4}'],
    ],
  )
  assert.match(entries[2]?.note ?? '', /^invalid_utf8/)
  assert.equal(entries[3]?.note, undefined)
})

test('a carriage return at either end of a line is no part of the record and counts to its bytes', async () => {
  for (const line of ['{"a":1}\r\n', '\r{"a":1}\n', '\r{"a":1}\r\n']) {
    const { entries } = entriesOf((await blocksOf(line, 40))[0] as LineBlock)
    assert.deepEqual(entries, [{ offset: 40, length: line.length, index: 0, raw: '{"a":1}', form: 'flat' }])
  }
})

test('a byte order mark at either end of a line is no part of the record and counts to its bytes', async () => {
  for (const line of ['\ufeff{"a":1}\n', '\r\ufeff{"a":1}\r\n', '\ufeff\ufeff{"a":1}\ufeff\n']) {
    for (const start of [0, 11]) {
      const { entries } = entriesOf((await blocksOf(line, start))[0] as LineBlock)
      const length = Buffer.byteLength(line)
      assert.deepEqual(entries, [{ offset: start, length, index: 0, raw: '{"a":1}', form: 'flat' }], line)
    }
  }
})

test('a byte order mark between two objects belongs to the second, and one inside a text to the text', async () => {
  const line = '\ufeff{"a":"}\ufeff{"}\ufeff{"b":2} \ufeff {"c":3}\n'
  const { entries } = entriesOf((await blocksOf(line, 7))[0] as LineBlock)
  assert.deepEqual(
    entries.map(({ offset, length, index, raw }) => [offset, length, index, latin1AsText(raw)]),
    [
      [7, 16, 0, '{"a":"}\ufeff{"}'],
      [23, 10, 1, '{"b":2}'],
      [33, 13, 2, '{"c":3}'],
    ],
  )
})

const sequinMessage = (price: number): string =>
  `{"record":{"price":${price}.10},"action":"insert","metadata":{"table_name":"orders"}}`

test('the records of an array on a line are rows that share its place and differ in their index', () => {
  for (const [line, texts] of [
    ['[{"a":1.0},{"b": {"records":1}}]', ['{"a":1.0}', '{"b": {"records":1}}']],
    [' [ {"a":1} , 7, {"b":2} ] ', ['{"a":1}', '7', '{"b":2}']],
    ['[{"records":[{"a":1},{"b":2}]},{"c":3}]', ['{"a":1}', '{"b":2}', '{"c":3}']],
    ['{"records":[{"a":1e400,"a":"\\u00e9"}]}', ['{"a":1e400,"a":"\\u00e9"}']],
    [`{"data":[${sequinMessage(1)}, ${sequinMessage(2)}]}`, [sequinMessage(1), sequinMessage(2)]],
    ['{"a":1},', ['{"a":1}']],
    ['{"a":1} ,\r', ['{"a":1}']],
    [',{"a":1}', ['{"a":1}']],
    ['[{"a":1},', ['{"a":1}']],
    ['{"a":[1]}]', ['{"a":[1]}']],
    ['{"a":1},{"b":2},', ['{"a":1}', '{"b":2}']],
    ['{"a":1,"n":"\\ud800"},', ['{"a":1,"n":"\\ud800"}']],
  ] as const) {
    const { entries } = entriesOf(blockOf([line], 9))
    assert.deepEqual(
      entries.map(({ offset, length, index, raw, reject }) => [offset, length, index, raw, reject]),
      texts.map((text, index) => [9, line.length + 1, index, text, text === '7' ? 'not_object' : undefined]),
      line,
    )
  }
})

test("a line of the server's text log, and a container runtime's prefix before a record, become a record", () => {
  const text = '2026-11-24 08:54:35.875 UTC [77] LOG:  checkpoint starting: time'
  const at = '2026-11-24T08:54:35.900000001Z'
  for (const [line, record] of [
    [text, { message: text }],
    [
      '2026-11-24 08:54:35 +03-6b0550cb.102a-ОШИБКА:  x',
      { message: '2026-11-24 08:54:35 +03-6b0550cb.102a-ОШИБКА:  x' },
    ],
    ['LOG:  x', { message: 'LOG:  x' }],
    ['[77] shop@orders ANWEISUNG:  x', { message: '[77] shop@orders ANWEISUNG:  x' }],
    ['\tfrom "t" where a = 1', { message: '\tfrom "t" where a = 1' }],
    [`${at} stderr F \tfrom t`, { log: '\tfrom t', stream: 'stderr', time: at }],
    [`${at} stderr F ${text}`, { log: text, stream: 'stderr', time: at }],
    [`${at} ${text}`, { log: text, time: at }],
    ['2026-11-24 08:54:35.875 P00   INFO: x', { message: '2026-11-24 08:54:35.875 P00   INFO: x' }],
    ['2026-11-24 08:54:35,875 INFO: x', { message: '2026-11-24 08:54:35,875 INFO: x' }],
    [`${at}  INFO ThreadId(01) x: y`, { message: `${at}  INFO ThreadId(01) x: y` }],
    [`${at} stderr F NOTICE: x`, { log: 'NOTICE: x', stream: 'stderr', time: at }],
    [`${at} stdout F {"a":"é"}`, { a: 'é' }],
    [`${at} {"a":1}`, { a: 1 }],
  ] as const) {
    const { entries } = entriesOf(blockOf([line]))
    assert.equal(entries.length, 1)
    assert.equal(latin1AsText(entries[0]!.raw), line)
    assert.deepEqual(JSON.parse(latin1AsText(entries[0]!.json ?? '')), record)
    assert.equal(entries[0]?.reject, undefined)
  }
  for (const line of [
    'x LOG: y',
    'CATALOG:  x',
    '{"message":"LOG:  x',
    '"message": "LOG:  x"',
    '\t"a": 1,',
    '\t\t}',
    '2026-11-24 08:54:35.875 UTC no level',
    `${at} stdout F no record`,
    `${at} stdout P {"a":1}`,
    `${at} stdout F {"a":1`,
    `${at} stdout F [1]`,
  ]) {
    const { entries } = entriesOf(blockOf([line]))
    assert.deepEqual(
      entries.map(({ raw, reject }) => [raw, reject]),
      [[line, 'not_json']],
    )
  }
})

test('an entry is called flat only if its object holds no object and no array', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.constantFrom(undefined, 1),
      (value, indent) => {
        const line = Buffer.from(JSON.stringify(value, undefined, indent).replaceAll('\n', ''))
        const [entry] = entriesOf(blockOf([line])).entries
        if (entry?.form !== undefined)
          assert.ok(Object.values(value).every((inner) => typeof inner !== 'object' || inner === null))
      },
    ),
    { numRuns: 500 },
  )
})

test('blank lines become no entry, and the span still covers them', async () => {
  const block = (await blocksOf('\n \t\r\n{"a":1}\n\r\n'))[0] as LineBlock
  const { span, entries } = entriesOf(block)
  assert.deepEqual([span.start, span.end], [0, 15])
  assert.deepEqual(
    entries.map(({ offset, length }) => [offset, length]),
    [[5, 8]],
  )
})

test('invalid UTF-8 is shown as U+FFFD with a note, and the place still names the original bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (inside) => {
      const text = Buffer.from(inside.map((byte) => (byte < 0x80 ? 0x61 : byte)))
      const line = Buffer.concat([Buffer.from('{"a":"'), text, Buffer.from('"}')])
      const [entry] = entriesOf(blockOf([line], 9)).entries as [Entry]
      const isValid = Buffer.from(line.toString('utf8')).equals(line)
      assert.deepEqual([entry.offset, entry.length], [9, line.length + 1])
      assert.equal(entry.raw, bytesAsLatin1(line.toString('utf8')))
      assert.equal(entry.note === undefined, isValid)
      assert.equal(entry.reject, undefined)
    }),
  )
})

test('a line that is no JSON is rejected as not_json, and JSON that is no object as not_object', () => {
  const reasons = (text: string): unknown[] => entriesOf(blockOf([text])).entries.map(({ reject }) => reject)
  for (const text of [
    'some text',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":1,}',
    '{"a":[1,]}',
    '{"a":[1, ]}',
    '{} x',
    '\0',
  ]) {
    assert.deepEqual(reasons(text), ['not_json'], text)
  }
  for (const text of ['[]', '[[{"a":1}]]', '["an","array"]', '1', '"{}"', 'null', 'true']) {
    assert.deepEqual(reasons(text), ['not_object'], text)
  }
  for (const text of [
    '{}',
    '{"a":"}{"}',
    '{"a":"NaN, Infinity"}',
    '{"a":",}"}',
    '{"a":"\\"}{\\""}',
    '{"a":"x\u2028"}',
  ]) {
    assert.deepEqual(reasons(text), [undefined], text)
  }
})

test('a surrogate without its pair is replaced in what is projected and kept in raw', () => {
  const projected = (text: string): string => {
    const [entry] = entriesOf(blockOf([text])).entries as [Entry]
    assert.equal(latin1AsText(entry.raw), text)
    return latin1AsText(entry.json ?? entry.raw)
  }
  assert.equal(projected('{"a":"\\ud800"}'), '{"a":"\\ufffd"}')
  assert.equal(projected('{"a":"\\uDC00\\uD800x"}'), '{"a":"\\ufffd\\ufffdx"}')
  assert.equal(projected('{"a":"\\ud83d\\ude00\\ud800"}'), '{"a":"\\ud83d\\ude00\\ufffd"}')
  assert.equal(projected('{"a":"\\\\ud800"}'), '{"a":"\\\\ud800"}')
  assert.equal(
    projected('{"a":"\\\\\\ud800","n":12345678901234567890}'),
    '{"a":"\\\\\\ufffd","n":12345678901234567890}',
  )
})

test('the elements of a records document share its place and differ in their index', () => {
  const objects = fc.array(anyObjectText, { minLength: 1, maxLength: 4 })
  const spaces = fc.constantFrom('', ' ')
  fc.assert(
    fc.property(objects, spaces, fc.constantFrom('', '"x":1,'), (texts, space, first) => {
      const line = `{${first}"records":${space}[${texts.join(`${space},`)}]}`
      const { entries } = entriesOf(blockOf([line]))
      const length = Buffer.byteLength(line) + 1
      assert.deepEqual(
        entries.map(({ offset, length: bytes, index, reject }) => ({ offset, bytes, index, reject })),
        texts.map((_text, index) => ({ offset: 0, bytes: length, index, reject: undefined })),
      )
      assert.deepEqual(
        entries.map(({ raw }) => withoutLoneHalves(JSON.parse(latin1AsText(raw)))),
        texts.map((text) => withoutLoneHalves(JSON.parse(text))),
      )
    }),
  )
})

test('records keep their long integers, and an element that is no object is rejected alone', () => {
  const { entries } = entriesOf(blockOf(['{"records":[{"id":-6883023751393440299},7]}']))
  assert.deepEqual(
    entries.map(({ raw, reject }) => [raw, reject]),
    [
      ['{"id":-6883023751393440299}', undefined],
      ['7', 'not_object'],
    ],
  )
})

test('a records document without elements, or with something else in it, stays one row', () => {
  for (const line of [
    '{"data":[]}',
    `{"data":[${sequinMessage(1)},{"a":1}]}`,
    '{"records":[]}',
    '{"records":{"a":[1]}}',
    '{"x":"[\\"records\\"]"}',
  ]) {
    const { entries } = entriesOf(blockOf([line]))
    assert.deepEqual(
      entries.map(({ raw, reject }) => [raw, reject]),
      [[line, undefined]],
    )
  }
})

test('hundreds of thousands of records on one line all become entries', () => {
  const count = 200_000
  assert.equal(entriesOf(blockOf([`{"records":[${'{},'.repeat(count - 1)}{}]}`])).entries.length, count)
  assert.equal(entriesOf(blockOf(['{}'.repeat(count)])).entries.length, count)
})

test('long lines are read by the same rules', () => {
  const long = 'x'.repeat(1024 * 1024)
  const text = `2026-11-24 08:54:35.875 UTC [77] LOG:  ${long}`
  const at = '2026-11-24T08:54:35.9Z'
  for (const [line, rows] of [
    [`[{"a":"${long}"}, 7, {"b":1}]`, [`{"a":"${long}"}`, '7', '{"b":1}']],
    [`{"a":"${long}"},\r`, [`{"a":"${long}"}`]],
    [`[{"a":"${long}"},`, [`{"a":"${long}"}`]],
    [`\ufeff{"a":"${long}"}`, [`{"a":"${long}"}`]],
    [text, [JSON.stringify({ message: text })]],
    [`${at} {"a":"${long}"}`, [`{"a":"${long}"}`]],
  ] as const) {
    const { entries } = entriesOf(blockOf([line], 5))
    assert.deepEqual(
      entries.map(({ offset, index, raw, json, reject }) => [offset, index, json ?? raw, reject]),
      rows.map((row, index) => [5, index, row, row === '7' ? 'not_object' : undefined]),
    )
  }
})

test('a record nested too deeply for recursion passes as it is', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const record = `{"a":"\\u0041","n":12345678901234567890,"b":${deep}}`
  for (const line of [record, `{"records":[${record}]}`, `[${record}]`]) {
    const { entries } = entriesOf(blockOf([line]))
    assert.deepEqual(entries, [{ offset: 0, length: line.length + 1, index: 0, raw: record }])
  }
})

test('a line over the limit is rejected with its full length and a text that ends on a whole character', async () => {
  const line = `${'x'.repeat(65_535)}ä${'y'.repeat(100)}\n`
  const { entries } = entriesOf((await blocksOf(line, 0, 65_540))[0] as LineBlock)
  const [entry] = entries as [Entry]
  assert.deepEqual([entry.offset, entry.length, entry.reject], [0, 65_638, 'too_long'])
  assert.equal(entry.note, '65637 bytes')
  assert.equal(latin1AsText(entry.raw), `${'x'.repeat(65_535)}\ufffd`)
})

test('the validator as a stage passes one block for each block', async () => {
  const blocks = [blockOf(['{"a":1}']), blockOf(['x'], 8)]
  const outputs = await through<EntryBlock>(new RecordValidator(), blocks)
  assert.deepEqual(
    outputs,
    blocks.map((block) => entriesOf(block)),
  )
})

test('the blocks of a unit stay open', () => {
  const block = blockOf(['{"a":1}'])
  assert.equal(entriesOf({ ...block, open: true }).open, true)
  assert.equal(entriesOf(block).open, undefined)
})

function distinctPlaces(entries: readonly Entry[]): { offset: number; length: number }[] {
  const places: { offset: number; length: number }[] = []
  for (const { offset, length } of entries) {
    if (places.at(-1)?.offset !== offset) places.push({ offset, length })
  }
  return places
}

function isRecordsDocument(text: string): boolean {
  return Array.isArray(JSON.parse(text).records)
}

/** The value's text with U+FFFD for surrogates without their pair. */
function withoutLoneHalves(value: unknown): string {
  return JSON.stringify(value).replace(/(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g, '$1\ufffd')
}
