import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { TailraceError } from '../../../src/errors.ts'
import type { Batch } from '../../../src/records.ts'
import {
  buildInfo,
  type MeasuredPipeline,
  pipelineFamilies,
} from '../../../src/run/monitoring/metric-families.ts'
import { Metrics } from '../../../src/run/monitoring/metrics.ts'
import { PipelineStatistics } from '../../../src/run/pipeline-statistics.ts'
import { telemetryFamilies } from '../../../src/run/telemetry/telemetry-families.ts'
import { requestKinds } from '../../../src/sources/readers/counted-reader.ts'
import { samplesOf } from '../../support/scrape.ts'

const prices = { per10kReads: 40, per10kListings: 500 }

const metricsOf = (pipelines: () => readonly MeasuredPipeline[]): Metrics =>
  new Metrics(() => [buildInfo(), ...pipelineFamilies(pipelines(), prices)])

/** A pipeline of which every number is another one. */
function measured(name: string, base: number): MeasuredPipeline {
  const statistics = new PipelineStatistics()
  const landed = {
    batch: emptyBatch,
    rows: 9,
    rejected: 3,
    partial: 0,
    fileBytes: 1,
    startedAtMs: 0,
    failedAttempts: [],
  }
  statistics.noteLanded({ ...landed, rejectedBy: { not_json: 2, too_long: 1 }, encodeMs: 300, commitMs: 20 })
  statistics.noteLanded({ ...landed, encodeMs: 400_000, commitMs: 5 })
  statistics.noteRetry(new TailraceError('TABLE_UNAVAILABLE', 'no answer'))
  return {
    name,
    counters: { rows: base + 1, rejected: base + 2, partial: base + 3, bytes: base + 4, batches: base + 5 },
    statistics,
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
    pulse: {
      landedUpToMs: 0,
      waitingSinceMs: 0,
      waitingRows: base + 17,
      commitFailure: undefined,
      heldSinceMs: 1,
      holds: base + 18,
      heldMs: (base + 19) * 1000,
      freeBytes: base + 20,
      minFreeBytes: base + 21,
      queuedBlobs: { live: base + 22, backlog: base + 23 },
      bufferedBytes: base + 24,
    },
    isRunning: true,
    isReady: false,
    lagBytes: base + 13,
    serverLags: [
      { server: '/subscriptions/a', lagBytes: base + 28, blobs: 2 },
      { server: '/subscriptions/b', lagBytes: 0, blobs: 0 },
    ],
    lagSeconds: base + 25,
    commitAgeSeconds: base + 26,
    waitingSeconds: base + 29,
    batchAgeSeconds: base + 30,
    storageSilentSeconds: base + 27,
    openLanes: base + 14,
    setAsideBlobs: base + 15,
  }
}

const emptyBatch: Batch = {
  id: 'b',
  spoolPath: '',
  spans: [],
  rows: 0,
  rejected: 0,
  spoolBytes: 0,
  longestRowBytes: 0,
  largestVectorBytes: 0,
  openedAtMs: 0,
  sealedAtMs: 0,
}

const ofPipelines = (samples: ReadonlyMap<string, number>): Record<string, number> =>
  Object.fromEntries(
    [...samples].filter(([name]) => name.startsWith('tailrace_') && !name.startsWith('tailrace_build_info')),
  )

