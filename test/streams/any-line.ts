import fc from 'fast-check'

/** Keys and texts that a parser's shortcuts would trip over. */
const anyKey = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom(
    '}',
    '{',
    '}{',
    '"',
    '\\',
    '\\"',
    ',}',
    ']',
    '},{',
    'NaN',
    'Infinity',
    '😀',
    '\u2028',
    '\0',
    'records',
  ),
)

// Not as keys: repaired, two of them could become one.
const anyText = fc.oneof({ weight: 5, arbitrary: anyKey }, fc.constantFrom('\ud800', '\udc00', '\\\ud800'))

const anyValue = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    anyText,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(true, false, null, 9007199254740991),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(anyKey, tie('value'), { maxKeys: 3 }),
  ),
})).value

/** A JSON object's text: of any shape, with or without white space and escapes, never with a raw newline. */
export const anyObjectText: fc.Arbitrary<string> = fc
  .tuple(fc.dictionary(anyKey, anyValue, { maxKeys: 4 }), fc.constantFrom('', ' ', '\t'), fc.boolean())
  .map(([value, indent, escaped]) => {
    const text = JSON.stringify(value, null, indent).replaceAll('\n', indent === '\t' ? '\r' : ' ')
    return escaped ? text.replace(/[^ -~\r\t]/g, (unit) => `\\u${hex(unit.charCodeAt(0))}`) : text
  })

const slips = [
  '{}',
  '{"a":1,}',
  '{"a":[1,]}',
  '{"a":[1 , ]}',
  '{"a":{"b":1,},"c":2}',
  '{,}',
  '{"a":NaN}',
  '{"a":Infinity}',
  '{"a":-Infinity}',
  '{"a":01}',
  '{"a":+1}',
  '{"a":.5}',
  '{"a":1.}',
  '{"a":1e}',
  '{"a":1e400}',
  '{"a":123456789012345678901234567890}',
  '{"a":0x1}',
  "{'a':1}",
  '{a:1}',
  '{"a":1/*c*/}',
  '{"a":1}//c',
  '{"a":tru}',
  '{"a":True}',
  '{"a":undefined}',
  '{"a":"\t"}',
  '{"a":"\u0001"}',
  '{"a":"\\x41"}',
  '{"a":"\\u12"}',
  '{"a":"\\ud800"}',
  '{"\\udc00":"\\ud83d\\ude00"}',
  '{"a":"\\\\ud800"}',
  '{"a":"\\u0000"}',
  '{"a":1} {"b":2}',
  '{"a":1}{"b":2,}',
  '{"a":1}{"b":',
  '{"a":1},{"b":2}',
  '{"a":1}]',
  '{"a":1}}',
  '{{"a":1}}',
  '{"a"}',
  '{"a":}',
  '{"a":1 "b":2}',
  '{"a" 1}',
  '[]',
  '[{}]',
  '1',
  '"{}"',
  'null',
  'LOG:  checkpoint starting: time',
  '{"a":1}\u00a0',
  '\ufeff{"a":1}',
  '{"a":1}\u001f',
  '\u001f{"a":1}',
  '{"a":"\u001f"}',
  '{"a":\u000b1}',
  '{"a":1\u000c}',
  '\u000c{}',
  '{"a":"\u0000"}',
  `{"a":${'['.repeat(200)}${']'.repeat(200)}}`,
]

const change = fc.constantFrom(
  '',
  '{',
  '}',
  '"',
  ',',
  ':',
  '[',
  ']',
  ' ',
  '\\',
  '1',
  '\r',
  '\0',
  '\x1f',
  '\ufeff',
  ',}',
)

/** What may stand on one line: records, nearly records, and anything else; bytes without a newline. */
export const anyLine: fc.Arbitrary<Buffer> = fc
  .oneof(
    { weight: 4, arbitrary: anyObjectText.map(utf8) },
    {
      weight: 2,
      arbitrary: fc.array(anyObjectText, { minLength: 2, maxLength: 4 }).map((texts) => utf8(texts.join(''))),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(anyObjectText, fc.nat(), fc.nat({ max: 2 }), change)
        .map(([text, place, cut, inserted]) => {
          const at = place % (text.length + 1)
          return utf8(text.slice(0, at) + inserted + text.slice(at + cut))
        }),
    },
    { weight: 3, arbitrary: fc.constantFrom(...slips).map(utf8) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(anyObjectText, fc.nat(), fc.constantFrom('ff', 'c3', 'eda080', 'e282', 'c080'))
        .map(([text, place, bytes]) => {
          const whole = utf8(text)
          const at = place % (whole.length + 1)
          return Buffer.concat([whole.subarray(0, at), Buffer.from(bytes, 'hex'), whole.subarray(at)])
        }),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(anyObjectText, { maxLength: 3 })
        .map((texts) => utf8(`{"records":[${texts.join(', ')}]}`)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.constantFrom('', ' ', '\r', '\t \r').map(utf8) },
  )
  .chain((line) =>
    fc
      .constantFrom('', '', '', '\r')
      .chain((end) =>
        fc.constantFrom('', '', '', '\r', ' ').map((start) => Buffer.concat([utf8(start), line, utf8(end)])),
      ),
  )
  .map((line) => Buffer.from(line.map((byte) => (byte === 0x0a ? 0x20 : byte))))

function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8')
}

function hex(code: number): string {
  return code.toString(16).padStart(4, '0')
}
