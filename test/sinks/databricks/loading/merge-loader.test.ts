import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import test from 'node:test'
import { EmbeddedEngine, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../../../src/sinks/table-committer.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { blob, committerFixture, span } from '../committer-fixture.ts'

const nothing = { parameters: [], catalog: undefined, schema: undefined }

test('records of a document that are more than a statement takes are replaced part by part, each once', async (t) => {
  const fixture = await committerFixture(t)
  const directory = await temporaryDirectory(t)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(() => engine.close())
  let ingestUs = 1_795_510_475_000_000
  /** Records of 400 KB that begin at one offset. */
  const document = async (offset: number, records: number, text: string): Promise<EncodedBatch> => {
    ingestUs += 1
    const files = await engine.copy(`COPY (SELECT ${sqlString(blob.blob)} AS source_blob,
        ${sqlString(blob.generation)} AS source_generation, ${offset}::BIGINT AS source_offset, 100::BIGINT AS source_length,
        i::INTEGER AS source_index, 'ok' AS parse_status, make_timestamptz(${ingestUs}) AS ingest_ts,
        NULL::TIMESTAMPTZ AS event_time, i AS query_id, repeat('x', 400000) || ${sqlString(text)} AS message
      FROM range(0, ${records}) AS r(i)) TO ${sqlString(join(directory, `${randomUUID()}.parquet`))}
      (FORMAT parquet, RETURN_STATS)`)
    return { files, rows: records, rejected: 0, partial: 0 }
  }
  const rows = async (): Promise<readonly string[]> => {
    const found = await fixture.warehouse.rows(
      `SELECT source_offset || ' ' || source_index || ' ' || right(message, 3) AS r
       FROM "lake"."logs"."logs" ORDER BY source_offset, source_index`,
    )
    return found.map(({ r }) => String(r))
  }
  const texts = (offset: number, records: number, text: string): readonly string[] =>
    Array.from({ length: records }, (_, index) => `${offset} ${index} ${text}`)
  const sent: string[] = []
  const committer = await fixture.open('logs', {
    mode: 'merge',
    step: (name, call) => {
      sent.push(name)
      return call()
    },
  })
  await committer.land([span(0, 100)], await document(0, 9, 'old'))
  await committer.land([span(100, 200)], await document(100, 5, 'old'))
  sent.length = 0
  const exchanged = await committer.replace(span(0, 200), [
    await document(0, 8, 'mid'),
    await document(100, 6, 'mid'),
  ])
  assert.ok(sent.filter((name) => name === 'replace the rows of a range').length >= 6, String(sent))
  assert.ok(!sent.some((name) => /remove/.test(name)), 'readers see the old rows or the new ones')
  assert.equal(exchanged.removedRows, 14)
  assert.deepEqual(await rows(), [...texts(0, 8, 'mid'), ...texts(100, 6, 'mid')])
  // Somebody has doubled a row.
  const { signal } = new AbortController()
  await fixture.warehouse.execute(
    'INSERT INTO lake.logs.logs SELECT * FROM lake.logs.logs WHERE source_offset = 0 AND source_index = 4',
    { ...nothing, signal },
  )
  const replaced = await committer.replace(span(0, 200), [
    await document(0, 7, 'new'),
    await document(100, 6, 'new'),
  ])
  assert.equal(replaced.removedRows, 15)
  assert.deepEqual(await rows(), [...texts(0, 7, 'new'), ...texts(100, 6, 'new')])
  await committer.close()
})
