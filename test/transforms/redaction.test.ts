import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { stringifyJson } from '../../src/json.ts'
import {
  bytesAsLatin1,
  type Entry,
  type EntryBlock,
  type LineBlock,
  latin1AsText,
} from '../../src/records.ts'
import { FunctionTransform } from '../../src/streams/custom/function-transform.ts'
import { LineSplitter } from '../../src/streams/line-splitter.ts'
import { RecordValidator } from '../../src/streams/record-validator.ts'
import type { LogRecord, RecordTransform } from '../../src/transforms/record-transform.ts'
import { redactLiterals } from '../../src/transforms/redact-literals.ts'
import { encoderFixture, onlySpan } from '../sinks/encoder-harness.ts'
import { through } from '../streams/through.ts'
import { shapeCases } from '../tables/postgres/shape-cases.ts'
import { anyMark, markedBy, messages } from './marked-messages.ts'
import { producers } from './marked-producers.ts'
import { structured } from './marked-records.ts'

const seed = Number(process.env.TAILRACE_TEST_SEED ?? 1)
const rounds = Number(process.env.TAILRACE_TEST_ROUNDS ?? 2)

/** Columns that are text of the server's or of the record's; every other one has to be the same with redaction. */
const texts = new Set([
  'message',
  'detail',
  'hint',
  'context',
  'statement',
  'internal_query',
  'plan',
  'audit_parameters',
  'old_values',
  'new_values',
  'extra',
  'raw',
])

function entryOf(line: string, index: number): Entry {
  return { offset: onlySpan.start + index * 1_000, length: 1_000, index: 0, raw: bytesAsLatin1(line) }
}

