import assert from 'node:assert/strict'
import { Transform } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import type { JsonObject } from '../../../src/json.ts'
import { type EntryBlock, latin1AsText } from '../../../src/records.ts'
import { FunctionTransform } from '../../../src/streams/custom/function-transform.ts'
import { StreamTransform } from '../../../src/streams/custom/stream-transform.ts'
import { entriesOf } from '../../../src/streams/record-validator.ts'
import type { LogRecord, RecordPlace, RecordTransform } from '../../../src/transforms/record-transform.ts'
import { LineGrammar } from '../../support/line-grammar.ts'
import { blockOf } from '../blob-chunks.ts'
import { placesOf, recordBlock, rejectedEntry, textsOf } from '../record-blocks.ts'
import { through } from '../through.ts'

const apply = (functions: readonly RecordTransform[], ...blocks: EntryBlock[]): Promise<EntryBlock[]> =>
  through<EntryBlock>(new FunctionTransform(functions, 'primary'), blocks)

test('one, several and no results per record keep their order, their place and an index of their own', async () => {
  const counts = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 10 })
  await fc.assert(
    fc.asyncProperty(counts, fc.boolean(), async (perRecord, asynchronous) => {
      const input = recordBlock(perRecord.map((count, id) => JSON.stringify({ id, count })))
      const repeat = (record: LogRecord): LogRecord[] =>
        Array.from({ length: Number(record.count) }, (_, copy) => ({ id: record.id as number, copy }))
      const [output] = await apply([asynchronous ? async (record) => repeat(record) : repeat], input)
      const expected = perRecord.flatMap((count, id) =>
        Array.from({ length: count }, (_, copy) => ({ id, copy })),
      )
      assert.deepEqual(
        textsOf([output as EntryBlock]).map((text) => JSON.parse(text)),
        expected,
      )
      assert.deepEqual(
        placesOf([output as EntryBlock]),
        expected.map(({ id, copy }) => [input.entries[id]?.offset, copy]),
      )
      assert.deepEqual(output?.span, input.span)
    }),
  )
})

test('null, undefined and an empty array all drop the record, and the span still covers it', async () => {
  const input = recordBlock(['{"a":1}', '{"a":2}', '{"a":3}'])
  for (const nothing of [null, undefined, []]) {
    const [output] = await apply([() => nothing], input)
    assert.deepEqual([output?.span, output?.entries], [input.span, []])
  }
})

test('integers beyond 2^53 arrive as bigint and leave exact', async () => {
  await fc.assert(
    fc.asyncProperty(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), async (id) => {
      let seen: unknown
      const [output] = await apply(
        [
          (record) => {
            seen = record.id
            return { ...record, next: BigInt(record.id as bigint) + 1n }
          },
        ],
        recordBlock([`{"id":${id}}`]),
      )
      assert.equal(BigInt(seen as bigint), id)
      assert.equal(typeof seen, Number.isSafeInteger(Number(id)) ? 'number' : 'bigint')
      assert.deepEqual(textsOf([output as EntryBlock]), [`{"id":${id},"next":${id + 1n}}`])
    }),
  )
})

test('a value that a transform removes is also removed from raw, even when raw and projected text differed', async () => {
  const [output] = await apply(
    [({ secret: _removed, ...rest }) => rest],
    recordBlock(['{"secret":"\\ud800 hunter2","a":"ä"}']),
  )
  assert.deepEqual(textsOf([output as EntryBlock]), ['{"a":"ä"}'])
  assert.equal(output?.entries[0]?.json, undefined)
})

test('functions are applied in their order, each to all results of the one before it', async () => {
  const [output] = await apply(
    [
      (record) => [record, { ...record, copy: true }],
      async (record) => ({ ...record, second: true }),
      (record) => (record.copy ? null : record),
    ],
    recordBlock(['{"a":1}', '{"a":2}']),
  )
  assert.deepEqual(textsOf([output as EntryBlock]), ['{"a":1,"second":true}', '{"a":2,"second":true}'])
})

test('a function is told where its record comes from', async () => {
  const places: RecordPlace[] = []
  await apply(
    [
      (record, place) => {
        places.push(place)
        return record
      },
    ],
    recordBlock(['{"a":1}', '{"b":2}'], 70),
  )
  assert.deepEqual(places, [
    { pipeline: 'primary', blob: 'logs/server.ndjson', offset: 70 },
    { pipeline: 'primary', blob: 'logs/server.ndjson', offset: 78 },
  ])
})

