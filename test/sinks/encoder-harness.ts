import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, Entry, Span } from '../../src/records.ts'
import { SpoolEncoder } from '../../src/sinks/encoding/encoder.ts'
import { EmbeddedEngine, type JsonRow, sqlString } from '../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import { spoolRow } from '../../src/streams/staging/spool.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'
import { largestVectorOf } from '../support/largest-vector.ts'

/** A spool's entry: its span's index, and what is left out has a default. */
export type TestEntry = Partial<Entry> & { readonly raw: string; readonly spanIndex?: number }

export const onlySpan: Span = {
  blob: 'logs/server/h=09/m=00/PT1H.json',
  generation: '20261124T084700Z',
  start: 100,
  end: 1_000_000,
}

/** The real engine and encoder on a directory that goes when the test ends. */
export async function encoderFixture(
  t: TestContext,
  declaration: TableDeclaration = postgresLogs('logs.public.server'),
) {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace [a]-encoder-'))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'tmp') })
  t.after(async () => {
    await engine.close()
    await rm(directory, { recursive: true, force: true })
  })
  const outputDirectory = join(directory, 'out')
  const encoder = new SpoolEncoder({ engine, declaration, outputDirectory, nowMs: () => 1_795_510_475_123 })
  let batches = 0

  async function spool(entries: readonly TestEntry[], spans: readonly Span[] = [onlySpan]): Promise<Batch> {
    const id = `batch-${batches++}`
    const next = new Map<number, number>()
    const rows = entries.map((given) => {
      const index = given.spanIndex ?? 0
      const raw = latin1(given.raw)
      const offset = given.offset ?? next.get(index) ?? spans[index]!.start
      const entry: Entry = {
        offset,
        length: given.length ?? raw.length + 1,
        index: given.index ?? 0,
        raw,
        ...(given.json === undefined ? {} : { json: latin1(given.json) }),
        ...(given.reject === undefined ? {} : { reject: given.reject }),
        ...(given.note === undefined ? {} : { note: given.note }),
        ...(given.form === undefined ? {} : { form: given.form }),
      }
      next.set(index, offset + entry.length)
      return spoolRow(entry, index)
    })
    const spoolPath = join(directory, `${id}.spool`)
    await writeFile(spoolPath, rows.join(''), 'latin1')
    return {
      id,
      spoolPath,
      spans,
      rows: rows.length,
      rejected: entries.filter(({ reject }) => reject !== undefined).length,
      spoolBytes: rows.reduce((sum, row) => sum + row.length, 0),
      longestRowBytes: Math.max(0, ...rows.map((row) => row.length)),
      largestVectorBytes: largestVectorOf(rows),
      openedAtMs: 0,
      sealedAtMs: 0,
    }
  }

  /** Every row of the files, in the order of the entries. */
  async function read(encoded: EncodedBatch): Promise<JsonRow[]> {
    const files = encoded.files.map(({ path }) => sqlString(path))
    return engine.rows(`SELECT * FROM read_parquet([${files.join(', ')}], hive_partitioning = false)
      ORDER BY source_blob, source_offset, source_index`)
  }

  async function rowsOf(entries: readonly TestEntry[], spans?: readonly Span[]): Promise<JsonRow[]> {
    return read(await encoder.encode(await spool(entries, spans)))
  }

  return { engine, encoder, outputDirectory, directory, spool, read, rowsOf }
}

type RowEncoder = (raw: string) => Promise<JsonRow>

/** A test asks for many rows: an engine for each would take longer than the rows. */
const rowEncoders = new WeakMap<TestContext, Map<TableDeclaration | undefined, RowEncoder>>()

/** The row of one record. Those that a test asks for at the same time are encoded as one batch. */
export async function rowOf(
  t: TestContext,
  record: object | string,
  declaration?: TableDeclaration,
): Promise<JsonRow> {
  const encoders = rowEncoders.get(t) ?? new Map<TableDeclaration | undefined, RowEncoder>()
  rowEncoders.set(t, encoders)
  const encoder = encoders.get(declaration) ?? rowEncoder(t, declaration)
  encoders.set(declaration, encoder)
  return encoder(typeof record === 'string' ? record : JSON.stringify(record))
}

function rowEncoder(t: TestContext, declaration: TableDeclaration | undefined): RowEncoder {
  const fixture = encoderFixture(t, declaration)
  let waiting: TestEntry[] = []
  let encoding: Promise<readonly JsonRow[]> | undefined
  async function encode(): Promise<readonly JsonRow[]> {
    await nextTurn()
    const entries = waiting
    waiting = []
    encoding = undefined
    return (await fixture).rowsOf(entries)
  }
  return async (raw) => {
    const index = waiting.push({ raw }) - 1
    encoding ??= encode()
    const rows = await encoding
    return rows[index]!
  }
}

/** Checks cases at the same time, so that their rows are of one batch. */
export async function checkEach<Case>(
  cases: readonly Case[],
  check: (one: Case) => Promise<void>,
): Promise<void> {
  await Promise.all(cases.map(check))
}

/** The columns of a row that are not NULL, without those that every row has. */
export function filled(row: JsonRow): JsonRow {
  const everywhere = new Set([
    'raw',
    'ingest_ts',
    'source_blob',
    'source_generation',
    'source_offset',
    'source_length',
    'source_index',
  ])
  return Object.fromEntries(
    Object.entries(row).filter(([name, value]) => value !== null && !everywhere.has(name)),
  )
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
