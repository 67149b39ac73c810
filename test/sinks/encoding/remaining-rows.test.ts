import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Batch } from '../../../src/records.ts'
import { remainingRows } from '../../../src/sinks/encoding/remaining-rows.ts'
import { spoolRow } from '../../../src/streams/staging/spool.ts'
import { largestVectorOf } from '../../support/largest-vector.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

test('without some spans a batch keeps every other row as it was, however long the rows are', async (t) => {
  const spoolPath = join(await temporaryDirectory(t), 'batch.spool')
  const rows = Array.from({ length: 3_000 }, (_, index) => {
    const spanIndex = index % 12
    // Reads of 64 KiB end in every part of a row sooner or later.
    const raw = `{"message":"${'x'.repeat((index * 997) % 2_000)}"}`
    const text = spoolRow({ offset: index, length: 1, index: 0, raw, form: 'flat' }, spanIndex)
    return { spanIndex, text }
  })
  rows.push({
    spanIndex: 3,
    text: spoolRow({ offset: 0, length: 1, index: 0, raw: 'y'.repeat(300_000) }, 3),
  })
  await writeFile(spoolPath, rows.map(({ text }) => text).join(''), 'latin1')
  const spans = Array.from({ length: 12 }, (_, index) => ({
    blob: `logs/${index}`,
    generation: '20261124T084700Z',
    start: 0,
    end: 10,
  }))
  const batch: Batch = {
    id: 'one',
    spoolPath,
    spans,
    rows: rows.length,
    rejected: 0,
    spoolBytes: 0,
    longestRowBytes: 300_100,
    largestVectorBytes: 1_500_000,
    openedAtMs: 0,
    sealedAtMs: 0,
  }
  for (const left of [new Set([1, 11]), new Set([3]), new Set(spans.keys())]) {
    const path = `${spoolPath}.rest.spool`
    const rest = await remainingRows(batch, left, path)
    const expected = rows.filter(({ spanIndex }) => !left.has(spanIndex))
    assert.equal(await readFile(path, 'latin1'), expected.map(({ text }) => text).join(''))
    assert.deepEqual([rest.rows, rest.spans, rest.spoolPath], [expected.length, spans, path])
    assert.equal(rest.spoolBytes, (await readFile(path)).length)
    const texts = expected.map(({ text }) => text)
    assert.equal(rest.longestRowBytes, Math.max(0, ...texts.map((text) => text.length)))
    assert.equal(rest.largestVectorBytes, largestVectorOf(texts))
  }
})