test('an exposition shows every number of a pipeline under its name, and nothing else of it', async () => {
  const metrics = metricsOf(() => [measured('primary', 100)])
  const samples = ofPipelines(samplesOf(await metrics.exposition()))
  const reasons = Object.entries(samples).filter(([name]) => name.includes('reason='))
  assert.deepEqual(Object.fromEntries(reasons.filter(([, rows]) => rows > 0)), {
    'tailrace_rejected_rows_total{pipeline="primary",reason="not_json"}': 2,
    'tailrace_rejected_rows_total{pipeline="primary",reason="too_long"}': 1,
  })
  const buckets = Object.entries(samples).filter(([name]) => name.includes('_bucket'))
  const others = Object.entries(samples).filter(
    (one) => ![...reasons, ...buckets].some(([name]) => name === one[0]),
  )
  assert.deepEqual(Object.fromEntries(others), {
    'tailrace_pipeline_running{pipeline="primary"}': 1,
    'tailrace_pipeline_ready{pipeline="primary"}': 0,
    'tailrace_pipeline_failures_total{pipeline="primary",code="SOURCE_DENIED"}': 116,
    'tailrace_retries_total{pipeline="primary",code="TABLE_UNAVAILABLE"}': 1,
    'tailrace_rows_total{pipeline="primary"}': 101,
    'tailrace_partial_rows_total{pipeline="primary"}': 103,
    'tailrace_source_bytes_total{pipeline="primary"}': 104,
    'tailrace_batches_total{pipeline="primary"}': 105,
    'tailrace_encode_duration_seconds_sum{pipeline="primary"}': 400.3,
    'tailrace_encode_duration_seconds_count{pipeline="primary"}': 2,
    'tailrace_commit_duration_seconds_sum{pipeline="primary"}': 0.025,
    'tailrace_commit_duration_seconds_count{pipeline="primary"}': 2,
    'tailrace_commit_age_seconds{pipeline="primary"}': 126,
    'tailrace_lag_seconds{pipeline="primary"}': 125,
    'tailrace_lag_bytes{pipeline="primary"}': 113,
    'tailrace_servers_behind{pipeline="primary"}': 1,
    'tailrace_server_lag_bytes{pipeline="primary",server="/subscriptions/a"}': 128,
    'tailrace_waiting_rows{pipeline="primary"}': 117,
    'tailrace_waiting_seconds{pipeline="primary"}': 129,
    'tailrace_batch_age_seconds{pipeline="primary"}': 130,
    'tailrace_queued_blobs{pipeline="primary",queue="live"}': 122,
    'tailrace_queued_blobs{pipeline="primary",queue="backlog"}': 123,
    'tailrace_open_lanes{pipeline="primary"}': 114,
    'tailrace_set_aside_blobs{pipeline="primary"}': 115,
    'tailrace_buffered_bytes{pipeline="primary"}': 124,
    'tailrace_storage_requests_total{pipeline="primary",kind="read"}': 106,
    'tailrace_storage_requests_total{pipeline="primary",kind="unchanged"}': 107,
    'tailrace_storage_requests_total{pipeline="primary",kind="empty"}': 108,
    'tailrace_storage_requests_total{pipeline="primary",kind="missing"}': 109,
    'tailrace_storage_requests_total{pipeline="primary",kind="list"}': 110,
    'tailrace_storage_requests_total{pipeline="primary",kind="failed"}': 111,
    'tailrace_storage_cost_usd_total{pipeline="primary",kind="read"}': 0.424,
    'tailrace_storage_cost_usd_total{pipeline="primary",kind="unchanged"}': 0.428,
    'tailrace_storage_cost_usd_total{pipeline="primary",kind="empty"}': 0.432,
    'tailrace_storage_cost_usd_total{pipeline="primary",kind="missing"}': 0.436,
    'tailrace_storage_cost_usd_total{pipeline="primary",kind="list"}': 5.5,
    'tailrace_storage_cost_usd_total{pipeline="primary",kind="failed"}': 0.444,
    'tailrace_storage_bytes_total{pipeline="primary"}': 112,
    'tailrace_storage_silent_seconds{pipeline="primary"}': 127,
    'tailrace_disk_held{pipeline="primary"}': 1,
    'tailrace_disk_holds_total{pipeline="primary"}': 118,
    'tailrace_disk_held_seconds_total{pipeline="primary"}': 119,
    'tailrace_disk_free_bytes{pipeline="primary"}': 120,
    'tailrace_disk_min_free_bytes{pipeline="primary"}': 121,
  })
})

test('the buckets of a duration count what is at most their bound, and the last one everything', async () => {
  const samples = samplesOf(await metricsOf(() => [measured('primary', 0)]).exposition())
  const encoded = (le: string) =>
    samples.get(`tailrace_encode_duration_seconds_bucket{pipeline="primary",le="${le}"}`)
  assert.deepEqual(['0.25', '0.5', '300', '+Inf'].map(encoded), [0, 1, 1, 2])
  const committed = (le: string) =>
    samples.get(`tailrace_commit_duration_seconds_bucket{pipeline="primary",le="${le}"}`)
  assert.deepEqual(['0.01', '0.025', '+Inf'].map(committed), [1, 2, 2])
})

test('a pipeline that is not open has no number that only an open one has', async () => {
  const metrics = metricsOf(() => [{ ...measured('primary', 0), pulse: undefined }])
  const samples = samplesOf(await metrics.exposition())
  assert.equal(samples.get('tailrace_waiting_rows{pipeline="primary"}'), undefined)
  assert.equal(samples.get('tailrace_disk_held{pipeline="primary"}'), 0)
  assert.equal(samples.get('tailrace_lag_seconds{pipeline="primary"}'), 25)
})

test('of a thousand servers, those with the most bytes have samples of their own, and no others', async () => {
  const serverLags = Array.from({ length: 1_000 }, (_, index) => ({
    server: `/subscriptions/${index}`,
    lagBytes: 2_000 - index,
    blobs: 1,
  }))
  const metrics = metricsOf(() => [{ ...measured('primary', 0), serverLags }])
  const samples = samplesOf(await metrics.exposition())
  assert.equal(samples.get('tailrace_servers_behind{pipeline="primary"}'), 1_000)
  const named = [...samples].filter(([name]) => name.startsWith('tailrace_server_lag_bytes'))
  assert.deepEqual(
    named.map(([, bytes]) => bytes),
    Array.from({ length: 20 }, (_, index) => 2_000 - index),
  )
})

test('each exposition tells what is, not what was added up, also when two are asked for at once', async () => {
  let pipelines = [measured('primary', 0)]
  const metrics = metricsOf(() => pipelines)
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
  for (const metrics of [metricsOf(() => []), metricsOf(() => [])]) {
    assert.ok(samplesOf(await metrics.exposition()).get('process_resident_memory_bytes')! > 0)
  }
})

test('docs/operations.md has one row for every metric, and every kind of request', async () => {
  const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `(tailrace_\w+)(?:\{\w+\})?` /gm)].map(([, name]) => name as string)
  const exposition = await new Metrics(() => [
    buildInfo(),
    ...pipelineFamilies([], prices),
    ...telemetryFamilies([]),
  ]).exposition()
  const names = [...exposition.matchAll(/^# HELP (tailrace_\w+) /gm)].map(([, name]) => name as string)
  assert.deepEqual(rows.toSorted(), names.toSorted())
  const [, table = ''] = page.split('| request ')
  const kinds = [...table.split('\n\n', 1)[0]!.matchAll(/^\| `(\w+)` /gm)].map(([, kind]) => kind as string)
  assert.deepEqual(kinds, [...requestKinds])
})
