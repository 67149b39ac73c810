import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { TailraceError } from '../../../src/errors.ts'
import type { Batch, LandedBatch } from '../../../src/records.ts'
import { BatchTraces } from '../../../src/run/telemetry/batch-traces.ts'
import { nanosecondsOf } from '../../../src/run/telemetry/instants.ts'

const openedAtMs = Date.UTC(2026, 10, 29, 8, 30)

function batchOf(blobs: number): Batch {
  const spans = Array.from({ length: blobs }, (_, index) => ({
    blob: `logs/${index}.json`,
    generation: '20261129T080000Z',
    start: index,
    end: index + 10,
  }))
  return {
    id: '0f8fad5b-d9cb-469f-a165-70867728950e',
    spoolPath: '',
    spans,
    rows: 5,
    rejected: 0,
    spoolBytes: 0,
    longestRowBytes: 0,
    largestVectorBytes: 0,
    openedAtMs,
    sealedAtMs: openedAtMs + 2_000,
  }
}

function spansOf(note: (traces: BatchTraces) => void): readonly ReadableSpan[] {
  const spans: ReadableSpan[] = []
  note(new BatchTraces(resourceFromAttributes({}), (span) => spans.push(span)))
  return spans
}

const landing: LandedBatch = {
  batch: batchOf(300),
  rows: 5,
  rejected: 1,
  partial: 0,
  fileBytes: 100,
  startedAtMs: openedAtMs + 2_500,
  encodeMs: 400,
  commitMs: 1_600,
  failedAttempts: [
    {
      atMs: openedAtMs + 3_000,
      error: new TailraceError('TABLE_UNAVAILABLE', 'No answer, sig=c2VjcmV0c2VjcmV0.'),
    },
  ],
}

test('a landed batch is one trace, whose ids are those of the batch and whose spans have its times', () => {
  const spans = spansOf((traces) => traces.noteLanded('primary', landing))
  const times = spans.map(({ name, startTime, endTime }) => [name, startTime, endTime])
  const at = (ms: number) => nanosecondsOf(openedAtMs + ms)
  assert.deepEqual(times, [
    ['read', at(0), at(2_000)],
    ['encode', at(2_500), at(2_900)],
    ['commit', at(2_900), at(4_500)],
    ['land batch', at(0), at(4_500)],
  ])
  for (const span of spans) assert.equal(span.spanContext().traceId, '0f8fad5bd9cb469fa16570867728950e')
  const root = spans.at(-1)!
  assert.equal(root.spanContext().spanId, 'a16570867728950e')
  assert.equal(root.attributes['tailrace.blob_count'], 300)
  for (const name of ['tailrace.blobs', 'tailrace.offsets.start', 'tailrace.offsets.end'])
    assert.equal((root.attributes[name] as unknown[]).length, 100, name)
})

test('an attempt that failed is an event of the commit, without its secrets', () => {
  const spans = spansOf((traces) => traces.noteLanded('primary', landing))
  const [event, ...more] = spans.find(({ name }) => name === 'commit')!.events
  assert.deepEqual(more, [])
  assert.equal(event?.name, 'attempt failed')
  assert.deepEqual(event?.attributes, {
    'exception.type': 'TABLE_UNAVAILABLE',
    'exception.message': 'No answer, sig=***',
  })
})

test('a batch that failed is a trace with its error', () => {
  const error = new TailraceError('ENCODE_FAILED', 'The engine failed.')
  const spans = spansOf((traces) =>
    traces.noteFailed('primary', { batch: batchOf(1), failedAtMs: openedAtMs + 3_000, error }),
  )
  const failed = spans.filter(({ status }) => status.code === 2)
  assert.deepEqual(
    failed.map(({ name, status }) => [name, status.message]),
    [
      ['land', 'The engine failed.'],
      ['land batch', 'The engine failed.'],
    ],
  )
})
