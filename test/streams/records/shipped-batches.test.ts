import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJson } from '../../../src/json.ts'
import type { Entry } from '../../../src/records.ts'
import { entriesOf } from '../../../src/streams/record-validator.ts'
import { mayBeBatch } from '../../../src/streams/records/shipped-batches.ts'

function entriesOfLine(latin1: string): readonly Entry[] {
  const length = latin1.length + 1
  const span = { blob: 'c/b', generation: 'g', start: 100, end: 100 + length }
  return entriesOf({ span, lines: [{ offset: 100, length, latin1 }], utf8: true, tooLong: [] }).entries
}

const record = (body: object): object => ({ timeUnixNano: '1795510476000000001', body })
const batches: Readonly<Record<string, object>> = {
  OTLP: {
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'host.name', value: { stringValue: 'db1' } }] },
        scopeLogs: [{ logRecords: [record({ stringValue: 'one' }), record({ stringValue: 'two' })] }],
      },
      {
        scopeLogs: [
          {
            logRecords: [
              record({
                kvlistValue: { values: [{ key: 'query_id', value: { intValue: '-6883023751393440299' } }] },
              }),
            ],
          },
        ],
      },
    ],
  },
  Loki: {
    streams: [
      {
        stream: { pod: 'pg-0' },
        values: [
          ['1', 'one'],
          ['2', 'two'],
        ],
      },
      { stream: {}, values: [['3', 'three']] },
    ],
  },
  CloudWatch: {
    messageType: 'DATA_MESSAGE',
    logGroup: '/aws/rds/cluster/db1/postgresql',
    logEvents: [
      { id: '1', message: 'one' },
      { id: '2', message: 'two' },
      { id: '3', message: 'three' },
    ],
  },
}

test('each record of a batch is an entry at the place of the line, and integers keep every digit', () => {
  for (const [name, batch] of Object.entries(batches)) {
    const line = JSON.stringify(batch)
    const entries = entriesOfLine(line)
    assert.deepEqual(
      entries.map(({ offset, length, index, reject }) => [offset, length, index, reject]),
      [0, 1, 2].map((index) => [100, line.length + 1, index, undefined]),
      name,
    )
    const [first] = entries.map(({ raw }) => parseJson(raw) as Record<string, unknown>)
    assert.equal(first?.log, 'one', name)
  }
  const [, , last] = entriesOfLine(JSON.stringify(batches.OTLP))
  assert.match(last!.raw, /"log":\{"query_id":-6883023751393440299\}.*"time":"1795510476000000001"/)
})

test('a value of OTLP that is written against its protocol, with two types, is kept whole', () => {
  const body = { stringValue: 'one', intValue: '7' }
  const attributes = [{ key: 'a', value: { stringValue: 'x', doubleValue: 1.5 } }]
  const batch = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body, attributes }] }] }] }
  const [entry] = entriesOfLine(JSON.stringify(batch))
  assert.deepEqual(parseJson(entry!.raw), {
    log: 'one',
    body: { intValue: '7' },
    resource: {},
    attributes: { a: { stringValue: 'x', doubleValue: 1.5 } },
  })
})

test('an object that only begins like a batch, and a batch without records, stay one entry', () => {
  for (const line of [
    '{"streams":"x"}',
    '{"messageType":"none"}',
    '{"resourceLogs":[]}',
    '{"resourceLogs":[{"scopeLogs":[]}]}',
  ]) {
    assert.deepEqual(entriesOfLine(line), [{ offset: 100, length: line.length + 1, index: 0, raw: line }])
  }
})

test('a batch whose labels would be repeated beyond 16 MiB stays one entry', () => {
  const stream = { label: 'x'.repeat(600_000) }
  const values = Array.from({ length: 30 }, (_, number) => [String(number), 'line'])
  assert.equal(entriesOfLine(JSON.stringify({ streams: [{ stream, values }] })).length, 1)
})

test('a line is parsed as a batch only if its first key has the value of one', () => {
  for (const line of [
    '{"events": [{"timestamp":1,"message":"x"}]}',
    '{"owner":"1","logEvents":[]}',
    '{"preview":false,"result":{}}',
    '{"result":{"_raw":"x"}}',
  ])
    assert.ok(mayBeBatch(line), line)
  for (const line of [
    '{"data":{"id":1},"metadata":{"record-type":"data"}}',
    '{"owner":"shop","message":"x"}',
    '{"events":3}',
    '{"date":1795510475.9,"log":"x"}',
    '{"result":"x"}',
  ])
    assert.ok(!mayBeBatch(line), line)
})
