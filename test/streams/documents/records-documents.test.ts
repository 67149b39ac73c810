import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTailraceError } from '../../../src/errors.ts'
import { type Entry, type EntryBlock, latin1AsText } from '../../../src/records.ts'
import { RecordsDocuments } from '../../../src/streams/documents/records-documents.ts'
import { entriesOf } from '../../../src/streams/record-validator.ts'
import { anyLine, anyObjectText } from '../any-line.ts'
import { anyCuts, blockOf, chunksOf, spanOf } from '../blob-chunks.ts'
import { through } from '../through.ts'

interface Unit {
  readonly start: number
  readonly end: number
  readonly entries: readonly Entry[]
}

/** What each closing block ends, as a collector would put it together. */
function unitsOf(blocks: readonly EntryBlock[]): Unit[] {
  const units: Unit[] = []
  let entries: Entry[] = []
  for (const block of blocks) {
    if (block.restart) entries = []
    entries.push(...block.entries)
    if (block.open) {
      assert.equal(block.span.end, block.span.start)
      continue
    }
    for (const [index, entry] of entries.entries()) {
      assert.deepEqual([entry.offset, entry.index], [block.span.start, index])
    }
    units.push({ start: block.span.start, end: block.span.end, entries })
    entries = []
  }
  return units
}

async function unitsIn(text: string | Buffer, cuts: readonly number[] = [], start = 0): Promise<Unit[]> {
  const stage = new RecordsDocuments()
  return unitsOf(await through<EntryBlock>(stage, chunksOf(Buffer.from(text), cuts, start)))
}

/** What an entry says, without its place. */
function saidBy({ raw, json, reject, note }: Entry): unknown {
  return { raw, json, reject, note }
}

const everyByte = (text: string): number[] => [...Buffer.from(text).keys()]

const anyElement = fc.oneof(
  { weight: 6, arbitrary: anyObjectText },
  {
    weight: 1,
    arbitrary: fc.constantFrom('1', '-12.5e3', '"a,b]"', 'true', 'null', '[1,[2]]', '""', '"\\","', '[]'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '{"id":-6883023751393440299}',
      '{"a":"\\ud800"}',
      '{"a":1.0}',
      '{"a":[{},[]]}',
    ),
  },
)
const anyOther = fc.constantFrom(
  '',
  '"x":1,',
  '"x":{"records":[1,{"y":2}]},',
  '"xs":[[1],{"records":[{}]}],',
  '"\\"records":[3],',
  '"recordsets":[{"z":1}],',
)
const anyRecordsDocument = fc
  .tuple(anyOther, fc.array(anyElement, { maxLength: 4 }), fc.constantFrom('', ',"records2":[7]', ',"n":9'))
  .map(([before, elements, after]) => `{${before}"records":[${elements.join(',')}]${after}}`)
const anyDocument = fc.oneof(
  { weight: 4, arbitrary: anyRecordsDocument },
  { weight: 2, arbitrary: anyObjectText.filter((text) => !text.includes('\r')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('{}', '[]', '[{"records":1},[2]]', '{"records":[]}', '{"records":{"a":[1]}}'),
  },
)

/** White space between a text's tokens, which are told by looking at it from outside. */
function spaced(text: string, space: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|[[\]{},:]/g, (token) =>
    token.startsWith('"') ? token : /[{[,]/.test(token) ? `${token}${space}` : `${space}${token}`,
  )
}

const withoutBreaks = (text: string): string => text.replace(/\r?\n[ \t\r\n]*/g, '')

test('documents cut anywhere and laid out in any way have the entries that the validator finds on one line', async () => {
  const space = fc.constantFrom('', '\n', '\n  ', '\r\n\t', ' ')
  const between = fc.constantFrom('', '\n', ' ', '\r\n', '\n\n', ' \n ')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyDocument, space, between), { maxLength: 5 }),
      fc.array(fc.nat({ max: 600 }), { maxLength: 12 }),
      fc.constantFrom(0, 4_294_967_290),
      async (given, cuts, start) => {
        const texts = given.map(([text, inside]) => spaced(text, inside))
        const bytes = Buffer.from(texts.map((text, index) => text + given[index]?.[2]).join(''))
        const units = await unitsIn(bytes, cuts, start)
        const expected = texts.map((text) => entriesOf(blockOf([withoutBreaks(text)])).entries.map(saidBy))
        assert.deepEqual(
          units.filter(({ entries }) => entries.length > 0).map(({ entries }) => entries.map(saidBy)),
          expected,
        )
        let next: number = start
        for (const unit of units) {
          assert.equal(unit.start, next)
          next = unit.end
          const own = bytes.subarray(unit.start - start, unit.end - start).toString()
          if (unit.entries.length === 0) assert.equal(own.trim(), '')
          else assert.match(own, /^\S/)
        }
        assert.equal(next, start + bytes.length)
      },
    ),
    { numRuns: 150 },
  )
})

