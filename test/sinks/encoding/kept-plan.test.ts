import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import type { Batch } from '../../../src/records.ts'
import { SpoolEncoder } from '../../../src/sinks/encoding/encoder.ts'
import type { EmbeddedEngine } from '../../../src/sinks/encoding/engine.ts'
import { spoolProjectionSql } from '../../../src/sinks/encoding/projection.ts'
import { carefulSettings } from '../../../src/sinks/encoding/statement-settings.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { LineGrammar } from '../../support/line-grammar.ts'
import { jsonlogLine } from '../../support/log-lines.ts'
import { encoderFixture, onlySpan } from '../encoder-harness.ts'

const ingestMs = 1_795_510_475_123

/** A record of another form than usual jsonlog. */
const azureLine = (number: number, message: string): string =>
  JSON.stringify({
    time: '2026-11-24T08:54:36Z',
    category: 'PostgreSQLLogs',
    properties: { message, processId: number, errorLevel: 'LOG', timestamp: '2026-11-24 08:54:35.875 UTC' },
  })

/** The rows that a statement for this batch alone selects. */
async function rowsAlone(engine: EmbeddedEngine, { spoolPath, spans, ...facts }: Batch) {
  const source = { spans, pieces: [{ ...facts, path: spoolPath, bytes: facts.spoolBytes }] }
  const sql = spoolProjectionSql(postgresLogs('logs.public.server'), source, ingestMs)
  return engine.withSettings(carefulSettings(facts.longestRowBytes), () =>
    engine.rows(`FROM (${sql}) ORDER BY source_blob, source_offset, source_index`),
  )
}

test('small batches of any lines have the rows of a statement for each alone, whatever their spans', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const { engine, outputDirectory, spool, read } = await encoderFixture(t)
  const declaration = postgresLogs('logs.public.server')
  const encoder = new SpoolEncoder({
    engine,
    declaration,
    outputDirectory,
    files: 'whole',
    nowMs: () => ingestMs,
  })
  const columns = declaration.columns.map(({ name }) => name)
  const grammar = new LineGrammar(seededRandom(seed), { maxBytes: 2_000 })
  const other = { ...onlySpan, blob: "logs/it's", generation: '20261124T084701Z' }
  for (const rows of [1, 60, 7, 500, 1, 30]) {
    const entries = Array.from({ length: rows }, (_, index) => ({
      raw:
        index % 3 === 1
          ? jsonlogLine(index)
          : grammar
              .line()
              .bytes.toString()
              .replace(/[\r\0]/g, ' '),
      spanIndex: rows % 2 === 0 ? index % 2 : 0,
    }))
    const batch = await spool(entries, rows % 2 === 0 ? [onlySpan, other] : [onlySpan])
    const landed = await read(await encoder.encode(batch))
    const expected = await rowsAlone(engine, batch)
    const inOrder = (row: (typeof landed)[number]): unknown[] => columns.map((name) => row[name])
    assert.deepEqual(landed.map(inOrder), expected.map(inOrder), `seed ${seed}, ${rows} rows`)
  }
})

test('a batch behind one that failed or was stopped lands as usual, and no file is left', async (t) => {
  const { engine, outputDirectory, spool, read } = await encoderFixture(t)
  const declaration = postgresLogs('logs.public.server')
  const encoder = new SpoolEncoder({
    engine,
    declaration: {
      ...declaration,
      projection: {
        select: (source, options) =>
          declaration.projection.select(
            `(SELECT * REPLACE (CASE WHEN reject IS NULL AND contains(raw, 'boom') THEN error('no') ELSE raw END AS raw) FROM ${source})`,
            options,
          ),
      },
    },
    outputDirectory,
  })
  const encode = async (...lines: readonly string[]) =>
    encoder.encode(await spool(lines.map((raw) => ({ raw }))))
  for (const [index, line] of ['calm', 'boom', 'calm'].entries()) {
    const encoded = await encode(azureLine(index, line), azureLine(index, 'quiet'))
    assert.deepEqual([encoded.rows, encoded.rejected], [2, line === 'boom' ? 1 : 0])
    assert.equal((await read(encoded)).length, 2)
    const stop = new AbortController()
    const stopped = encoder.encode(await spool([{ raw: azureLine(1, 'quiet') }]), stop.signal)
    setImmediate(() => stop.abort(new Error('stop')))
    await assert.rejects(stopped, { message: 'stop' })
  }
  assert.deepEqual(
    (await readdir(outputDirectory)).filter((name) => name.startsWith('part-')),
    [],
  )
})

test('the engine holds no rows of earlier batches', async (t) => {
  const { engine, encoder, spool } = await encoderFixture(t)
  const held = async () => {
    const [row] = await engine.rows(
      "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT AS bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'",
    )
    return Number(row?.bytes)
  }
  const lines = Array.from({ length: 1_000 }, (_, number) => ({ raw: azureLine(number, 'quiet') }))
  for (let batch = 0; batch < 5; batch++) await encoder.encode(await spool(lines))
  assert.equal(await held(), 0)
})
