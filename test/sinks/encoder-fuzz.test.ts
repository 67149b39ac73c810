import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { seededRandom } from '../../doubles/seeded-random.ts'
import type { Batch, Chunk } from '../../src/records.ts'
import { SpoolEncoder } from '../../src/sinks/encoding/encoder.ts'
import { parquetSql } from '../../src/sinks/encoding/engine.ts'
import { Batcher } from '../../src/streams/batcher.ts'
import { LineSplitter } from '../../src/streams/line-splitter.ts'
import { RecordValidator } from '../../src/streams/record-validator.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { LineGrammar } from '../support/line-grammar.ts'
import { encoderFixture } from './encoder-harness.ts'

// `TAILRACE_FUZZ_LINES=1000000 TAILRACE_FUZZ_MAX_BYTES=16777216 TAILRACE_TEST_MINUTES=120 pnpm test encoder-fuzz` runs as
// long as one likes; a failure names the seed, and `TAILRACE_FUZZ_SEED` runs it again.
const lineCount = Number(process.env.TAILRACE_FUZZ_LINES ?? 3_000)
const maxBytes = Number(process.env.TAILRACE_FUZZ_MAX_BYTES ?? 256 * 1024)
const seed = Number(process.env.TAILRACE_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

const newline = 0x0a
const chunkBytes = 256 * 1024
const source = { blob: 'logs/fuzz', generation: '20261124T084700Z' }

/** The lines as chunks, and what they are in sum. */
class FuzzedBlob {
  readonly #grammar = new LineGrammar(seededRandom(seed), { maxBytes })
  #bytes: number

  constructor() {
    this.#bytes = 0
  }

  *chunks(): Generator<Chunk> {
    let held: Buffer[] = []
    let heldBytes = 0
    for (let made = 1; made <= lineCount; made += 1) {
      const { bytes } = this.#grammar.line()
      held.push(bytes, Buffer.from([newline]))
      heldBytes += bytes.length + 1
      if (heldBytes < chunkBytes && made < lineCount) continue
      const text = Buffer.concat(held)
      for (let at = 0; at < text.length; at += chunkBytes)
        yield this.#chunk(text.subarray(at, at + chunkBytes))
      held = []
      heldBytes = 0
    }
  }

  #chunk(bytes: Buffer): Chunk {
    const start = this.#bytes
    this.#bytes += bytes.length
    return { span: { ...source, start, end: this.#bytes }, bytes }
  }
}

test(`generated lines of every producer become rows whose places tile them, and no statement fails (seed ${seed})`, async (t) => {
  const { engine, encoder, directory, outputDirectory } = await encoderFixture(t)
  const declaration = postgresLogs('logs.public.server')
  // A large batch has rows of ten thousand dates; a file for each would take most of the time.
  const whole = new SpoolEncoder({ engine, declaration, outputDirectory, files: 'whole' })
  const blob = new FuzzedBlob()
  let landed = 0
  const land = async (batch: Batch): Promise<void> => {
    const encoded = await (landed === 0 ? encoder : whole).encode(batch)
    landed += encoded.rows
    await rm(batch.spoolPath)
    assert.equal(encoded.rows, batch.rows, `seed ${seed}: every entry is one row`)
    if (encoded.files.length === 0) return
    const [row] = await engine.rows(`SELECT count(*)::INTEGER AS rows,
        count(*) FILTER (parse_status IS NULL OR raw IS NULL)::INTEGER AS broken,
        count(*) FILTER (parse_error LIKE 'not_encodable: % Error: %')::INTEGER AS failed,
        count(*) FILTER (source_index = 0 AND source_offset < previous_end)::INTEGER AS overlapping,
        count(*) FILTER (source_index > 0 AND source_offset NOT IN (previous_end, previous_offset))::INTEGER AS apart
      FROM (SELECT *, lag(source_offset) OVER places AS previous_offset,
          lag(source_offset + source_length) OVER places AS previous_end
        FROM (SELECT parse_status, parse_error, raw[:1] AS raw, source_offset, source_length, source_index
          FROM ${parquetSql(encoded.files.map(({ path }) => path))})
        WINDOW places AS (ORDER BY source_offset, source_index))`)
    const expected = { rows: batch.rows, broken: 0, failed: 0, overlapping: 0, apart: 0 }
    assert.deepEqual(row, expected, `seed ${seed}`)
    await rm(outputDirectory, { recursive: true, force: true })
    // The count of a run that takes hours.
    if (lineCount > 100_000) console.error(`seed ${seed}: ${landed} rows`)
  }
  await pipeline(
    Readable.from(blob.chunks(), { highWaterMark: 1 }),
    new LineSplitter(),
    new RecordValidator(),
    new Batcher({ staging: new Staging(directory, 1e9), maxBytes: 32 * 1024 * 1024 }),
    new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (batch: Batch, _encoding, done) => {
        land(batch).then(() => done(), done)
      },
    }),
  )
})
