import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isJsonObject, type JsonValue } from '../../../src/json.ts'
import type { JsonRow } from '../../../src/sinks/encoding/engine.ts'
import { filled, rowOf } from '../../sinks/encoder-harness.ts'
import { landedRows, shapeCases } from './shape-cases.ts'

const value = 'in no column'

/** A JSON object in a text, maybe behind the head of a container runtime. */
const inText = /^((?:\d{4}-\d\d-\d\dT\S+ (?:std\w+ F )?)?)(\{[\s\S]*\})(\n?)$/

/** The value with one more key in one of its objects, for each of them, also for those in texts. */
function* withUnknownKey(at: JsonValue, path = '$'): Generator<readonly [path: string, changed: JsonValue]> {
  if (typeof at === 'string') {
    const [, head, inner, end] = inText.exec(at) ?? []
    const object = inner === undefined ? undefined : parsed(inner)
    if (object === undefined) return
    for (const [inside, changed] of withUnknownKey(object, `${path} text`))
      yield [inside, `${head}${JSON.stringify(changed)}${end}`]
  } else if (Array.isArray(at)) {
    for (const [index, element] of at.entries())
      for (const [inside, changed] of withUnknownKey(element, `${path}[]`))
        yield [inside, at.with(index, changed)]
  } else if (isJsonObject(at)) {
    yield [path, { ...at, zz_unknown: value }]
    for (const [key, member] of Object.entries(at))
      for (const [inside, changed] of withUnknownKey(member, `${path}.${key}`))
        yield [inside, { ...at, [key]: changed }]
  }
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

/** What the docs name as not read: the keys beside `records`, what Loki says of a query, and a second value of a typed one. */
function isNotRead(line: JsonValue, path: string): boolean {
  if (!isJsonObject(line)) return false
  return (
    (path === '$' && Array.isArray(line.records)) ||
    (isJsonObject(line.data) &&
      line.data.resultType === 'streams' &&
      /^\$(?:\.data(?:\.stats)?)?$/.test(path)) ||
    (line.resourceLogs !== undefined && /\.(?:attributes\[\]|body)/.test(path))
  )
}

/** A record of which nothing is known: no column but `raw` has anything of it. */
function isUnread({ parse_error, message, extra }: JsonRow): boolean {
  return parse_error === 'unknown_shape' && message === null && extra === null
}

test('a key that no column has is in extra, in whatever object of a line', async (t) => {
  const changes = shapeCases.flatMap(({ name, line }) => {
    const record = parsed(line) ?? line
    return [...withUnknownKey(record)].flatMap(([path, changed]) =>
      isNotRead(record, path)
        ? []
        : [{ name, path, line: typeof changed === 'string' ? changed : JSON.stringify(changed) }],
    )
  })
  assert.ok(changes.length > 400)
  const rows = await landedRows(
    t,
    changes.map(({ line }) => line),
  )
  const lost = changes.filter(
    (_, index) =>
      !rows[index]!.some(
        (row) => isUnread(row) || Object.values(row).some((text) => String(text).includes(value)),
      ),
  )
  assert.deepEqual(
    lost.map(({ name, path }) => [name, path]),
    [],
  )
})

test('of an envelope with several texts, those that are not read are in extra', async (t) => {
  const line = '2026-11-24 08:54:35.875 UTC [4138] LOG:  hello'
  const row = await rowOf(t, { log: line, message: 'm', msg: 'n', short_message: 's' })
  assert.equal(row.message, 'hello')
  assert.deepEqual(JSON.parse(String(row.extra)), { message: 'm', msg: 'n', short_message: 's' })
  const inner = await rowOf(t, {
    message: JSON.stringify({ log: line, msg: 'n', stream: 'stderr' }),
    host: 'h',
  })
  assert.equal(inner.message, 'hello')
  assert.deepEqual(JSON.parse(String(inner.extra)), { msg: 'n', stream: 'stderr', host: 'h' })
})

test('a key that both the envelope and its record have is there twice', async (t) => {
  const record = { category: 'PostgreSQLLogs', time: 'inner', properties: { message: 'LOG:  hello' } }
  const row = await rowOf(t, { log: JSON.stringify(record), time: 'outer', stream: 'stderr' })
  assert.deepEqual(JSON.parse(String(filled(row).extra)), {
    envelope: { time: 'outer', stream: 'stderr' },
    category: 'PostgreSQLLogs',
    time: 'inner',
  })
})

test('what wal2json writes of the columns and changes beside their values is in extra', async (t) => {
  const change = await rowOf(t, {
    action: 'C',
    lsn: '0/1',
    nextlsn: '0/2',
    columns: [{ name: 'a', type: 'integer', value: 1 }],
    identity: [{ name: 'a', value: 2 }],
  })
  assert.deepEqual(
    [change.lsn, change.new_values, change.old_values, JSON.parse(String(change.extra))],
    ['0/1', '{"a":1}', '{"a":2}', { nextlsn: '0/2', columns: [{ name: 'a', type: 'integer' }] }],
  )
  const transaction = await rowOf(t, {
    xid: 1,
    change: [
      {
        kind: 'insert',
        schema: 's',
        table: 't',
        columnnames: ['a'],
        columntypes: ['integer'],
        columnvalues: [1],
      },
      {
        kind: 'delete',
        schema: 's',
        table: 'u',
        oldkeys: { keynames: ['b'], keytypes: ['text'], keyvalues: ['x'] },
      },
    ],
  })
  assert.deepEqual(JSON.parse(String(transaction.extra)), {
    change: [
      { kind: 'insert', schema: 's', table: 't', columntypes: ['integer'] },
      { kind: 'delete', schema: 's', table: 'u', oldkeys: { keytypes: ['text'] } },
    ],
  })
})