test('a record whose function throws or rejects becomes a reject with the first line of the stack, and the rest goes on', async () => {
  const failures: RecordTransform[] = [
    () => {
      throw new TypeError('no such field\nand more')
    },
    async () => {
      throw new TypeError('no such field\nand more')
    },
    () => Promise.reject(new TypeError('no such field')),
  ]
  for (const fail of failures) {
    const input = recordBlock(['{"a":1}', '{"a":2}', '{"a":3}'])
    const [output] = await apply([(record, place) => (record.a === 2 ? fail(record, place) : record)], input)
    assert.deepEqual(textsOf([output as EntryBlock]), ['{"a":1}', '{"a":2}', '{"a":3}'])
    assert.deepEqual(
      output?.entries.map(({ reject, note }) => [reject, note]),
      [
        [undefined, undefined],
        ['transform_error', 'TypeError: no such field'],
        [undefined, undefined],
      ],
    )
  }
})

test('anything that is thrown makes a reject, and so does a result without JSON text', async () => {
  const odd: RecordTransform[] = [
    () => {
      throw 'a text\nof two lines'
    },
    () => [undefined as unknown as LogRecord],
    () => {
      const self: LogRecord = {}
      self.self = self
      return self
    },
  ]
  for (const transform of odd) {
    const [output] = await apply([transform], recordBlock(['{"a":1}']))
    assert.deepEqual(
      output?.entries.map(({ reject, raw }) => [reject, raw]),
      [['transform_error', '{"a":1}']],
    )
    assert.doesNotMatch(output?.entries[0]?.note ?? '', /\n/)
  }
})

test('rejected entries and text that is no record pass by the functions untouched', async () => {
  const entries = [rejectedEntry('LOG: x', 0), { offset: 7, length: 8, index: 0, raw: '{"a":1,}' }]
  const block = { span: recordBlock(['{}']).span, entries }
  const [output] = await apply([() => assert.fail('a function was called')], block)
  assert.deepEqual(output?.entries, entries)
})

test('a function may rewrite the text of rejected rows: their place and reason stay, and the name of an error', async () => {
  const rewriting: RecordTransform = Object.assign((record: LogRecord) => record, {
    rejectedText: (text: string) => `${text.length} characters`,
  })
  const failing: RecordTransform = (record) => {
    if (record.a === 1) throw new TypeError('no such field: secret')
    if (record.a === 2) throw 'secret'
    return record
  }
  const texts = ['LOG: secret', '{"a":"secret",}', '{"a":1}', '{"a":2}', '{"a":3}']
  const entries = texts.map((raw, index) => ({ offset: index * 20, length: 20, index: 0, raw }))
  const tooLong = { ...rejectedEntry('{"a":"sec', 100), reject: 'too_long' as const, note: '5000 bytes' }
  const block = { span: recordBlock(['{}']).span, entries: [...entries, tooLong] }
  const [output] = await apply([rewriting, failing], block)
  assert.deepEqual(
    output?.entries.map(({ offset, raw, reject, note }) => [offset, raw, reject, note]),
    [
      [0, '11 characters', 'not_json', undefined],
      [20, '15 characters', 'not_json', undefined],
      [40, '7 characters', 'transform_error', 'TypeError'],
      [60, '7 characters', 'transform_error', undefined],
      [80, '{"a":3}', undefined, undefined],
      [100, '9 characters', 'too_long', '5000 bytes'],
    ],
  )
})

test('a transform that changes nothing changes no entry, whatever the line', async (t) => {
  const seed = Number(process.env.TAILRACE_TEST_SEED ?? 1)
  t.diagnostic(`replay with TAILRACE_TEST_SEED=${seed}`)
  const grammar = new LineGrammar(seededRandom(seed), { maxBytes: 16 * 1024, maxDepth: 8_000 })
  const block = entriesOf(blockOf(grammar.lines(1_000).map(({ bytes }) => bytes)))
  const stream = (): Transform =>
    new Transform({ objectMode: true, transform: (placed, _encoding, done) => done(null, placed) })
  for (const stage of [
    new FunctionTransform([(record) => record, async (record) => [record]], 'primary'),
    new StreamTransform({ stream }, 'primary'),
  ]) {
    const [output] = await through<EntryBlock>(stage, [block])
    for (const [index, entry] of block.entries.entries()) assert.deepEqual(output?.entries[index], entry)
    assert.equal(output?.entries.length, block.entries.length)
  }
})

