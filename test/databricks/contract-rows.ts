import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { LoadIntent } from '../../src/offsets/load-intent.ts'
import type { Span } from '../../src/records.ts'
import { stagedFileName } from '../../src/sinks/databricks/staging/staged-files.ts'
import { EmbeddedEngine, sqlString } from '../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import {
  type Column,
  provenanceColumns,
  type TableDeclaration,
  type TableName,
} from '../../src/tables/table.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Bytes of a record of the contract. */
export const rowBytes = 10

/** A column of each type, with values at the edge of what a careless way would keep. */
const columns: readonly Column[] = [
  ...provenanceColumns,
  { name: 'text', type: 'string', comment: `With a 'quote', a \\ and \${braces} in its comment.` },
  { name: 'wide', type: 'long', comment: 'Beyond 2^53.' },
  { name: 'narrow', type: 'integer', comment: 'The least one.' },
  { name: 'broken', type: 'double', comment: 'No sum of a few powers of two.' },
  { name: 'yes', type: 'boolean', comment: 'True.' },
  { name: 'day', type: 'date', comment: 'A leap day.' },
  { name: 'instant', type: 'timestamp', comment: 'With microseconds.' },
  { name: 'nothing', type: 'string', comment: 'NULL in every row.' },
]

/** A table with a column of each type. */
export function contractTable(name: TableName): TableDeclaration {
  const projection = {
    select: (): string => {
      throw new Error('nothing is encoded from a spool here')
    },
  }
  return { name, columns, partitionColumns: [], strict: false, projection }
}

/** An expression of Databricks SQL with all values of a row in one text. */
export const rowText =
  "CAST(source_offset AS STRING) || ' ' || text || ' ' || CAST(wide - source_offset AS STRING) || ' ' || CAST(narrow AS STRING) || ' ' || CAST(broken AS STRING) || ' ' || CAST(yes AS STRING) || ' ' || CAST(day AS STRING) || ' ' || CASE WHEN instant = TIMESTAMP '2026-11-24T09:00:00.123456Z' THEN 'then' ELSE CAST(instant AS STRING) END || ' ' || coalesce(nothing, 'none')"

/** @returns the texts of the rows of a span, as `rowText` gives them */
export function rowTexts({ start, end }: Pick<Span, 'start' | 'end'>, text = ''): string[] {
  return Array.from({ length: (end - start) / rowBytes }, (_, index) => {
    const offset = start + index * rowBytes
    return `${offset} ${content(String(offset), text)} 9007199254740993 -2147483648 0.1 true 2024-02-29 then none`
  })
}

/** Text that a statement or a file could mistake for something else. */
function content(offset: string, text: string): string {
  return `${offset}${text} it's \\ "größer" \${x} 📚`
}

/** A range of a blob that nobody else has. */
export function contractSpan(start: number, end: number): Span {
  return { blob: 'contract/größer 📚.ndjson', generation: '20261124T084700Z', start, end }
}

/** Encodes rows as the encoder does: in Parquet, by DuckDB. */
export interface RowEncoder {
  readonly engine: EmbeddedEngine
  encode(span: Span, text?: string): Promise<EncodedBatch>
}

export async function rowEncoder(t: TestContext): Promise<RowEncoder> {
  const directory = await temporaryDirectory(t)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(() => engine.close())
  await mkdir(join(directory, 'encoded'))
  return {
    engine,
    encode: async (span, text = '') => {
      const path = join(directory, 'encoded', `${randomUUID()}.parquet`)
      const [before, after] = content('\0', text).split('\0') as [string, string]
      const files = await engine.copy(`COPY (SELECT ${sqlString(span.blob)} AS source_blob,
          ${sqlString(span.generation)} AS source_generation, o AS source_offset, ${rowBytes}::BIGINT AS source_length,
          0::INTEGER AS source_index, 'ok' AS parse_status, TIMESTAMPTZ '2026-11-24 09:00:00Z' AS ingest_ts,
          ${sqlString(before)} || o || ${sqlString(after)} AS text, 9007199254740993 + o AS wide,
          (-2147483648)::INTEGER AS narrow, 0.1::DOUBLE AS broken, true AS yes, DATE '2024-02-29' AS day,
          TIMESTAMPTZ '2026-11-24 09:00:00.123456Z' AS instant, NULL::VARCHAR AS nothing
        FROM range(${span.start}, ${span.end}, ${rowBytes}) AS r(o))
        TO ${sqlString(path)} (FORMAT parquet, COMPRESSION zstd, RETURN_STATS)`)
      return { files, rows: files.reduce((sum, { rows }) => sum + rows, 0), rejected: 0, partial: 0 }
    },
  }
}

/** What the loader would write down for such a batch. */
export function intentOf(span: Span, { files }: EncodedBatch): LoadIntent {
  const id = randomUUID()
  return {
    id,
    mode: 'copy-into',
    spans: [span],
    files: files.map(({ bytes, rows }, index) => ({
      name: stagedFileName(id, index, Date.now()),
      bytes,
      rows,
    })),
  }
}
