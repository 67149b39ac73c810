import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Line, latin1AsText } from '../../src/records.ts'
import { entriesOf } from '../../src/streams/record-validator.ts'
import { encoderFixture } from '../sinks/encoder-harness.ts'
import { anyLine } from './any-line.ts'
import { blockOf } from './blob-chunks.ts'

test('a landed row is rejected exactly when JSON says that its text is no object, and it is no line of a text log', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  await fc.assert(
    fc.asyncProperty(fc.array(anyLine, { minLength: 200, maxLength: 400 }), async (texts) => {
      const block = blockOf(texts, 5)
      const { span, entries } = entriesOf(block)
      const rows = await rowsOf(
        entries.map((entry) => ({
          ...entry,
          raw: latin1AsText(entry.raw),
          ...(entry.json === undefined ? {} : { json: latin1AsText(entry.json) }),
        })),
        [span],
      )
      const found = new Map<string, boolean[]>()
      for (const row of rows) {
        const line = block.lines.findLast(({ offset }) => offset <= Number(row.source_offset)) as Line
        const known = found.get(keyOf(line)) ?? []
        found.set(keyOf(line), [...known, row.parse_status === 'rejected'])
      }
      for (const line of block.lines)
        assert.deepEqual(found.get(keyOf(line)) ?? [], rejections(line), line.latin1)
    }),
    { numRuns: 8, endOnFailure: true },
  )
})

test('nan and inf in other letters than NaN and Infinity are all that the encoder takes beyond JSON', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const texts = [
    '{"a":nan}',
    '{"a":-inf}',
    '{"a":INFINITY}',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":-Infinity}',
  ]
  const { span, entries } = entriesOf(blockOf(texts))
  const rows = await rowsOf(entries, [span])
  assert.deepEqual(
    rows.map(({ parse_status }) => parse_status === 'rejected'),
    [false, false, false, true, true, true],
  )
})

test('a record nested 100,000 deep lands, and its neighbors with it', async (t) => {
  const { rowsOf } = await encoderFixture(t)
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const { span, entries } = entriesOf(blockOf(['{"b":1}', deep, '{"c":1}']))
  const rows = await rowsOf(entries, [span])
  assert.deepEqual(
    rows.map(({ raw }) => raw),
    ['{"b":1}', deep, '{"c":1}'],
  )
})

function keyOf({ offset, latin1 }: Line): string {
  return `${offset} ${JSON.stringify(latin1)}`
}

/** For each record of a line, by JSON.parse alone: whether it is rejected. */
function rejections({ latin1 }: Line): boolean[] {
  const line = latin1.replace(/^(?:\r|\xef\xbb\xbf)+/, '').replace(/(?:\r|\xef\xbb\xbf)+$/, '')
  if (/^[ \t\r\n\v\f]*$/.test(line)) return []
  const text = latin1AsText(line)
  return (
    objectRejections(text) ??
    pieces(text)?.flatMap((piece) => objectRejections(piece) ?? [true]) ??
    arrayPart(text) ??
    serverLine(text) ?? [true]
  )
}

/** A line of a text log: behind a level, or behind the server's tab where no key or bracket of an indented object is. */
function serverLine(text: string): boolean[] | undefined {
  return /^(?:\s*LOG: {2}|\t(?!\t*"[^"]*" ?:|\t+[{}[\]]))/.test(text) ? [false] : undefined
}

function objectRejections(text: string): boolean[] | undefined {
  const value = parsed(text)
  if (value === undefined) return undefined
  if (Array.isArray(value))
    return value.some(isObject)
      ? value.flatMap((element) => inRecords(element) ?? [!isObject(element)])
      : [true]
  return inRecords(value) ?? [!isObject(value)]
}

function inRecords(value: unknown): boolean[] | undefined {
  return isObject(value) && Array.isArray(value.records) && value.records.length > 0
    ? value.records.map((record) => !isObject(record))
    : undefined
}

/** A line of an array whose elements stand on lines of their own. */
function arrayPart(text: string): boolean[] | undefined {
  const inner = text.replace(/^[ \t\r]*[[,]/, '').replace(/[\],][ \t\r]*$/, '')
  const value = inner === text ? undefined : parsed(`[${inner}]`)
  return Array.isArray(value) && value.length > 0 && value.every(isObject)
    ? objectRejections(`[${inner}]`)
    : undefined
}

/** The objects of a line that is nothing but objects. */
function pieces(text: string): string[] | undefined {
  const found: string[] = []
  let start = 0
  for (let end = text.indexOf('}') + 1; end > 0; end = text.indexOf('}', end) + 1) {
    const value = parsed(text.slice(start, end).replace(/^[ \t\r]*\ufeff*(?=[ \t\r]*\{)/, ''))
    if (value === undefined) continue
    if (!isObject(value)) return undefined
    found.push(text.slice(start, end).replace(/^[ \t\r]*\ufeff*(?=[ \t\r]*\{)/, ''))
    start = end
  }
  return text.slice(start).trim() === '' && found.length > 1 ? found : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