test('values that a transform leaves unchanged are written byte for byte', async () => {
  const numbers =
    '"a":1e400,"b":1.0,"c":-0,"d":1E5,"e":{"n":[0.10, 12345678901234567890.5]},"f":"\\u00e9 1.0"'
  for (const [change, before, after] of [
    [(record) => ({ ...record }), `{ "x" : 1, ${numbers} }`, `{ "x" : 1, ${numbers} }`],
    [(record) => ({ ...record, x: 2 }), `{ "x" : 1, ${numbers} }`, `{"x":2,${numbers}}`],
    [(record) => Object.assign(record, { x: 2 }), `{"x":1,${numbers}}`, `{"x":2,${numbers}}`],
    [({ x: _x, ...rest }) => rest, `{"x":1,${numbers}}`, `{${numbers}}`],
    [(record) => ({ y: record.x as number }), '{"x":1e400}', '{"y":1e999}'],
    [
      (record) => {
        ;(record.e as JsonObject).m = 'new'
        return record
      },
      '{"e":{"m":"old","n":1.0},"list":[1.0]}',
      '{"e":{"m":"new","n":1.0},"list":[1.0]}',
    ],
    [
      (record) => ({ ...record, list: (record.list as number[]).map((n) => n * 2) }),
      '{"list":[0.0,1.5,2]}',
      '{"list":[0.0,3,4]}',
    ],
  ] as const satisfies readonly (readonly [RecordTransform, string, string])[]) {
    const [output] = await apply([change], recordBlock([before]))
    assert.deepEqual(textsOf([output as EntryBlock]), [after])
  }
})

test('a transform that makes an object of its own leaves out what it was not shown', async () => {
  for (const [before, after] of [
    ['{"m":"hidden","m":"shown"}', '{"m":"shown"}'],
    ['{"e":{"m":"hidden","m":"shown","n":1.0}}', '{"e":{"m":"shown","n":1.0}}'],
    ['{"list":[{"m":"hidden","m":"shown"}],"n":1.0}', '{"list":[{"m":"shown"}],"n":1.0}'],
  ] as const) {
    const [output] = await apply([(record) => ({ ...record })], recordBlock([before]))
    assert.deepEqual(textsOf([output as EntryBlock]), [after])
  }
})

test('a record nested more deeply than calls can be passes a function like any other', async () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const text = `{"id":12345678901234567890,"x":1,"a":${deep}}`
  const [dropped] = await apply([() => null], recordBlock([text]))
  assert.deepEqual(dropped?.entries, [])
  const [changed] = await apply([(record) => ({ ...record, x: 1.5 })], recordBlock([text]))
  assert.deepEqual(textsOf([changed as EntryBlock]), [text.replace('"x":1', '"x":1.5')])
})

test('one record may become hundreds of thousands', async () => {
  const [output] = await apply(
    [() => Array.from({ length: 200_000 }, () => ({})), (record) => record],
    recordBlock(['{"a":1}']),
  )
  assert.equal(output?.entries.length, 200_000)
  assert.equal(latin1AsText(output?.entries[199_999]?.raw ?? ''), '{}')
  assert.equal(output?.entries[199_999]?.index, 199_999)
})

test('the elements of one line keep unique indexes when some become several', async () => {
  const input = recordBlock(['{"records":[{"n":1},{"n":2},{"n":3}]}'])
  const [output] = await apply([(record) => (record.n === 2 ? [record, record, record] : record)], input)
  assert.deepEqual(placesOf([output as EntryBlock]), [
    [0, 0],
    [0, 1],
    [0, 2],
    [0, 3],
    [0, 4],
  ])
})

test('the blocks of a unit stay open, and one that begins again says so', async () => {
  const block = recordBlock(['{"a":1}'])
  const inputs: EntryBlock[] = [{ ...block, open: true }, { ...block, restart: true }, block]
  const outputs = await apply([() => null], ...inputs)
  assert.deepEqual(
    outputs,
    inputs.map((input) => ({ ...input, entries: [] })),
  )
})