test('the spans of any bytes tile up to an unfinished value, and the cuts change no entry', async () => {
  const anyText = fc.oneof(
    { weight: 2, arbitrary: anyLine },
    { weight: 1, arbitrary: anyRecordsDocument.map((text) => Buffer.from(text)) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(
          anyRecordsDocument,
          fc.constantFrom('', '\n'),
          fc.nat(),
          fc.nat({ max: 3 }),
          fc.constantFrom('', '\n', '"', '}', ']', '[', '{', ',', 'tru', '\\', '\0', '1'),
        )
        .map(([text, space, place, cut, inserted]) => {
          const whole = spaced(text, space)
          const at = place % (whole.length + 1)
          return Buffer.from(whole.slice(0, at) + inserted + whole.slice(at + cut))
        }),
    },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(anyText, { maxLength: 4 }), anyCuts, async (texts, cuts) => {
      const bytes = Buffer.concat(texts.flatMap((text) => [text, Buffer.from('\n')]))
      const stage = new RecordsDocuments()
      const units = unitsOf(await through<EntryBlock>(stage, chunksOf(bytes, cuts)))
      let next = 0
      for (const unit of units) {
        assert.equal(unit.start, next)
        next = unit.end
      }
      assert.equal(stage.nextOffset, bytes.length === 0 ? undefined : next)
      const whole = await unitsIn(bytes)
      const rows = (some: readonly Unit[]): unknown =>
        some.flatMap(({ entries }) => entries.map((entry) => [entry.offset, saidBy(entry)]))
      assert.deepEqual(rows(units), rows(whole))
      const bytewise = await unitsIn(bytes, [...bytes.keys()])
      assert.deepEqual(rows(bytewise), rows(whole))
    }),
    { numRuns: 60 },
  )
})

test('a document is one unit with the white space behind it, and a value may follow on the same line', async () => {
  const text = '{"records":[{"a":1},\n{"a":2}]} \r\n\n{"b":1}{"c":1}\n'
  assert.deepEqual(
    (await unitsIn(text, [], 10)).map(({ start, end, entries }) => [
      start,
      end,
      entries.map(({ raw }) => raw),
    ]),
    [
      [10, 43, ['{"a":1}', '{"a":2}']],
      [43, 44, []],
      [44, 51, ['{"b":1}']],
      [51, 59, ['{"c":1}']],
    ],
  )
})

test('a document without a newline behind it is complete at its last brace', async () => {
  const stage = new RecordsDocuments()
  const text = '{"records":[{"a":1}]}'
  const blocks = await through<EntryBlock>(stage, chunksOf(Buffer.from(text), everyByte(text)))
  assert.deepEqual(
    unitsOf(blocks).map(({ end }) => end),
    [text.length],
  )
  assert.equal(stage.nextOffset, text.length)
})

