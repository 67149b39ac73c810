import { LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { Span } from '../../records.ts'
import { requireOffsets } from '../../sinks/commit-fence.ts'
import { type EmbeddedEngine, type JsonRow, parquetSql } from '../../sinks/encoding/engine.ts'
import type { EncodedBatch, TableCommitter } from '../../sinks/table-committer.ts'

/** The rows that pipelines have landed, with their offsets, for tests without a table. */
export class MemoryTable {
  /** In the order of landing. Integers of 64 bits and instants are texts, as `tailrace query --format json` has them. */
  readonly rows: JsonRow[] = []
  readonly offsets = new LandedOffsets()

  /** @returns the port to this table for one run, which encodes with `engine` */
  committer(engine: EmbeddedEngine): TableCommitter {
    let version = 0
    return {
      location: 'memory',
      get tableVersion() {
        return version
      },
      open: async () => {},
      landed: () => this.offsets,
      land: async (spans: readonly Span[], { files }: EncodedBatch) => {
        requireOffsets(spans, (source) => this.offsets.get(source))
        const from = parquetSql(files.map(({ path }) => path))
        const rows =
          files.length === 0
            ? []
            : await engine.rows(`FROM ${from} ORDER BY source_blob, source_offset, source_index`)
        for (const row of rows) this.rows.push(row)
        for (const { blob, generation, end } of spans) this.offsets.set({ blob, generation, offset: end })
        version += 1
        return { tableVersion: version }
      },
      replace: async () => {
        throw new Error('A table in memory is only appended to.')
      },
      releaseCaches: async () => {},
      close: async () => {},
    }
  }
}
