import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringifyJson } from '../../src/json.ts'
import {
  bytesAsLatin1,
  type Entry,
  type EntryBlock,
  type LineBlock,
  latin1AsText,
} from '../../src/records.ts'
import { FunctionTransform } from '../../src/streams/function-transform.ts'
import { LineSplitter } from '../../src/streams/line-splitter.ts'
import type { RecordTransform } from '../../src/streams/record-transform.ts'
import { RecordValidator } from '../../src/streams/record-validator.ts'
import { redactLiterals } from '../../src/transforms/redact-literals.ts'
import { encoderFixture, onlySpan } from '../sinks/encoder-harness.ts'
import { through } from '../streams/through.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { anyMark, markedBy, messages, producers, structured } from './marked-records.ts'

const seed = Number(process.env.REDACTION_SEED ?? Math.floor(Math.random() * 2 ** 32))
const rounds = Number(process.env.REDACTION_ROUNDS ?? 2)

/** Columns that are text of the server's or of the record's; every other one has to be the same with redaction. */
const texts = new Set(['message', 'detail', 'hint', 'context', 'statement', 'raw'])

function entryOf(line: string, index: number): Entry {
  return { offset: onlySpan.start + index * 1_000, length: 1_000, index: 0, raw: bytesAsLatin1(line) }
}

test(`no column holds a value of a statement, and no column but the texts changes (REDACTION_SEED=${seed})`, async (t) => {
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

test('a rejected row holds no value either, and keeps its reason', async (t) => {
  const lines = [
    '2026-11-24 08:54:35.875 UTC [1] LOG:  statement: select mark1',
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
