import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { posix } from 'node:path'
import type { Random } from '../../doubles/seeded-random.ts'
import type { Clock } from '../../src/clock.ts'
import type { Batch } from '../../src/records.ts'
import type { BatchEncoder } from '../../src/sinks/lakehouse-sink.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import { fieldSeparator } from '../../src/streams/staging/spool.ts'

/** A row of a simulated table: its place, and the record's text, one character per byte. */
export interface SimulatedRow {
  readonly blob: string
  readonly generation: string
  readonly offset: number
  readonly length: number
  readonly index: number
  readonly raw: string
}

/** The columns of a row in a table that has them all. */
export function columnsOf({
  blob,
  generation,
  offset,
  length,
  index,
  raw,
}: SimulatedRow): Record<string, unknown> {
  return {
    source_blob: blob,
    source_generation: generation,
    source_offset: offset,
    source_length: length,
    source_index: index,
    raw,
  }
}

export function rowOfColumns(columns: Record<string, unknown>): SimulatedRow {
  return {
    blob: String(columns.source_blob),
    generation: String(columns.source_generation),
    offset: Number(columns.source_offset),
    length: Number(columns.source_length),
    index: Number(columns.source_index),
    raw: String(columns.raw),
  }
}

/** An encoder without an engine: its files hold the spool's rows as JSON, divided among two partitions. */
export class RowEncoder implements BatchEncoder {
  readonly #directory: string
  readonly #clock: Clock
  readonly #random: Random

  constructor(directory: string, clock: Clock, random: Random) {
    this.#directory = directory
    this.#clock = clock
    this.#random = random
  }

  async encode(batch: Batch, signal?: AbortSignal): Promise<EncodedBatch> {
    const text = await readFile(batch.spoolPath, 'latin1')
    await this.#clock.sleep(this.#random.between(1, 3_000), signal)
    const rows = text
      .split('\n')
      .slice(0, -1)
      .map((line) => rowOf(line, batch))
    const directory = posix.join(this.#directory, `encode-${batch.id}`)
    await mkdir(directory, { recursive: true })
    const files: EncodedBatch['files'][number][] = []
    for (const day of [1, 2]) {
      const part = rows.filter(({ offset }) => (offset % 2) + 1 === day)
      if (part.length === 0) continue
      const path = posix.join(directory, `part-${day}.json`)
      const bytes = Buffer.from(JSON.stringify(part))
      await writeFile(path, bytes)
      files.push({
        path,
        rows: part.length,
        bytes: bytes.length,
        columns: new Map(),
        partition: new Map([['event_date', `2026-11-0${day}`]]),
      })
    }
    return { files, rows: rows.length, rejected: 0, partial: 0 }
  }
}

export function rowsOfFile(bytes: Buffer): readonly SimulatedRow[] {
  return JSON.parse(bytes.toString('utf8')) as SimulatedRow[]
}

function rowOf(line: string, { spans }: Batch): SimulatedRow {
  const fields = line.split(fieldSeparator)
  const [spanIndex, offset, length, , index, , , encoding] = fields
  const { blob, generation } = spans[Number(spanIndex)]!
  const raw = fields.at(-1)!
  return {
    blob,
    generation,
    offset: Number(offset),
    length: Number(length),
    index: Number(index),
    raw: encoding === 'raw' ? (JSON.parse(raw) as string) : raw,
  }
}