test('a syntax error makes one reject up to the next newline, and what follows is read', async () => {
  const good = '{"records":[{"ok":1}]}\n'
  for (const bad of [
    '{"records":[{"a":1},{"a":2,}]}\n',
    '{"records":[{"a":1}}\n',
    '{"records":[{"a":"cut short\n',
    '{"records":[{"a":1},{"cut\n',
    '{"records":[{"a":tru\n',
    '{"records":[{"a":"\\x"}]}\n',
    '{"records":[{"a":1}],"b":nul\n',
    '{"records":[\n{"a":1}\n{"a":2}]} rest of it\n',
    '{"records":[1,2,,3]}\n',
    '{"records":[1 2]}\n',
  ]) {
    for (const cuts of [[], everyByte(bad + good)]) {
      // A newline that comes in another chunk than the brace before it is a unit without entries.
      const units = (await unitsIn(bad + good, cuts)).filter(({ entries }) => entries.length > 0)
      assert.deepEqual(
        units.map(({ entries }) => entries.map(({ raw, reject }) => [raw, reject])),
        [[[bad, 'not_json']], [['{"ok":1}', undefined]]],
      )
      assert.deepEqual(
        units.map(({ start, end }) => [start, end]),
        [
          [0, bad.length],
          [bad.length, bad.length + good.length - Math.sign(cuts.length)],
        ],
      )
    }
  }
})

test('entries that were handed on before a syntax error are taken back', async () => {
  const text = '{"records":[{"a":1},{"a":2},oops]}\n'
  const blocks = await through<EntryBlock>(new RecordsDocuments(), chunksOf(Buffer.from(text), [20]))
  assert.deepEqual(
    blocks.map(({ entries, open, restart }) => [entries.map(({ raw }) => raw), open, restart]),
    [
      [['{"a":1}'], true, undefined],
      [[text], undefined, true],
    ],
  )
})

test("a reject's text is cut to 64 KiB and its length is the unit's", async () => {
  const text = `{"records":[${`{"a":"${'x'.repeat(100)}"},`.repeat(2000)}}\n`
  const [unit] = await unitsIn(text, [70_000, 140_000])
  const [entry] = unit?.entries ?? []
  assert.deepEqual(
    [entry?.reject, entry?.raw.length, entry?.note],
    ['not_json', 65_536, `${text.length} bytes`],
  )
  assert.equal(unit?.end, text.length)
})

test('a value that is neither an object nor an array is a rejected line, unless it is one of a text log', async () => {
  const units = await unitsIn('12\nx {"records":[1]}\nLOG:  x {"records":[1]}\n"a"\r\n{"a":1},\nnull')
  assert.deepEqual(
    units.map(({ entries }) => entries.map(({ raw, reject }) => [raw, reject])),
    [
      [['12', 'not_object']],
      [['x {"records":[1]}', 'not_json']],
      [['LOG:  x {"records":[1]}', undefined]],
      [['"a"', 'not_object']],
      [['{"a":1}', undefined]],
      [[',', 'not_json']],
    ],
  )
})

test('an unfinished value has no closing block, and the next offset is its start', async () => {
  const first = '{"records":[{"a":1}]}\n'
  for (const rest of ['{"records":[{"b":1},', '[1', '12', '{"records":[{"a":1}}']) {
    const stage = new RecordsDocuments()
    const blocks = await through<EntryBlock>(stage, chunksOf(Buffer.from(first + rest), [], 5))
    assert.equal(blocks.filter(({ open }) => !open).length, 1)
    assert.equal(stage.nextOffset, 5 + first.length)
  }
  assert.equal(new RecordsDocuments().nextOffset, undefined)
})

test('a byte order mark is white space at the first byte of the blob and before a record', async () => {
  const text = '\ufeff{"records":[{"a":1}]}\n\ufeff{}\n'
  for (const cuts of [[], [1], [2], [1, 2, 3]]) {
    const units = await unitsIn(text, cuts)
    assert.deepEqual(
      units.flatMap(({ entries }) => entries.map(({ offset, reject }) => [offset, reject])),
      [
        [3, undefined],
        [28, undefined],
      ],
    )
  }
})