test('no column holds a value of a statement, and no column but the texts changes', async (t) => {
  t.diagnostic(`replay with TAILRACE_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const lines = Array.from({ length: rounds }, () => [
    ...messages.flatMap((message) =>
      producers.flatMap((producer) => {
        const marked = markedBy(random)
        return producer(message(marked), marked)
      }),
    ),
    ...structured.flatMap((records) => records(markedBy(random))),
  ])
    .flat()
    .map((record) => (typeof record === 'string' ? record : stringifyJson(record)))
  const entries = lines.map(entryOf)
  const [block] = await through<EntryBlock>(new FunctionTransform([redactLiterals()], 'primary'), [
    { span: onlySpan, entries },
  ])
  assert.ok(block)
  assert.equal(block.entries.length, entries.length)

  const { rowsOf } = await encoderFixture(t)
  const shown = (entry: Entry) => ({ ...entry, raw: latin1AsText(entry.raw) })
  const plainRows = await rowsOf(entries.map(shown))
  const redactedRows = await rowsOf(block.entries.map(shown))
  assert.equal(redactedRows.length, entries.length)
  const faults = redactedRows.flatMap((redacted, index) =>
    Object.entries(redacted)
      .filter(
        ([column, value]) =>
          anyMark.test(String(value)) || (!texts.has(column) && value !== plainRows[index]?.[column]),
      )
      .map(([column, value]) => ({
        column,
        redacted: value,
        plain: plainRows[index]?.[column],
        line: lines[index],
      })),
  )
  assert.deepEqual(faults.slice(0, 3), [], `${faults.length} columns of ${lines.length} lines`)
})

/** Cases whose heads the redaction does not recognize, so that it replaces the whole line. */
const replacedWhole = /^(?:Heroku (?:keys|with)|Neon's|GitLab Omnibus: a time)/

test('each known shape of a log record has its columns with redaction, too', async (t) => {
  const cases = shapeCases.filter(({ name }) => !replacedWhole.test(name))
  const bytes = Buffer.from(cases.map(({ line }) => `${line}\n`).join(''))
  const span = { ...onlySpan, end: onlySpan.start + bytes.length }
  const blocks = await through<LineBlock>(new LineSplitter({ maxLineBytes: 1e6 }), [{ span, bytes }])
  const entriesOf = async (transforms: readonly RecordTransform[]): Promise<Entry[]> => {
    const validated = await through<EntryBlock>(new RecordValidator(), blocks)
    const stage = new FunctionTransform([...transforms], 'primary')
    return (await through<EntryBlock>(stage, validated)).flatMap((block) => block.entries)
  }
  const { rowsOf } = await encoderFixture(t)
  const decoded = (text: string | undefined) => text && latin1AsText(text)
  const landed = async (transforms: readonly RecordTransform[]) =>
    rowsOf(
      (await entriesOf(transforms)).map((entry) => ({
        ...entry,
        raw: latin1AsText(entry.raw),
        ...(entry.json === undefined ? {} : { json: decoded(entry.json) }),
      })),
    )
  const plainRows = await landed([(record) => record])
  const redactedRows = await landed([redactLiterals()])
  assert.equal(redactedRows.length, plainRows.length)
  const fromTexts = new Set([...texts, 'func_name', 'file_name', 'file_line_num'])
  const faults = plainRows.flatMap((plain, index) =>
    // Of a program's line in an envelope, only the envelope is kept.
    plain.record_kind === 'operator' || plain.record_kind === 'pooler'
      ? []
      : Object.entries(plain)
          .filter(([column, value]) => !fromTexts.has(column) && value !== redactedRows[index]?.[column])
          .map(([column, value]) => ({
            column,
            plain: value,
            redacted: redactedRows[index]?.[column],
            message: plain.message,
          })),
  )
  assert.deepEqual(faults, [])
})

test('a rejected row holds no value either, and keeps its reason', async (t) => {
  const lines = [
    'select mark1',
    '{"timestamp":"2026-11-24 08:54:35.875 UTC","message":"select \'mark1\'"',
    "{'message': 'mark1'}",
    '"mark1"',
    '{"statement":"select \'mark1\'","fails":true}',
    `{"statement":"${'mark1 '.repeat(100)}"}`,
  ]
  const bytes = Buffer.from(`${lines.join('\n')}\n`)
  const span = { ...onlySpan, start: onlySpan.start, end: onlySpan.start + bytes.length }
  const failing: RecordTransform = (record) => {
    if (record.fails === true) throw new RangeError(`cannot use ${String(record.statement)} or mark1`)
    return record
  }
  const blocks = await through<LineBlock>(new LineSplitter({ maxLineBytes: 200 }), [{ span, bytes }])
  const validated = await through<EntryBlock>(new RecordValidator(), blocks)
  const stage = new FunctionTransform([failing, redactLiterals()], 'primary')
  const entries = (await through<EntryBlock>(stage, validated)).flatMap((block) => block.entries)
  const { rowsOf } = await encoderFixture(t)
  const rows = await rowsOf(entries.map((entry) => ({ ...entry, raw: latin1AsText(entry.raw) })))
  assert.doesNotMatch(JSON.stringify(rows), anyMark)
  assert.deepEqual(
    rows.map((row) => [row.raw, row.parse_error]),
    [
      ['?', 'not_json'],
      ['?', 'not_json'],
      ['?', 'not_json'],
      ['?', 'not_object'],
      ['?', 'transform_error: RangeError'],
      ['?', 'too_long: 616 bytes'],
    ],
  )
})

test('a repeated key leaves nothing behind', async () => {
  const line =
    '{"timestamp":"2026-11-24 08:54:35.875 UTC","pid":1,"error_severity":"LOG","message":"statement: select \'mark1\'","message":"x"}'
  const stage = new FunctionTransform([redactLiterals()], 'primary')
  const [block] = await through<EntryBlock>(stage, [{ span: onlySpan, entries: [entryOf(line, 0)] }])
  assert.doesNotMatch(block?.entries[0]?.raw ?? '', anyMark)
})

/** Text that a search could go through again and again. */
const hostilePieces = [
  ...[
    "'",
    '"',
    "''",
    '""',
    '$$',
    '$a',
    '$a$',
    "E'\\",
    "U&'",
    '/*',
    '*/',
    '--',
    '1.',
    '1e',
    '1 ',
    '\n1',
    'é',
    '-',
  ],
  ...[
    'statement: ',
    'execute ',
    ')=(',
    '(',
    'value "',
    ': "',
    ',',
    ' ',
    '\n\t',
    '\nLOG:  ',
    'A:',
    'COPY x',
    'line 1: ',
  ],
  ...['[', '{', '{"', '<', '&', '"\\', 'plan:\n', 'ms  ', 'Process 1: ', '(cost=1', '\nBuffers: ', 'select '],
]

const hostilePlaces: readonly ((text: string) => LogRecord)[] = [
  (text) => ({ statement: text }),
  (text) => ({ message: text }),
  (text) => ({ detail: text }),
  (text) => ({ log: text, stream: 'stderr' }),
  (text) => ({ log: `2026-11-24 08:54:35.875 UTC [1] ERROR:  ${text}`, stream: 'stderr' }),
  (text) => ({ log: `2026-11-24 08:54:35.875 UTC,"o","${text}`, stream: 'stderr' }),
  (text) => ({ message: `AUDIT: SESSION,1,1,READ,SELECT,,,"${text}` }),
  (text) => ({ message: `duration: 1 ms  plan:\n${text}` }),
  (text) => ({ message: `duration: 1 ms  plan:\n{"a": "${text}` }),
  (text) => ({ message: `duration: 1 ms  plan:\n<a>${text}` }),
  (text) => ({ lsn: '0/0', data: `table x: INSERT: ${text}` }),
]

test('twice the text is twice the work, whatever is in it', (t) => {
  const read = countReadCharacters(t)
  const transform = redactLiterals()
  for (const place of hostilePlaces) {
    for (const piece of hostilePieces) {
      const readIn = (characters: number): number => {
        const record = place(piece.repeat(Math.ceil(characters / piece.length)))
        const before = read()
        transform(record, { pipeline: 'primary', blob: 'logs/a', offset: 0 })
        return read() - before
      }
      const once = readIn(2_000)
      const twice = readIn(4_000)
      assert.ok(
        twice <= 2.5 * once + 4_000,
        `${JSON.stringify(place(piece))}: ${once} and ${twice} characters were searched`,
      )
    }
  }
})

/** Counts the characters that searches of any kind pass over: a measure of work that no clock is needed for. */
function countReadCharacters(t: TestContext): () => number {
  let count = 0
  const { exec } = RegExp.prototype
  const { indexOf, lastIndexOf } = String.prototype
  t.after(() => {
    RegExp.prototype.exec = exec
    String.prototype.indexOf = indexOf
    String.prototype.lastIndexOf = lastIndexOf
  })
  RegExp.prototype.exec = function (text) {
    const start = this.global || this.sticky ? this.lastIndex : 0
    const found = exec.call(this, text)
    const isBounded = this.sticky || this.source.startsWith('^')
    count += found === null ? (isBounded ? 0 : text.length - start) : found.index + found[0].length - start
    return found
  }
  String.prototype.indexOf = function (part, from = 0) {
    const found = indexOf.call(this, part, from)
    count += (found < 0 ? this.length : found) - from
    return found
  }
  String.prototype.lastIndexOf = function (part) {
    const found = lastIndexOf.call(this, part)
    count += this.length - Math.max(found, 0)
    return found
  }
  return () => count
}
