import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Run, ThroughputResult } from '../../bench/measures/throughput.ts'
import type { BenchResults } from '../../bench/parts.ts'
import { pagesWithResults, pageWithResults, publishedResults } from '../../bench/reports/publish.ts'

test('the pages show the published results of the bench', () => {
  const file = new URL(`../../${publishedResults}`, import.meta.url)
  const published = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BenchResults) : {}
  for (const page of pagesWithResults) {
    const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
    assert.equal(withoutLayout(text), withoutLayout(pageWithResults(text, published)), page)
  }
})

test('a page gets the medians of a part that was measured and keeps its text about one that was not', () => {
  const page =
    '<!-- bench:throughput -->\n\nold\n\n<!-- /bench -->\nbetween\n<!-- bench:blobs -->\n\nkept\n\n<!-- /bench -->\n'
  const filled = pageWithResults(page, { throughput: { ...conditions, result: throughput } })
  assert.match(filled, /Tailrace to DuckDB with SQL by hand: 0\.40 \(single rounds 0\.20 to 0\.50\)/)
  assert.match(
    filled,
    /Tailrace, blob to Delta table +\| +3 \| +5\.0 \| +20\.0 \| +0\.40 \| +30\.0 \| +240 \|/,
  )
  assert.match(filled, /\nbetween\n<!-- bench:blobs -->\n\nkept\n\n<!-- \/bench -->\n$/)
  assert.doesNotMatch(filled, /old/)
})

test('a row of the README whose part was not measured keeps its value', () => {
  const page =
    '<!-- bench:readme -->\n\n| measure | result |\n| --- | ---: |\n| 4 GiB, from blob to Delta table | 55 MB/s |\n\n<!-- /bench -->\n'
  const filled = pageWithResults(page, { throughput: { ...conditions, result: throughput } })
  assert.match(filled, /relative to DuckDB with SQL by hand, from a local file to Parquet +\| +0\.40 \|/)
  assert.match(filled, /4 GiB, from blob to Delta table +\| +55 MB\/s \|/)
})

const machine = {
  cpu: 'a CPU',
  cores: 2,
  memoryGib: 8,
  system: 'linux',
  node: '20.15.0',
  duckdb: '1.5.6',
  loadBefore: 0,
  measuredAt: '2026-11-24T00:00:00.000Z',
}

const conditions = { machine, rounds: 3, isSmoke: false }

/** 100 MB, in three rounds; the second one is disturbed. */
const throughput: ThroughputResult = {
  inputBytes: 100e6,
  lines: 1_000,
  runs: {
    tailrace: [run(4, 3, 200e6), run(10, 4, 240e6), run(5, 3, 230e6)],
    'duckdb-by-hand': [run(2, 1, 400e6), run(2, 1, 400e6), run(2, 1, 400e6)],
  },
  versions: {},
  skipped: {},
}

function run(wallSeconds: number, cpuSeconds: number, peakRssBytes: number): Run {
  return { wallSeconds, cpuSeconds, peakRssBytes, outputBytes: 10e6, turn: 0 }
}

/** A formatter pads the cells of tables and breaks lines. */
function withoutLayout(text: string): string {
  return text.replaceAll(/-{3,}/g, '---').replaceAll(/\s+/g, ' ')
}
