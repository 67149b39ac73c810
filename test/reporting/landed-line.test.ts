import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '../../src/reporting/logger.ts'

function logged(colors: boolean, fields: object, message: string): string {
  let text = ''
  const output = {
    write: (line: string): void => {
      text += line
    },
  }
  createLogger({ level: 'info', pretty: true, colors, output }).info(fields, message)
  return text
}

const landed = {
  pipeline: '一次',
  blobs: [{ blob: 'logs/\u001b[2Jpg.ndjson', start: 0, end: 1_234_567 }],
  blobCount: 1,
  rows: 12_345,
  bytes: 4_100_000,
  lagBytes: 0,
  encodeMs: 800,
  commitMs: 12,
}

test('a landed batch is one short line on a terminal, aligned by what the terminal shows, and without control characters', () => {
  assert.match(
    logged(false, landed, 'landed'),
    /^\[\d\d:\d\d:\d\d\.\d{3}\] {2}一次 {7}12,345 rows {4}4\.1 MB {6}lag 0 B {4}812 ms {2}logs\/\\u001b\[2Jpg\.ndjson @ 1,234,567\n$/,
  )
  assert.match(logged(true, { ...landed, blobCount: 7 }, 'landed'), / {2}7 blobs\n$/)
})

test('other lines have colors only where they are wanted', () => {
  assert.ok(logged(true, {}, 'stopped').includes('\u001b[32mINFO\u001b'))
  assert.ok(!logged(false, {}, 'stopped').includes('\u001b'))
})
