import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type MeasuredPipeline, Metrics } from '../../src/run/metrics.ts'
import { requestKinds } from '../../src/sources/readers/counted-reader.ts'
import { samplesOf } from '../support/scrape.ts'

/** A pipeline of which every number is another one. */
function measured(name: string, base: number): MeasuredPipeline {
  return {
    name,
    counters: { rows: base + 1, rejected: base + 2, partial: base + 3, bytes: base + 4, batches: base + 5 },
    requests: {
      read: base + 6,
      unchanged: base + 7,
      empty: base + 8,
      missing: base + 9,
      list: base + 10,
      failed: base + 11,
      bytes: base + 12,
    },
    failuresByCode: new Map([['SOURCE_DENIED', base + 16]]),
    gauges: { isRunning: true, lagBytes: base + 13, openLanes: base + 14, setAsideBlobs: base + 15 },
  }
}

const ofPipelines = (samples: ReadonlyMap<string, number>): Record<string, number> =>
  Object.fromEntries([...samples].filter(([name]) => name.startsWith('tailrace_')))

test('an exposition shows every number of a pipeline under its name, and nothing else of it', async () => {
  const metrics = new Metrics(() => [measured('primary', 100)])
  assert.deepEqual(ofPipelines(samplesOf(await metrics.exposition())), {
    'tailrace_rows_total{pipeline="primary"}': 101,
    'tailrace_rejected_rows_total{pipeline="primary"}': 102,
    'tailrace_partial_rows_total{pipeline="primary"}': 103,
    'tailrace_source_bytes_total{pipeline="primary"}': 104,
    'tailrace_batches_total{pipeline="primary"}': 105,
    'tailrace_storage_requests_total{pipeline="primary",kind="read"}': 106,
    'tailrace_storage_requests_total{pipeline="primary",kind="unchanged"}': 107,
    'tailrace_storage_requests_total{pipeline="primary",kind="empty"}': 108,
    'tailrace_storage_requests_total{pipeline="primary",kind="missing"}': 109,
    'tailrace_storage_requests_total{pipeline="primary",kind="list"}': 110,
    'tailrace_storage_requests_total{pipeline="primary",kind="failed"}': 111,
    'tailrace_storage_bytes_total{pipeline="primary"}': 112,
    'tailrace_pipeline_running{pipeline="primary"}': 1,
    'tailrace_pipeline_failures_total{pipeline="primary",code="SOURCE_DENIED"}': 116,
    'tailrace_lag_bytes{pipeline="primary"}': 113,
    'tailrace_open_lanes{pipeline="primary"}': 114,
    'tailrace_set_aside_blobs{pipeline="primary"}': 115,
  })
})

test('each exposition tells what is, not what was added up, also when two are asked for at once', async () => {
  let pipelines = [measured('primary', 0)]
  const metrics = new Metrics(() => pipelines)
  const rows = 'tailrace_rows_total{pipeline="primary"}'
  const together = await Promise.all([metrics.exposition(), metrics.exposition()])
  for (const exposition of together) assert.equal(samplesOf(exposition).get(rows), 1)
  pipelines = [measured('primary', 10), measured('replica', 20)]
  const later = samplesOf(await metrics.exposition())
  assert.equal(later.get(rows), 11)
  assert.equal(later.get('tailrace_rows_total{pipeline="replica"}'), 21)
  pipelines = []
  assert.deepEqual(ofPipelines(samplesOf(await metrics.exposition())), {})
})

test('the process is measured too, by each set of metrics on its own', async () => {
  for (const metrics of [new Metrics(() => []), new Metrics(() => [])]) {
    assert.ok(samplesOf(await metrics.exposition()).get('process_resident_memory_bytes')! > 0)
  }
})

test('docs/operations.md has one row for every metric, and every kind of request', async () => {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `(tailrace_\w+)(?:\{\w+\})?` /gm)].map(([, name]) => name as string)
  const exposition = await new Metrics(() => []).exposition()
  const names = [...exposition.matchAll(/^# HELP (tailrace_\w+) /gm)].map(([, name]) => name as string)
  assert.deepEqual(rows.toSorted(), names.toSorted())
  const [, table = ''] = page.split('| request ')
  const kinds = [...table.split('\n\n', 1)[0]!.matchAll(/^\| `(\w+)` /gm)].map(([, kind]) => kind as string)
  assert.deepEqual(kinds, [...requestKinds])
})