test('a byte order mark before any document is white space, wherever the chunks are cut', async () => {
  const pretty = '{\n  "records": [\n    {"a":1}\n  ]\n}'
  const text = `\ufeff${pretty}\n\ufeff${pretty}\n\ufeff\n\ufeff\ufeff ${pretty}\n`
  const offsets = [...Buffer.from(text).toString('latin1').matchAll(/\{\n/g)].map(({ index }) => index)
  for (const cuts of [[], ...everyByte(text).map((at) => [at]), everyByte(text)]) {
    const units = await unitsIn(text, cuts)
    assert.deepEqual(
      units.flatMap(({ entries }) => entries.map(({ offset, reject }) => [offset, reject])),
      offsets.map((at) => [at, undefined]),
      `cut at ${cuts}`,
    )
    assert.equal(units.at(-1)?.end, Buffer.byteLength(text))
  }
})

test('bytes of a mark that is not whole begin a value', async () => {
  for (const [bytes, start] of [
    [[0x20, 0xbb, 0x0a], 1],
    [[0x20, 0xef, 0x0a], 1],
    [[0xef, 0xbb, 0x7b, 0x7d, 0x0a], 0],
    [[0xef, 0xbb, 0xbf, 0xef, 0xbb, 0x7b, 0x7d, 0x0a], 3],
  ] as const) {
    for (const cuts of [[], ...bytes.map((_, at) => [at]), [...bytes.keys()]]) {
      const units = await unitsIn(Buffer.from(bytes), cuts)
      assert.deepEqual(
        units.flatMap(({ entries }) => entries.map(({ offset, reject }) => [offset, reject])),
        [[start, 'not_json']],
        `${bytes} cut at ${cuts}`,
      )
    }
  }
})

test('a mark at the end of the chunks is not passed: the next reader begins before it', async () => {
  const stage = new RecordsDocuments()
  await through<EntryBlock>(stage, chunksOf(Buffer.from([0x7b, 0x7d, 0x0a, 0xef, 0xbb]), []))
  assert.equal(stage.nextOffset, 3)
})

test('undecodable bytes are shown as U+FFFD with a note at their record alone', async () => {
  const text = Buffer.concat([
    Buffer.from('{"records":[{"a":"'),
    Buffer.from([0xff, 0xc3]),
    Buffer.from('"},{"b":"\u00e4\u20ac"}]}'),
  ])
  const [unit] = await unitsIn(text, [19, 28])
  assert.deepEqual(
    unit?.entries.map(({ raw, note }) => [latin1AsText(raw), note?.split(':')[0]]),
    [
      ['{"a":"\ufffd\ufffd"}', 'invalid_utf8'],
      ['{"b":"\u00e4\u20ac"}', undefined],
    ],
  )
})

test('a record over the limit is rejected alone, and so is a document that is one record', async () => {
  const long = `{"a":"${'x'.repeat(100)}"}`
  const text = `{"records":[{"b":1},${long}, "${'y'.repeat(100)}",{"c":1}]}\n${long}\n`
  const stage = new RecordsDocuments({ maxRecordBytes: 50 })
  const units = unitsOf(await through<EntryBlock>(stage, chunksOf(Buffer.from(text), [30, 90])))
  assert.deepEqual(
    units.map(({ entries }) => entries.map(({ raw, reject, note }) => [raw, reject, note])),
    [
      [
        ['{"b":1}', undefined, undefined],
        [long.slice(0, 50), 'too_long', '108 bytes'],
        [` "${'y'.repeat(48)}`, 'too_long', '103 bytes'],
        ['{"c":1}', undefined, undefined],
      ],
      [[long.slice(0, 50), 'too_long', '108 bytes']],
    ],
  )
})

test('the elements of every `records` count, and an escaped key is the same key', async () => {
  const [unit] = await unitsIn('{"r\\u0065cords":[{"a":1}],"x":[2],"records":[{"b":1}]}')
  assert.deepEqual(
    unit?.entries.map(({ raw }) => raw),
    ['{"a":1}', '{"b":1}'],
  )
})

test('a record nested too deeply to be written again stays as it stands, and endless nesting is a fault', async () => {
  const deep = `{"id":12345678901234567890,"b":${'['.repeat(100_000)}\n${']'.repeat(100_000)}}`
  const [unit] = await unitsIn(`{"records":[${deep}]}`)
  assert.deepEqual(
    unit?.entries.map(({ raw, reject }) => [raw, reject]),
    [[deep.replace('\n', ''), undefined]],
  )
  const [endless] = await unitsIn(`${'['.repeat(1_000_001)}\n`)
  assert.equal(endless?.entries[0]?.reject, 'not_json')
})

test('a chunk that does not continue the one before it is SPAN_GAP', async () => {
  const chunks = [
    { span: spanOf(0, 3), bytes: Buffer.from('{}\n') },
    { span: spanOf(4, 7), bytes: Buffer.from('{}\n') },
  ]
  await assert.rejects(through(new RecordsDocuments(), chunks), (error) => isTailraceError(error, 'SPAN_GAP'))
})

test('a document of any length is held as one record of it', async () => {
  const element = `{"a":"${'x'.repeat(1000)}"},`
  const piece = Buffer.from(element.repeat(100))
  const count = 200
  let records = 0
  const before = process.memoryUsage().rss
  let mostBytes = 0
  function* chunks() {
    const head = Buffer.from(`{"x":"${'y'.repeat(1000)}","records":[`)
    let start = 0
    for (const bytes of [head, ...Array.from({ length: count }, () => piece), Buffer.from('{}]}')]) {
      yield { span: spanOf(start, start + bytes.length), bytes }
      start += bytes.length
      mostBytes = Math.max(mostBytes, process.memoryUsage().rss - before)
    }
  }
  for (const { entries } of await through<EntryBlock>(counting(new RecordsDocuments()), chunks()))
    records += entries.length
  assert.equal(records, 0)
  assert.ok(mostBytes < 128 * 1024 * 1024, `${mostBytes} bytes more were resident`)

  function counting(stage: RecordsDocuments): RecordsDocuments {
    const push = stage.push.bind(stage)
    stage.push = (block: EntryBlock | null) => push(block === null ? null : { ...block, entries: [] })
    return stage
  }
})

const anyClosing = fc.constantFrom(']}', '\n]}\n', ' ] , "n":9 }', '\r\n],"x":{"y":[1]}}\r\n')

test('a document that has grown is read on behind its last element or from its start, however it is cut', async () => {
  const elements = fc.array(anyElement, { maxLength: 3 })
  const property = fc.asyncProperty(
    elements,
    elements,
    anyClosing,
    anyCuts,
    async (old, more, closing, cuts) => {
      const textOf = (all: readonly string[]) => Buffer.from(`{"records" : [${all.join(' ,')}${closing}`)
      const [before, after] = [textOf(old), textOf([...old, ...more])]
      const stage = new RecordsDocuments()
      await through<EntryBlock>(stage, chunksOf(before, cuts))
      const tail = stage.tail!
      const tailEnd = before.length - closing.length
      assert.equal(tail.offset, tailEnd)
      assert.equal(tail.closing, before.length - tail.offset)
      assert.ok(
        tail.before.length > 0 &&
          before.subarray(0, tail.offset).toString('latin1').endsWith(tail.before.toString('latin1')),
      )
      if (more.length === 0 || old.length === 0) return

      const [whole] = await unitsIn(after)
      const expected = whole!.entries.slice(old.length).map(saidBy)
      const landedTo = before.length - tail.closing
      for (const [readFrom, behind] of [
        [tail.offset, 'element'],
        [0, 'documents'],
      ] as const) {
        const at = {
          readFrom,
          behind,
          landedTo,
          before: after.subarray(Math.max(0, readFrom - 64), readFrom),
        }
        const resumed = new RecordsDocuments({ resume: { at, end: before.length } })
        const blocks = await through<EntryBlock>(resumed, chunksOf(after.subarray(readFrom), cuts, readFrom))
        assert.deepEqual(blocks.flatMap(({ entries }) => entries).map(saidBy), expected)
        const closed = blocks.filter(({ open }) => open !== true).map(({ span }) => span)
        assert.deepEqual([closed[0]!.start, closed.at(-1)!.end], [before.length, after.length])
        for (const [index, span] of closed.slice(1).entries()) assert.equal(span.start, closed[index]!.end)
      }
    },
  )
  await fc.assert(property, { numRuns: 200, endOnFailure: true })
})
