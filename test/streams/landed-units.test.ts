import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Batch } from '../../src/records.ts'
import { Batcher } from '../../src/streams/batcher.ts'
import { FunctionTransform } from '../../src/streams/custom/function-transform.ts'
import { RecordsDocuments } from '../../src/streams/documents/records-documents.ts'
import { GzipMembers } from '../../src/streams/gzip/gzip-members.ts'
import { RecordValidator } from '../../src/streams/record-validator.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { UnitCollector } from '../../src/streams/units/unit-collector.ts'
import { chunksOf, spanOf } from './blob-chunks.ts'

/** Units of these many records, the n-th record of all with the number n. */
const counts = [3, 0, 400, 1]
const records = counts.map((count, unit) =>
  Array.from({ length: count }, (_, index) => ({
    n: counts.slice(0, unit).reduce((a, b) => a + b, 0) + index,
  })),
)

/** Each record twice, but none of those whose number ends in 7. */
function twice(): FunctionTransform {
  return new FunctionTransform(
    [(record) => (Number(record.n) % 10 === 7 ? null : [record, record])],
    'primary',
  )
}

async function landed(
  t: TestContext,
  blob: Buffer,
  stages: readonly Transform[],
): Promise<{ batches: Batch[]; rows: string[][] }> {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-landed-units-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const staging = new Staging(directory, 3_600_000)
  const batches: Batch[] = []
  await pipeline([
    Readable.from(chunksOf(blob, [10, 11, 50, 700])),
    ...stages,
    new UnitCollector({ staging, maxHeldBytes: 2000 }),
    new Batcher({ staging, maxRows: 7 }),
    async (source: AsyncIterable<Batch>) => {
      for await (const batch of source) batches.push(batch)
    },
  ] as unknown as [Readable, Duplex])
  // Only spools are left: the files of large units are gone.
  assert.deepEqual((await readdir(directory)).sort(), batches.map(({ id }) => `${id}.spool`).sort())
  const spools = await Promise.all(batches.map(({ spoolPath }) => readFile(spoolPath, 'latin1')))
  return {
    batches,
    rows: spools.flatMap((text) => text.split('\n').slice(0, -1)).map((row) => row.split('\x1f')),
  }
}

/** The spans, whole units each, and of the rows the length, the index and the number. */
function assertLanded(
  batches: readonly Batch[],
  rows: readonly string[][],
  unitBytes: readonly number[],
): void {
  const total = unitBytes.reduce((a, b) => a + b, 0)
  // The first two units have six rows, so the third, of 720 rows, lands with them.
  const third = total - (unitBytes[3] as number)
  assert.deepEqual(
    batches.map(({ spans }) => spans),
    [[spanOf(0, third)], [spanOf(third, total)]],
  )
  assert.deepEqual(
    rows.map((row) => [Number(row[2]), Number(row[4]), JSON.parse(row.at(-1) ?? '')]),
    records.flatMap((unit, position) =>
      unit
        .filter(({ n }) => n % 10 !== 7)
        .flatMap((record) => [record, record])
        .map((record, index) => [unitBytes[position], index, record]),
    ),
  )
}

test('all rows of a gzip member land in one batch, at its place and with an index of their own', async (t) => {
  const members = records.map((unit) => gzipSync(unit.map((record) => JSON.stringify(record)).join('\n')))
  const { batches, rows } = await landed(t, Buffer.concat(members), [
    new GzipMembers(),
    new RecordValidator(),
    twice(),
  ])
  assertLanded(
    batches,
    rows,
    members.map(({ length }) => length),
  )
})

test('all rows of a document land in one batch, at its place and with an index of their own', async (t) => {
  const documents = records
    .filter((unit) => unit.length > 0)
    .map((unit) => Buffer.from(`${JSON.stringify({ records: unit }, undefined, 1)}\n`))
  const { batches, rows } = await landed(t, Buffer.concat(documents), [new RecordsDocuments(), twice()])
  const [first = 0, second = 0, third = 0] = documents.map(({ length }) => length)
  assertLanded(batches, rows, [first, 0, second, third])
})
